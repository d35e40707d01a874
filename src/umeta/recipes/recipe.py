"""Knows which complete runs have a name, and every setting of each."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from umeta.core.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """A complete run: where tasks come from, who learns, and for how long each part works.

    Attributes:
        name: What it is called.
        summary: One line for `umeta recipes`.
        papers: Keys in `papers.BIBTEX`.
        learner: Who practices.
        downsample: Of a ProtoNets' Conv4: "pool" as published, or "stride", several times faster and a little less accurate.
        proposal: "clusters" of an embedding, or "truth": the labels of a benchmark, for a supervised oracle.
        embedding: "acai"; "pixels", contrast-normalized and whitened; "contrast", not whitened; the path of an `.npz`; or the path of
            another run whose embedding is used again.
        n_clusters: k of k-means; fewer where the pool is small.
        n_partitions: Clusterings; with a budget, as many as fit into a sixth of it.
        n_way: Classes per practice task.
        k_shot: Support images per class.
        n_query: Query images per class.
        meta_batch_size: Tasks per step.
        augment: "affine" turns, scales, shears and shifts every image of a practice task; "none" leaves them, as published.
        n_splits: Episodes made from each embedded one (ProtoNets); 1 as published.
        first_order: Whether the inner loop leaves out second derivatives (MAML).
        norm: Normalization of queries: "stored" statistics (inductive) or those of the "batch" (transductive; MAML only).
        embedding_share: Share of a time budget for training the embedding.
        image_size: Side in pixels; None lets the source decide.
    """

    name: str
    summary: str
    papers: tuple[str, ...]
    learner: Literal["protonets", "maml"]
    downsample: Literal["pool", "stride"] = "pool"
    proposal: Literal["clusters", "truth"] = "clusters"
    embedding: str = "acai"
    n_clusters: int = 500
    n_partitions: int = 100
    n_way: int = 20
    k_shot: int = 1
    n_query: int = 15
    meta_batch_size: int = 1
    augment: Literal["affine", "none"] = "affine"
    n_splits: int = 8
    first_order: bool = False
    norm: Literal["stored", "batch"] = "stored"
    embedding_share: float = 0.5
    image_size: int | None = None


def cactus_protonets() -> Recipe:
    """CACTUs with ProtoNets: 20-way 1-shot episodes with 15 queries, from 100 partitions of an ACAI embedding into 500 clusters."""
    return Recipe(
        name="cactus-protonets",
        summary="CACTUs: ACAI embedding, k-means under random metrics, ProtoNets",
        papers=("hsu2019cactus", "berthelot2018acai", "snell2017protonets"),
        learner="protonets",
    )


def cactus_maml() -> Recipe:
    """CACTUs with second-order MAML: 8 tasks a step, 20-way 1-shot with 5 queries, 5 inner steps at 0.05 (50 when it is used)."""
    return Recipe(
        name="cactus-maml",
        summary="CACTUs: ACAI embedding, k-means under random metrics, second-order MAML",
        papers=("hsu2019cactus", "berthelot2018acai", "finn2017maml"),
        learner="maml",
        n_query=5,
        meta_batch_size=8,
        norm="batch",
        embedding_share=0.35,
    )


def oracle_protonets() -> Recipe:
    """ProtoNets on the true classes of a benchmark: the supervised bound."""
    return Recipe(
        name="oracle-protonets",
        summary="supervised oracle: ProtoNets on true classes (benchmarks only)",
        papers=("snell2017protonets",),
        learner="protonets",
        proposal="truth",
    )


def oracle_maml() -> Recipe:
    """MAML on the true classes of a benchmark: the supervised bound."""
    return Recipe(
        name="oracle-maml",
        summary="supervised oracle: second-order MAML on true classes (benchmarks only)",
        papers=("finn2017maml",),
        learner="maml",
        proposal="truth",
        n_query=5,
        meta_batch_size=8,
        norm="batch",
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "cactus-protonets": cactus_protonets,
    "cactus-maml": cactus_maml,
    "oracle-protonets": oracle_protonets,
    "oracle-maml": oracle_maml,
}
DEFAULT = "cactus-protonets"


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name; raises `InputError` with the nearest names if there is none."""
    if name == "default":
        name = DEFAULT
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(RECIPES)}"
        raise InputError(f"there is no recipe {name!r}; {hint}")
    return RECIPES[name]()
