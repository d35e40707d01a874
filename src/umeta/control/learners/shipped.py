"""Knows how procedures and agents go to disk and come back."""

from collections.abc import Callable, Mapping
from pathlib import Path

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.control.learners.gradient import GradientProcedure, PolicyAgent
from umeta.control.learners.procedure import Agent, ShippedProcedure
from umeta.control.learners.rl2 import MemoryAgent, MemoryProcedure
from umeta.core.errors import ArtifactError, InputError

PROCEDURE, AGENT = "control-procedure", "agent"
_PROCEDURES: Mapping[str, Callable[..., ShippedProcedure]] = {
    "policy-gradient": GradientProcedure.restore,
    "memory": MemoryProcedure.restore,
}
_AGENTS: Mapping[str, Callable[..., Agent]] = {"policy": PolicyAgent.restore, "memory": MemoryAgent.restore}


def save_procedure(folder: Path, procedure: ShippedProcedure) -> None:
    """Write a procedure as an artifact."""
    write_artifact(folder, PROCEDURE, procedure.tensors(), procedure.describe())


def load_procedure(run: str | Path) -> ShippedProcedure:
    """Return the procedure of a finished run.

    Raises:
        InputError: There is no such folder, or it is no run of an environment.
        ArtifactError: The run is unfinished, or its procedure is damaged.
    """
    folder = Path(run) / "procedure"
    if not Path(run).is_dir():
        raise InputError(f"{run} does not exist; give a folder that umeta wrote")
    if not folder.is_dir():
        raise ArtifactError(f"{run} has no procedure; it is unfinished (go on with --resume), or no run")
    tensors, info = read_artifact(folder, PROCEDURE)
    return _PROCEDURES[info["type"]](info, tensors)


def save_agent(folder: Path, agent: Agent) -> None:
    """Write an agent as an artifact."""
    write_artifact(folder, AGENT, agent.tensors(), agent.describe())


def load_agent(folder: str | Path) -> Agent:
    """Return the agent that `save_agent` wrote.

    Raises:
        InputError: There is no such folder.
        ArtifactError: It is no agent, or was altered.
    """
    if not Path(folder).is_dir():
        raise InputError(f"{folder} does not exist; give a folder that `umeta adapt` wrote")
    tensors, info = read_artifact(Path(folder), AGENT)
    return _AGENTS[info["type"]](info, tensors)
