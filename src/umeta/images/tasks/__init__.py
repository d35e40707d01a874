"""Ways to propose tasks from unlabeled images."""
