"""Public checks that a new task distribution, meta-learner or procedure keeps its contract; run them in your own tests."""

from umeta.testing.checks import check_metalearner, check_procedure, check_tabular_tasks, check_task_distribution

__all__ = ["check_metalearner", "check_procedure", "check_tabular_tasks", "check_task_distribution"]
