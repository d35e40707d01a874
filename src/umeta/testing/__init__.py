"""Public checks that a new part keeps its contract, of images or of control; run them in your own tests."""

from umeta.testing.checks import check_metalearner, check_procedure, check_tabular_tasks, check_task_distribution
from umeta.testing.control_checks import check_process, check_reward_distribution

__all__ = [
    "check_metalearner",
    "check_procedure",
    "check_process",
    "check_reward_distribution",
    "check_tabular_tasks",
    "check_task_distribution",
]
