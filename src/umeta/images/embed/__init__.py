"""Encoders learned without labels, and the embedding matrices they give."""
