"""Knows how one function goes through the parts of a long work: in turn, on threads, or by whoever else offers the same."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")
Part = Sequence[int]


class Hands(Protocol):
    """Who does a long work whose parts do not depend on one another.

    The results come in the order of the parts, whoever does them, and closing the generator ends the work. A failure of `work` is raised
    where its result would have come.
    """

    def __call__(self, work: Callable[[Part], T], parts: Sequence[Part], /, *, at_once: int = 1) -> Generator[T, None, None]:
        """Yield what `work` returns for each part: numbers of images or of partitions, which `work` knows how to find.

        Args:
            work: Done on each part.
            parts: All of them.
            at_once: How many parts it pays to hand out together, because each is short.
        """
        ...


def in_turn(work: Callable[[Part], T], parts: Sequence[Part], /, *, at_once: int = 1) -> Generator[T, None, None]:
    """Do one part after the other, here, each when it is asked for."""
    for part in parts:
        yield work(part)


@dataclass(frozen=True)
class Threads:
    """Threads of this process, of which each has a few results at most waiting.

    Attributes:
        n: How many, at least 1.
    """

    n: int

    def __call__(self, work: Callable[[Part], T], parts: Sequence[Part], /, *, at_once: int = 1) -> Generator[T, None, None]:
        """Yield the results in order."""
        pending: deque[Future[T]] = deque()
        pool = ThreadPoolExecutor(self.n)
        try:
            for part in parts:
                pending.append(pool.submit(work, part))
                if len(pending) > 2 * self.n:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def cut(n: int, size: int) -> list[range]:
    """Return `0, ..., n - 1` in parts of one size, of which the last may be smaller."""
    return [range(first, min(first + size, n)) for first in range(0, n, size)]
