"""Knows how several processes share one step: each works on its part of the batch, and all apply the mean of their gradients."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
import torch.distributed as distributed
from jaxtyping import Float
from torch import Tensor

from umeta.core.errors import InputError, ProcessLostError, UmetaError

LONGEST_WAIT = timedelta(days=7)
N_SHARES = 8

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
        exact: Whether the result must be that of any other number of processes, so that all compute in the same shares.
        n_rows: How many rows a step has in all, images say; 0 where it is divided otherwise.
    """

    rank: int = 0
    size: int = 1
    exact: bool = False
    n_rows: int = 0

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

    @property
    def divides(self) -> bool:
        """Whether the rows of a step are worked on in shares."""
        return self.exact and self.n_rows > 0

    def span(self) -> slice:
        """Return which of a step's rows are this process's."""
        return slice(*(self.n_rows * share // N_SHARES for share in self._own))

    def shares(self) -> list[slice]:
        """Return the parts in which this process works on its rows: `N_SHARES` over all processes, whatever their number."""
        edges = [self.n_rows * share // N_SHARES - self.span().start for share in range(self._own[0], self._own[1] + 1)]
        return [slice(*part) for part in pairwise(edges)]

    def summed(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sum over the shares of all processes, each of which gives its own, always in the same order; without a gradient."""
        table = parts[0].new_zeros(N_SHARES, *parts[0].shape)
        table[slice(*self._own)] = torch.stack(list(parts))
        return self.total(table).sum(0)

    @property
    def _own(self) -> tuple[int, int]:
        return N_SHARES * self.rank // self.size, N_SHARES * (self.rank + 1) // self.size

    def joined(self, rows: Float[Tensor, "m dim"]) -> Float[Tensor, "n dim"]:
        """Return the rows of all processes, where this one has its `span`; gradients flow to its own rows, if all compute the same then."""
        if self.size == 1:
            return rows
        joined: Tensor = _Joined.apply(rows, self)  # type: ignore[no-untyped-call]
        return joined

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the processes, without a gradient."""
        if self.size == 1:
            return values
        total = values.detach().clone(memory_format=torch.contiguous_format)
        self._add_up(total)
        return total

    def first(self, values: Tensor) -> Tensor:
        """Return what process 0 has, for decisions that all must share; every process gives values of the same shape."""
        return self.total(values if self.rank == 0 else torch.zeros_like(values))

    def led(self, *numbers: float) -> list[float]:
        """Return the numbers that process 0 has."""
        return list(numbers) if self.size == 1 else self.first(torch.tensor(numbers, dtype=torch.float64)).tolist()

    def average(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the gradients of an optimizer's parameters by their mean over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        joined = self.total(torch.cat([gradient.flatten() for gradient in gradients]))
        means = torch.split(joined / self.size, [one.numel() for one in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _add_up(self, values: torch.Tensor) -> None:
        try:
            distributed.all_reduce(values)
        except RuntimeError as error:
            raise ProcessLostError("another process of this run has ended; go on with the same command and --resume") from error


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, team: Team) -> Tensor:
        ctx.team = team
        placed = rows.new_zeros(team.n_rows, rows.shape[1])
        placed[team.span()] = rows
        return team.total(placed)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        return slopes[0][ctx.team.span()], None


ALONE = Team()


@contextmanager
def started() -> Iterator[Team]:
    """Join the processes that `torchrun` started with this one; without it, a team of one.

    Raises:
        UmetaError: The others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "0"))
    if size < 2:
        yield Team(exact=size == 1)
        return
    try:
        distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise UmetaError(f"the {size} processes of this run cannot reach each other: {str(error).splitlines()[0]}") from error
    try:
        yield Team(distributed.get_rank(), size, exact=True)
    finally:
        distributed.destroy_process_group()


def check_shares(n: int, what: str, size: int) -> None:
    """Raise `InputError` if so many parts of a step cannot be shared evenly."""
    if n % size:
        fit = ", ".join(str(number) for number in range(1, n + 1) if n % number == 0)
        raise InputError(f"{n} {what} of a step cannot be shared evenly by {size} processes; start {fit} of them")
