"""A grid of cells, the same as the one on which the theory is computed."""
