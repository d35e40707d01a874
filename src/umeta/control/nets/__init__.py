"""Policies and value functions, each a function of weights that many tasks have of their own."""
