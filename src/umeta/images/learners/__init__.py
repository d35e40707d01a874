"""Meta-learners for images, and the baselines without meta-learning, all behind the one waist."""
