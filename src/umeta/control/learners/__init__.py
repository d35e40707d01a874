"""Meta-learners of policies, and the procedures that they ship."""
