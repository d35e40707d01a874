"""Ways to find skills in a process without a reward."""
