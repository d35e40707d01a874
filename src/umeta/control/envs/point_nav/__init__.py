"""A point in a bounded arena."""
