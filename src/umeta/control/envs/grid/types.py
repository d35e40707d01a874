"""Knows the moves on a grid, in the order in which the theory counts them."""

MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Stay, down, up, right, left, as (rows, columns)."""
HORIZON = 10
