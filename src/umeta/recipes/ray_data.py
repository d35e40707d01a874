"""Knows how Ray Data does a long work in parts: by actors that are given the work once, and again in place of one that was lost."""

import logging
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from umeta.core.errors import UmetaError
from umeta.core.hands import Part, in_turn
from umeta.core.memory import keep_large_blocks

T = TypeVar("T")
MOST_LOSSES = 3


@dataclass(frozen=True)
class DataWorkers:
    """Actors of Ray Data, in a Ray that this process has joined; they come up for each work, and go when its results are taken.

    They ask for no processor, because the workers of a run hold those and wait meanwhile. What was lost with an actor is done again; an
    actor that is lost more than `MOST_LOSSES` times fails the work. Less than two pieces of work for each are done here.

    Attributes:
        n: How many.
        n_threads: Of each.
    """

    n: int
    n_threads: int = 1

    def __call__(self, work: Callable[[Part], T], parts: Sequence[Part], /, *, at_once: int = 1) -> Generator[T, None, None]:
        """Yield the results in order.

        Raises:
            UmetaError: As `work` does.
        """
        bundles = [parts[first : first + at_once] for first in range(0, len(parts), at_once)]
        if len(bundles) < 2 * self.n:
            yield from in_turn(work, parts)
            return
        import ray
        from ray.data import DataContext

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = DataContext.get_current().copy()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.execution_options.preserve_order = True
        sent = ray.put((work, bundles))
        with DataContext.current(context):
            for row in self._done(sent, len(bundles)).iter_rows():
                results = row["results"].content
                if isinstance(results, UmetaError):
                    raise results
                yield from results

    def _done(self, sent: Any, n_bundles: int) -> Any:
        from ray.data import ActorPoolStrategy, from_items

        numbers = from_items(list(range(n_bundles)), override_num_blocks=n_bundles)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from 2.64 on, Ray will want the last two by other names
            return numbers.map_batches(
                _Worker,
                compute=ActorPoolStrategy(size=self.n),
                fn_constructor_args=(sent, self.n_threads),
                num_cpus=0,
                max_restarts=MOST_LOSSES,
                max_task_retries=MOST_LOSSES,
            )


class _Worker:
    """One actor."""

    def __init__(self, sent: Any, n_threads: int) -> None:
        import ray

        self.work, self.bundles = ray.get(sent)
        torch.set_num_threads(n_threads)
        keep_large_blocks()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the parts of one bundle; a failure that a person has to mend is a result, so that Ray does not try again."""
        results: list[Any] | UmetaError
        (number,) = batch["item"]
        try:
            results = [self.work(part) for part in self.bundles[number]]
        except UmetaError as error:
            results = error.with_traceback(None)
        return {"results": [_Parcel(results)]}


@dataclass(frozen=True)
class _Parcel:
    """Keeps Ray from looking into results and turning them into columns."""

    content: Any
