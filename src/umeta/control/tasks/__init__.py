"""Skills as reward functions to practice on."""
