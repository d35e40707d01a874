"""Knows why it works: exact regret on controlled processes small enough that every claim is a linear or a convex program."""
