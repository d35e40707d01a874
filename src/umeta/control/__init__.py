"""Controlled processes without a reward, and the tasks that can be made of them."""
