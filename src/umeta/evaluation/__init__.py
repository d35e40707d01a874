"""Scoring of learning procedures on tasks that people labeled, and the tables made of it."""
