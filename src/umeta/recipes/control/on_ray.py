"""Knows how episodes are run by workers that Ray starts, while the command itself learns from them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.control.envs.catalog import make_process
from umeta.control.process import EVERY, Box, ControlledProcess, Running, Space
from umeta.control.trajectory import Rollout, Trajectories
from umeta.core.errors import InputError, UmetaError
from umeta.core.progress import Reporter
from umeta.core.rng import Rng
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.on_ray import last_line, placed, started, threads_each
from umeta.recipes.ray_data import MOST_LOSSES


class Collector:
    """Copies of a process that live in a worker.

    Args:
        name: Of the process.
        n_threads: Of the worker.
    """

    def __init__(self, name: str, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        self._process = make_process(name)

    def collect(self, wanted: Rollout) -> Trajectories | UmetaError:
        """Run episodes; returns what is wrong with the process where that ends them."""
        try:
            return wanted.run(self._process)
        except UmetaError as error:
            return error.with_traceback(None)


class CollectedProcess:
    """A process whose episodes are run by workers, each its part of the tasks; with the bits of one that runs them all itself.

    Args:
        process: In all else.
        workers: Actors of `Collector`. One that is lost is started again and runs its part anew.
    """

    def __init__(self, process: ControlledProcess, workers: Sequence[Any]) -> None:
        self._process, self._workers = process, workers

    @property
    def name(self) -> str:
        """What a user types after `env:`."""
        return self._process.name

    @property
    def observation(self) -> Box:
        """What is seen."""
        return self._process.observation

    @property
    def action(self) -> Space:
        """What can be done."""
        return self._process.action

    @property
    def horizon(self) -> int:
        """Steps in an episode at most."""
        return self._process.horizon

    @property
    def n_feature(self) -> int:
        """Length of what `feature` returns."""
        return self._process.n_feature

    def feature(self, observation: Float[Tensor, "*batch n_observation"]) -> Float[Tensor, "*batch n_feature"]:
        """Return what of an observation tells skills apart."""
        return self._process.feature(observation)

    def start(self, n_task: int, n_episode: int, rng: Rng, tasks: slice = EVERY) -> Running:
        """Begin episodes here, that are to be stepped from here."""
        return self._process.start(n_task, n_episode, rng, tasks)

    def collect(self, wanted: Rollout) -> Trajectories:
        """Have episodes run.

        Raises:
            UmetaError: A worker was lost too often, or the environment misbehaves.
        """
        import ray

        n = min(len(self._workers), wanted.n_task)
        handed = [worker.collect.remote(wanted.portion(rank, n)) for rank, worker in enumerate(self._workers[:n])]
        try:
            parts: list[Trajectories | UmetaError] = ray.get(handed)
        except ray.exceptions.RayError as error:
            raise UmetaError(
                f"a worker ended: {last_line(error)}; what is done is saved, go on with the same command and --resume"
            ) from error
        for part in parts:
            if isinstance(part, UmetaError):
                raise part
        return Trajectories.joined([part for part in parts if isinstance(part, Trajectories)])


def employed(name: str, n_workers: int, n_threads: int) -> list[Any]:
    """Start actors of `Collector` for a process in the cluster that this process has joined; Ray replaces one that is lost."""
    import ray

    collector = ray.remote(num_cpus=n_threads, max_restarts=MOST_LOSSES, max_task_retries=MOST_LOSSES)(Collector)
    return [collector.remote(name, n_threads) for _ in range(n_workers)]


def learn_control_on_ray(
    request: ControlRequest,
    out: Path,
    *,
    n_workers: int | None = None,
    address: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Learn as `umeta.recipes.control.learn.learn_control` does, with the same result, while workers that Ray starts run the episodes.

    A worker that is lost is started again, at most `MOST_LOSSES` times.

    Args:
        request: What to do.
        out: The run folder, which only this process needs.
        n_workers: How many workers; None is as many as there are processors for. Each has as many threads as `OMP_NUM_THREADS` says, 1
            without it.
        address: "host:port" of a cluster that this machine is part of; None starts one here, for as long as the run takes.
        resume: Go on with a stopped run.
        overwrite: Replace a run that is there.
        reporter: Where progress goes.
        stop: Asked after every step whether to end early with a checkpoint.
        began: When the command began, on `time.monotonic`'s clock.

    Returns:
        The manifest.

    Raises:
        InputError: The recipe's episodes cannot be handed out; Ray is not installed, no cluster answers, it refuses the token, or
            processors are too few; and as `learn_control`.
        UmetaError: Workers were lost too often; and as `learn_control`.
    """
    if request.recipe.learner == "rl2":
        raise InputError(
            f"{request.recipe.name} learns by a memory that is told each step's reward as it acts, so its episodes cannot be handed out; "
            "leave out --engine ray, or give a recipe with MAML, such as uml-diayn"
        )
    began, n_threads, process = time.monotonic() if began is None else began, threads_each(), request.process
    with started(address, out, partial(placed, n_workers, n_threads)) as (n_started, _):
        shared = CollectedProcess(process, employed(process.name, n_started, n_threads))
        return learn_control(request, out, process=shared, resume=resume, overwrite=overwrite, reporter=reporter, stop=stop, began=began)
