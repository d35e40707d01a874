"""Processes that ship with umeta, and the door to others."""
