"""Knows how several processes share one step: each works on its part of the batch, and all apply the mean of their gradients."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
import torch.distributed as distributed

from umeta.core.errors import InputError, UmetaError
from umeta.core.state import ModuleState

LONGEST_WAIT = timedelta(days=7)

TaskT = TypeVar("TaskT")


@runtime_checkable
class Divisible(Protocol):
    """A batch of tasks that can be shared out, such as `Episodes`."""

    def portion(self, rank: int, size: int) -> Sequence[Any]:
        """Return the tasks of one of `size` processes, the same tasks as within the whole batch, bit for bit."""
        ...


@dataclass(frozen=True)
class Team:
    """The processes that share one run; a process on its own is a team of one, which waits for nobody.

    Attributes:
        rank: Which of them this is; process 0 writes the run folder.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    def portion(self, batch: Sequence[TaskT]) -> Sequence[TaskT]:
        """Return this process's part of a batch that every process has drawn alike."""
        if self.size == 1:
            return batch
        assert isinstance(batch, Divisible), "a batch for several processes needs `portion`"
        return batch.portion(self.rank, self.size)

    def mean(self, metrics: Mapping[str, float]) -> Mapping[str, float]:
        """Return the mean of every metric over the processes, so that all of them see the same."""
        if self.size == 1:
            return metrics
        values = torch.tensor(list(metrics.values()), dtype=torch.float64)
        self._add_up(values)
        return dict(zip(metrics, (values / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process; every process must ask."""
        if self.size == 1:
            return flag
        count = torch.tensor(float(flag))
        self._add_up(count)
        return count.item() > 0

    def wait(self) -> None:
        """Wait until process 0 says `go_on`."""
        self.any(False)

    def go_on(self) -> None:
        """Let the other processes go on, if this is process 0."""
        if self.rank == 0:
            self.any(False)

    @contextmanager
    def sharing(self, state: object) -> Iterator[None]:
        """Let the optimizers of a state step along the mean of all processes' gradients."""
        if self.size == 1:
            yield
            return
        assert isinstance(state, ModuleState)
        hooks = [optimizer.register_step_pre_hook(self._average) for optimizer in state.optimizers.values()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _average(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        self._add_up(joined)
        means = torch.split(joined / self.size, [one.numel() for one in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _add_up(self, values: torch.Tensor) -> None:
        try:
            distributed.all_reduce(values)
        except RuntimeError as error:
            raise UmetaError("another process of this run has ended; go on with the same command and --resume") from error


ALONE = Team()


@contextmanager
def started() -> Iterator[Team]:
    """Join the processes that `torchrun` started with this one; without it, a team of one.

    Raises:
        UmetaError: The others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    try:
        distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise UmetaError(f"the {size} processes of this run cannot reach each other: {str(error).splitlines()[0]}") from error
    try:
        yield Team(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


def check_shares(meta_batch_size: int, size: int) -> None:
    """Raise `InputError` if a batch cannot be shared evenly, so that the mean over processes is the mean over tasks."""
    if meta_batch_size % size:
        fitting = ", ".join(str(n) for n in range(1, meta_batch_size + 1) if meta_batch_size % n == 0)
        raise InputError(f"{meta_batch_size} tasks a step cannot be shared evenly by {size} processes; start {fitting} of them")
