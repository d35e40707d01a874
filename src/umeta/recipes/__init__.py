"""Complete named runs."""
