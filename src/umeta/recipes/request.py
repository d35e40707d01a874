"""Knows what was asked for, where its images come from, and what practice they allow."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import benchmark_names, check_protocol, did_you_mean, get_benchmark
from umeta.benchmarks.oracle import class_sizes
from umeta.core.errors import InputError
from umeta.images.cache import ImageCache
from umeta.images.embed.outside import USUAL_SIDE, is_outside
from umeta.images.embed.registry import EMBEDDERS
from umeta.images.named_classifier import PROCEDURE
from umeta.images.nets.conv4 import COARSE_SIDE, Downsample
from umeta.images.source import ArraySource, ImageSource, open_source
from umeta.recipes.named import RECIPES, get_recipe
from umeta.recipes.recipe import Recipe

MIN_CLUSTER_FACTOR = 2
MIN_CLUSTERS = 4
MIN_INSTANCES = 16
SHORT_BUDGET_S = 600.0
LEAST_ROUND_S = 6.0
LONG_BUDGET_S = 6 * 3600.0
PHOTO_SIDE = 84
LEAST_USEFUL_S = 30.0
LOOKED_AT = 512
LEAST_DIFFERENCE = 0.01


@dataclass(frozen=True)
class Request:
    """What a person asked `learn` for; with the recipe it is the run's `config.json`.

    Attributes:
        source: A folder, an `.npz`, shards, a URL, or a benchmark's name.
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
        n_clusters: k of a partition, or several that partitions take in turn; 0 for an oracle, or where every image is a class.
        n_way: Classes per practice task; 0 where nobody practices.
        n_query: Queries per class.
        n_turns: Orientations of each image that are classes of their own.
        augment: A key of `VIEWS`, "latent-noise", "latent-mix", or "none".
        downsample: Of the Conv4.
        n_rounds: Rounds after the first practice; fewer than the recipe's where the budget is very short.
    """

    n_images: int
    channels: int
    side: int
    n_clusters: int | tuple[int, ...]
    n_way: int
    n_query: int
    n_turns: int
    augment: Literal["affine", "drawings", "photos", "shifts", "latent-noise", "latent-mix", "none"]
    downsample: Downsample
    n_rounds: int = 0

    @classmethod
    def fit(cls, request: "Request", cache: ImageCache, labels: NDArray[np.integer] | None = None) -> "Plan":
        """Choose what the recipe leaves open, and shrink its numbers to a small pool, or to an oracle's classes.

        Raises:
            InputError: The pool is too small all the same; the message has the numbers that would work.
        """
        recipe = request.recipe
        assert recipe.augment is not None, "the recipe of a request is settled"
        n, channels, side = len(cache.images), cache.images.shape[1], cache.images.shape[2]
        drawings = are_drawings(cache.images)
        if recipe.proposal == "none":
            return cls(n, channels, side, n_clusters=0, n_way=0, n_query=0, n_turns=1, augment="none", downsample="pool")
        whole = cls(
            n_images=n,
            channels=channels,
            side=side,
            n_clusters=0,
            n_way=recipe.n_way if recipe.proposal == "instances" else min(recipe.n_way, _most_ways(request)),
            n_query=recipe.n_query,
            n_turns=4 if recipe.proposal == "instances" and recipe.turns and drawings else 1,
            augment=("drawings" if drawings else "photos") if recipe.augment == "auto" else recipe.augment,
            downsample=_downsample(recipe, request.budget_s, side),
            n_rounds=_rounds(recipe, request.budget_s),
        )
        if recipe.proposal == "instances":
            return whole._of_instances(cache.images, recipe.n_each)
        clustered = whole if recipe.proposal == "truth" else whole._of_clusters(recipe)
        return clustered if labels is None else clustered._of_classes(recipe, labels)

    def _of_classes(self, recipe: Recipe, labels: NDArray[np.integer]) -> "Plan":
        sizes = class_sizes(labels)
        n_way = min(self.n_way, max(map(len, sizes)))
        room = max(int(one[-n_way]) for one in sizes if len(one) >= n_way)
        return replace(self, n_way=n_way, n_query=min(self.n_query, room - recipe.k_shot))

    def _of_instances(self, images: NDArray[np.uint8], n_each: int) -> "Plan":
        if self.n_images < MIN_INSTANCES:
            raise InputError(f"there are {self.n_images} distinct images, but tasks in which each is a class need at least {MIN_INSTANCES}")
        difference = typical_difference(images)
        if difference < LEAST_DIFFERENCE:
            raise InputError(
                f"two images differ by {difference:.1%} of the brightness range on average: there is nothing to tell apart; "
                "give images of different things"
            )
        return replace(self, n_way=min(self.n_way, self.n_images * self.n_turns // n_each))

    def _of_clusters(self, recipe: Recipe) -> "Plan":
        n, n_query, n_way = self.n_images, self.n_query, self.n_way
        wanted = as_tuple(recipe.n_clusters)
        if min(wanted) < MIN_CLUSTERS:
            raise InputError(f"{min(wanted)} clusters are too few to make tasks of; use at least {MIN_CLUSTERS}")
        if max(wanted) > n and _chosen(recipe):
            raise InputError(f"{max(wanted)} clusters are more than the {n} distinct images; use at most {max(n // 2, MIN_CLUSTERS)}")

        def fitting(queries: int) -> int:
            return n // (MIN_CLUSTER_FACTOR * (recipe.k_shot + queries))

        if min(*wanted, fitting(n_query)) < min(2 * n_way, *wanted):
            n_query = min(n_query, 5)
        most = fitting(n_query)
        if most < MIN_CLUSTERS:
            size = recipe.k_shot + n_query
            need = MIN_CLUSTERS * MIN_CLUSTER_FACTOR * size
            raise InputError(f"there are {n} distinct images, but tasks need at least {need}: {MIN_CLUSTERS} clusters of {size} and room")
        sizes = tuple(min(k, most) for k in wanted)
        fewest = min(sizes)
        n_way = min(n_way, fewest if fewest == min(wanted) else fewest // 2)
        if recipe.partition == "hyperplanes":
            sizes = (1 << (n_way - 1).bit_length(),)
        return replace(self, n_clusters=sizes if len(sizes) > 1 else sizes[0], n_way=n_way, n_query=n_query)

    def told(self) -> str:
        """Return the plan in one line."""
        sizes = " or ".join(map(str, self.n_clusters)) if isinstance(self.n_clusters, tuple) else self.n_clusters
        kinds = f", {sizes} clusters" if sizes else ""
        if self.n_turns > 1:
            kinds += f", each in {self.n_turns} orientations"
        images = f"{self.n_images} {'gray' if self.channels == 1 else 'color'} images of {self.side}x{self.side}"
        if not self.n_way:
            return f"{images}, no practice"
        queries = f"{self.n_query} {'query' if self.n_query == 1 else 'queries'} a class"
        views = "" if self.augment == "none" else f", views as of {self.augment}"
        rounds = f", {self.n_rounds} rounds with neighbors" if self.n_rounds else ""
        return f"{images}{kinds}, {self.n_way}-way tasks with {queries}{views}{rounds}"


def _most_ways(request: Request) -> int:
    """Return how many classes the tasks have at most that the source is scored on; practice with more costs as much more.

    Where every pair of images is compared, a step is one batch, and its size is the recipe's.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334) practice in as many ways as they test in: 20 on Omniglot, 10 on MNIST, 5 on miniImageNet, 2 on
        CelebA.
    """
    free = request.source not in benchmark_names() or request.recipe.objective == "pairs"
    return request.recipe.n_way if free else max(get_benchmark(request.source).ways)


def _downsample(recipe: Recipe, budget_s: float | None, side: int) -> Downsample:
    """Return the form of a ProtoNets' Conv4; large images are seen coarsely in budgets that do not allow the published form many steps."""
    if side >= COARSE_SIDE and (budget_s is None or budget_s < LONG_BUDGET_S):
        return "coarse"
    if recipe.downsample != "auto":
        return recipe.downsample
    # The cost of a step grows with the area; 28 pixels is what the field trains drawings at.
    return "stem" if budget_s is not None and budget_s * 28**2 / side**2 < SHORT_BUDGET_S else "pool"


def _rounds(recipe: Recipe, budget_s: float | None) -> int:
    return recipe.n_rounds if budget_s is None else min(recipe.n_rounds, int(budget_s * recipe.rounds_share / LEAST_ROUND_S))


class ImageSizes(TypedDict):
    """How `build_cache` is to choose the size of images."""

    image_size: int | None
    color_size: int
    kept_up_to: NotRequired[int]


def image_sizes(request: Request) -> ImageSizes:
    """Return how to choose the size: that of the papers, or of a network that others trained where nothing but it sees the images."""
    recipe = request.recipe
    if is_outside(recipe.embedding) and (recipe.proposal == "none" or recipe.practice_on == "embedding"):
        return ImageSizes(image_size=recipe.image_size, color_size=USUAL_SIDE, kept_up_to=USUAL_SIDE)
    return ImageSizes(image_size=recipe.image_size, color_size=PHOTO_SIDE)


def cautions(request: Request, plan: Plan) -> list[str]:
    """Return what a person should know before the work begins."""
    told = []
    recipe, least_s = request.recipe, LEAST_USEFUL_S * max(plan.side / 28, 1) ** 2
    if request.budget_s is not None and recipe.proposal == "instances" and request.budget_s < least_s:
        told.append(
            f"{request.budget_s:.0f} s are short for images of this size: expect little more than comparing pixels; "
            f"useful from {least_s:.0f} s"
        )
    asked, used = as_tuple(recipe.n_clusters), as_tuple(plan.n_clusters)
    if _chosen(recipe) and plan.n_clusters and asked != used:
        told.append(
            f"{plan.n_images} images are too few for {' or '.join(map(str, asked))} clusters: there will be {' or '.join(map(str, used))}"
        )
    return told


def _chosen(recipe: Recipe) -> bool:
    """Return whether somebody asked for a number of clusters, and the partition has any."""
    return recipe.partition != "hyperplanes" and recipe.name in RECIPES and recipe.n_clusters != get_recipe(recipe.name).n_clusters


def as_tuple(n_clusters: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the k of a recipe or a plan, one or several, as a tuple."""
    return (n_clusters,) if isinstance(n_clusters, int) else n_clusters


def spread(images: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Return at most about `n` images, spread over all."""
    return np.asarray(images[:: max(len(images) // n, 1)])


def typical_difference(images: NDArray[np.uint8]) -> float:
    """Return the median over pairs of images of the root mean square difference of their pixels, as a share of the brightness range."""
    some = spread(images, LOOKED_AT).reshape(-1, images[0].size).astype(np.float32) / 255
    squared = np.square(some).sum(1)
    apart = (squared[:, None] + squared - 2 * some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.median(apart), 0.0) / some.shape[1]))


def are_drawings(images: NDArray[np.uint8]) -> bool:
    """Guess whether images show strokes on an even ground: most of an image is then of one shade. Color counts as a photo.

    Args:
        images: Shape [n, c, h, w]; at most `LOOKED_AT`, spread over all, are looked at.
    """
    if images.shape[1] != 1:
        return False
    some = spread(images, LOOKED_AT).reshape(-1, images.shape[2] * images.shape[3]) >> 4
    counts = np.apply_along_axis(np.bincount, 1, some, minlength=16)
    return bool(np.median(counts.max(1)) > some.shape[1] / 2)


def read_source(request: Request) -> tuple[ImageSource, NDArray[np.integer] | None]:
    """Return where the images come from, and only for a recipe that is told them their labels, shape [n_labelings, n_images].

    Raises:
        InputError: No such source or protocol, or a recipe that needs labels without a benchmark.
    """
    told = request.recipe.proposal == "truth" or request.recipe.labeled_share > 0
    if request.source in benchmark_names():
        benchmark = get_benchmark(request.source)
        protocol = request.protocol or benchmark.protocols[0]
        check_protocol(benchmark, protocol)
        if not told:
            return benchmark.pool(protocol), None
        labeled = benchmark.split(protocol, "meta_train")
        return ArraySource(np.moveaxis(labeled.images, 1, -1), f"{request.source}:{protocol}"), labeled.labelings
    if told:
        raise InputError(
            f"{request.recipe.name} needs the labels of a benchmark ({', '.join(benchmark_names())}); {request.source} has none"
        )
    if request.protocol is not None:
        raise InputError(f"--protocol is for benchmarks ({', '.join(benchmark_names())}), and {request.source} is none")
    nearest = did_you_mean(request.source, benchmark_names())
    if nearest and not Path(request.source).expanduser().exists():
        raise InputError(f"source {request.source!r} does not exist:{nearest}")
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
    """Return a complete request; without a budget or steps, 20 minutes.

    Raises:
        InputError: No such source, recipe or embedding, or settings that contradict each other; the message says what to give instead.
    """
    if budget_s is not None and steps is not None:
        raise InputError("give --budget or --steps, not both")
    if budget_s is None and steps is None:
        budget_s = 1200.0
    if (budget_s is not None and budget_s <= 0) or (steps is not None and steps < 1):
        raise InputError("the budget must be positive and steps at least 1")
    full = (get_recipe(recipe) if isinstance(recipe, str) else recipe).settled()
    made_elsewhere = full.embedding.endswith(".npz") or any((Path(full.embedding) / part).is_dir() for part in ("embedding", PROCEDURE))
    if full.embedding not in (*EMBEDDERS, "pixels", "contrast") and not made_elsewhere and not is_outside(full.embedding):
        raise InputError(
            f"no embedding {full.embedding!r}; give {', '.join(EMBEDDERS)}, pixels, contrast, an .npz file, a run folder, "
            "or an encoder of others: hf:NAME or onnx:FILE"
        )
    if full.start == "embedding" and full.embedding != "deepcluster" and not Path(full.embedding).is_dir():
        raise InputError(
            f"--start embedding needs an embedding by a network that learners practice, and {full.embedding} is none; "
            "give --embedding deepcluster, or a run of ProtoNets"
        )
    if source in benchmark_names():
        protocol = protocol or get_benchmark(source).protocols[0]
    return Request(source, full, protocol, budget_s, steps, seed)
