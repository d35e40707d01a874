"""Unlabeled images, and the tasks that can be made of them."""
