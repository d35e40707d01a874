"""Knows what was asked for, where its images come from, and what practice they allow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import benchmark_names, check_protocol, get_benchmark
from umeta.core.errors import InputError
from umeta.images.cache import ImageCache
from umeta.images.source import ArraySource, ImageSource, open_source
from umeta.recipes.recipe import Recipe, get_recipe

MIN_CLUSTER_FACTOR = 2
MIN_CLUSTERS = 4


@dataclass(frozen=True)
class Request:
    """What a person asked `learn` for; with the recipe it is the run's `config.json`.

    Attributes:
        source: A folder, an `.npz`, or a benchmark's name.
        recipe: Every setting.
        protocol: Of a benchmark source: which classes' images are in the pool; None otherwise.
        budget_s: Seconds for everything, or None.
        steps: Steps of every trained stage, or None; exactly one of the two is given.
        seed: Of all randomness.
    """

    source: str
    recipe: Recipe
    protocol: str | None
    budget_s: float | None
    steps: int | None
    seed: int


@dataclass(frozen=True)
class Plan:
    """What will be done with the images that were found.

    Attributes:
        n_images: Distinct usable images.
        channels: 1 or 3.
        side: In pixels.
        n_clusters: k of k-means; 0 for an oracle.
        n_way: Classes per practice task.
        n_query: Queries per class.
    """

    n_images: int
    channels: int
    side: int
    n_clusters: int
    n_way: int
    n_query: int

    @classmethod
    def fit(cls, recipe: Recipe, cache: ImageCache, labels: NDArray[np.int64] | None = None) -> "Plan":
        """Shrink the recipe's numbers to a small pool, or to an oracle's classes.

        Raises:
            InputError: The pool is too small all the same; the message has the numbers that would work.
        """
        n, channels, side = len(cache.images), cache.images.shape[1], cache.images.shape[2]
        n_query, n_way = recipe.n_query, recipe.n_way
        if labels is not None:
            counts = np.sort(np.bincount(labels))
            n_way = min(n_way, len(counts))
            return cls(n, channels, side, 0, n_way, min(n_query, int(counts[-n_way]) - recipe.k_shot))
        if recipe.n_clusters < MIN_CLUSTERS:
            raise InputError(f"{recipe.n_clusters} clusters are too few to make tasks of; use at least {MIN_CLUSTERS}")

        def clusters(queries: int) -> int:
            return min(recipe.n_clusters, n // (MIN_CLUSTER_FACTOR * (recipe.k_shot + queries)))

        if clusters(n_query) < 2 * n_way:
            n_query = min(n_query, 5)
        k = clusters(n_query)
        if k < MIN_CLUSTERS:
            size = recipe.k_shot + n_query
            need = MIN_CLUSTERS * MIN_CLUSTER_FACTOR * size
            raise InputError(f"there are {n} distinct images, but tasks need at least {need}: {MIN_CLUSTERS} clusters of {size} and room")
        return cls(n, channels, side, k, min(n_way, k // 2), n_query)

    def told(self) -> str:
        """Return the plan in one line."""
        clusters = f", {self.n_clusters} clusters" if self.n_clusters else ""
        images = f"{self.n_images} {'gray' if self.channels == 1 else 'color'} images of {self.side}x{self.side}"
        return f"{images}{clusters}, {self.n_way}-way tasks with {self.n_query} queries a class"


def read_source(request: Request) -> tuple[ImageSource, NDArray[np.int64] | None]:
    """Return where the images come from, and their labels for an oracle only.

    Raises:
        InputError: No such source or protocol, or an oracle without a benchmark.
    """
    oracle = request.recipe.proposal == "truth"
    if request.source in benchmark_names():
        benchmark = get_benchmark(request.source)
        protocol = request.protocol or benchmark.protocols[0]
        check_protocol(benchmark, protocol)
        labeled = benchmark.split(protocol, "meta_train") if oracle else None
        images = labeled.images if labeled is not None else benchmark.pool(protocol)
        return ArraySource(np.moveaxis(images, 1, -1), f"{request.source}:{protocol}"), labeled.labels if labeled is not None else None
    if oracle:
        raise InputError(
            f"{request.recipe.name} needs the labels of a benchmark ({', '.join(benchmark_names())}); {request.source} has none"
        )
    if request.protocol is not None:
        raise InputError(f"--protocol is for benchmarks ({', '.join(benchmark_names())}), and {request.source} is none")
    return open_source(request.source), None


def resolve(
    source: str,
    recipe: str | Recipe = "default",
    *,
    protocol: str | None = None,
    budget_s: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> Request:
    """Return a complete request; without a budget or steps, 20 minutes."""
    if budget_s is not None and steps is not None:
        raise InputError("give --budget or --steps, not both")
    if budget_s is None and steps is None:
        budget_s = 1200.0
    if (budget_s is not None and budget_s <= 0) or (steps is not None and steps < 1):
        raise InputError("the budget must be positive and steps at least 1")
    full = get_recipe(recipe) if isinstance(recipe, str) else recipe
    made_elsewhere = full.embedding.endswith(".npz") or (Path(full.embedding) / "embedding").is_dir()
    if full.embedding not in ("acai", "pixels", "contrast") and not made_elsewhere:
        raise InputError(f"no embedding {full.embedding!r}; give acai, pixels, contrast, an .npz file, or a run folder that has one")
    if source in benchmark_names():
        protocol = protocol or get_benchmark(source).protocols[0]
    return Request(source, full, protocol, budget_s, steps, seed)
