"""Knows which rows the tables of the papers have, as data: the recipe behind each, its changes, and what it is scored on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args, get_origin, get_type_hints

from umeta.benchmarks.benchmark import did_you_mean, unknown_name
from umeta.core.errors import InputError
from umeta.recipes.named import RECIPES, get_recipe
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import resolve

CLASSICAL = {
    "knn": "nearest neighbor",
    "linear": "linear classifier",
    "mlp": "MLP with dropout",
    "cluster-matching": "cluster matching",
    "cluster-coloring": "cluster coloring",
}
EMBEDDINGS = {"acai": "ACAI", "bigan": "BiGAN", "deepcluster": "DeepCluster", "infogan": "InfoGAN", "pixels": "pixels, whitened"}
UNTRAINED = ("pixels",)
CACTUS = {"cactus-maml": "CACTUs-MAML", "cactus-protonets": "CACTUs-ProtoNets", "cactus-pairs": "CACTUs, pairs by the cosine"}
PARTITIONS = {"hyperplanes": "random hyperplanes", "random": "random labels"}
ORACLES = {"oracle-maml": "supervised MAML", "oracle-protonets": "supervised ProtoNets"}
EMBEDDER = "cactus-protonets"


@dataclass(frozen=True)
class Entry:
    """One row: which run it is read off, and as which method.

    Attributes:
        name: What `--rows` chooses by.
        title: What the table calls it.
        recipe: A recipe's name, of this version of umeta or of a later one.
        protocol: Under which it is scored.
        changes: Settings in which the run departs from the recipe.
        embedding: What the run embeds images by; trained once for all rows and a seed. None where the recipe has none.
        method: A baseline's name in the report of the embedding's own run; None is the run's own procedure.
        learned_on: The protocol whose pool is learned from, if it is another one.
    """

    name: str
    title: str
    recipe: str
    protocol: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    embedding: str | None = None
    method: str | None = None
    learned_on: str | None = None

    @property
    def run(self) -> str:
        """Name of the run that the row is read off; a baseline shares the run of its embedding."""
        return self.name if self.method is None else f"embedding-{self.embedding}"

    def seeds(self, n: int) -> range:
        """Return the seeds of `n` runs; one for a classical classifier on an embedding that is not trained: others would equal it."""
        return range(1 if self.method is not None and self.embedding in UNTRAINED else n)

    def embedder(self) -> "Entry":
        """Return the row whose run trains this row's embedding, cuts it once as it is, and then hardly practices."""
        assert self.embedding is not None
        changes = {key: value for key, value in self.changes.items() if key in ("n_clusters", "image_size")}
        changes |= {"n_partitions": 1, "embedding_share": 1.0}
        return Entry(f"embedding-{self.embedding}", EMBEDDINGS[self.embedding], EMBEDDER, self.protocol, changes, self.embedding)

    def setting(self, embedding: str | None = None) -> Recipe:
        """Return the recipe with the row's changes, its embedding trained anew or taken from `embedding`."""
        taken: dict[str, Any] = {"embedding": embedding or self.embedding} if self.embedding is not None else {}
        return replace(get_recipe(self.recipe), **self.changes, **taken)

    def lacks(self, benchmark: str) -> str | None:
        """Return what this version of umeta lacks for the row; None if it has all."""
        if self.recipe not in RECIPES:
            return f"no recipe {self.recipe!r}"
        allowed = {name: get_args(hint) for name, hint in get_type_hints(Recipe).items() if get_origin(hint) is Literal}
        for name, value in self.changes.items():
            if name not in {one.name for one in fields(Recipe)}:
                return f"no setting {name!r}"
            if name in allowed and value not in allowed[name]:
                return f"no {name} {value!r}"
        try:
            resolve(benchmark, self.setting(), steps=1)
        except InputError as error:
            return str(error).partition(";")[0]
        return None


@dataclass(frozen=True)
class Sheet:
    """What a benchmark's table is made of.

    Attributes:
        protocol: Of the rows that have none of their own.
        embeddings: Those with rows of their own.
        ablated: The embedding whose partitions are also made in other ways.
        changes: Of every row that clusters an embedding or learns from labels; ways not of those that compare all pairs of a batch.
        further: Rows without an embedding: name of row and recipe, title, protocol, and the protocol learned on if it is another.
    """

    protocol: str
    embeddings: tuple[str, ...]
    ablated: str
    changes: Mapping[str, Any]
    further: tuple[tuple[str, str, str, str | None], ...] = ()

    def entries(self) -> Iterator[Entry]:
        """Return the rows in the order of the table."""
        scored, changes = self.protocol, self.changes
        free = {key: value for key, value in changes.items() if key != "n_way"}
        settings = {recipe: free if get_recipe(recipe).objective == "pairs" else changes for recipe in CACTUS}
        yield Entry("scratch", "training from scratch", EMBEDDER, scored, changes, "pixels", "from scratch")
        for embedding in self.embeddings:
            for method, title in CLASSICAL.items():
                named = f"{title}, {EMBEDDINGS[embedding]}"
                yield Entry(f"{embedding}-{method}", named, EMBEDDER, scored, changes, embedding, f"{embedding} {method}")
            for recipe, title in CACTUS.items():
                yield Entry(f"{embedding}-{recipe}", f"{title}, {EMBEDDINGS[embedding]}", recipe, scored, settings[recipe], embedding)
        for recipe, title in CACTUS.items():
            name, named = f"{self.ablated}-{recipe}", f"{title}, {EMBEDDINGS[self.ablated]}"
            plain = {"augment": "none"} | ({"n_splits": 1} if recipe == "cactus-protonets" else {})
            yield Entry(f"{name}-plain", f"{named}, as published", recipe, scored, {**settings[recipe], **plain}, self.ablated)
            for how, told in PARTITIONS.items():
                yield Entry(f"{name}-{how}", f"{named}, {told}", recipe, scored, {**settings[recipe], "partition": how}, self.ablated)
        for recipe, title, protocol, learned_on in self.further:
            yield Entry(recipe, title, recipe, protocol, learned_on=learned_on)
        for recipe, title in ORACLES.items():
            kept = {key: value for key, value in changes.items() if key in ("n_way", "image_size")}
            yield Entry(recipe, title, recipe, scored, kept)


SHEETS = {
    "omniglot": Sheet(
        protocol="cactus",
        embeddings=("bigan", "acai", "deepcluster", "infogan", "pixels"),
        ablated="acai",
        changes={},
        further=(
            ("umtra", "UMTRA", "umtra", None),
            ("aal-protonets", "AAL-ProtoNets", "cactus", None),
            ("aal-maml", "AAL-MAML", "cactus", None),
            ("lasium-maml", "LASIUM-MAML", "umtra", None),
            ("lasium-protonets", "LASIUM-ProtoNets", "umtra", None),
            ("protoclr", "ProtoCLR", "vinyals", None),
            ("psco", "PsCo", "vinyals-rot4", "vinyals"),
            ("default", "umeta, default", "cactus", None),
        ),
    ),
    "mnist": Sheet(
        protocol="cactus",
        embeddings=("bigan", "acai", "deepcluster", "infogan", "pixels"),
        ablated="acai",
        changes={"n_clusters": 10, "n_way": 10},
        further=(("default", "umeta, default", "cactus", None),),
    ),
    "mini-imagenet": Sheet(
        protocol="ravi",
        embeddings=("bigan", "deepcluster", "pixels"),
        ablated="deepcluster",
        changes={"n_way": 5, "n_partitions": 50},
        further=(
            ("umtra", "UMTRA", "ravi", None),
            ("aal-protonets", "AAL-ProtoNets", "ravi", None),
            ("aal-maml", "AAL-MAML", "ravi", None),
            ("lasium-maml", "LASIUM-MAML", "ravi", None),
            ("lasium-protonets", "LASIUM-ProtoNets", "ravi", None),
            ("protoclr", "ProtoCLR", "ravi", None),
            ("psco", "PsCo", "ravi", None),
            ("default", "umeta, default", "ravi", None),
        ),
    ),
    "celeba": Sheet(
        protocol="packed10k",
        embeddings=("bigan", "deepcluster", "pixels"),
        ablated="deepcluster",
        changes={"n_way": 2, "n_partitions": 50},
        further=(("default", "umeta, default", "packed10k", None),),
    ),
    "glyphs": Sheet(
        protocol="scripts",
        embeddings=("acai", "pixels"),
        ablated="acai",
        changes={"n_clusters": 200, "n_partitions": 10},
        further=(("protoclr", "ProtoCLR", "scripts", None), ("default", "umeta, default", "scripts", None)),
    ),
}


def entries_of(benchmark: str, globs: Sequence[str] = ()) -> tuple[Entry, ...]:
    """Return the rows of a benchmark's table whose names fit one of the patterns; without patterns, all.

    Raises:
        InputError: There is no such table, or a pattern fits no row.
    """
    if benchmark not in SHEETS:
        raise unknown_name("table", benchmark, SHEETS)
    every = tuple(SHEETS[benchmark].entries())
    names = [entry.name for entry in every]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            told = did_you_mean(glob, names) or f" the rows are {', '.join(names)}"
            raise InputError(f"--rows {glob}: no row of the {benchmark} table is called that;{told}")
    return tuple(entry for entry in every if not globs or any(fnmatchcase(entry.name, glob) for glob in globs))


def by_lack(lacking: Mapping[str, str]) -> dict[str, str]:
    """Return the names of rows that lack something, joined, by what it is."""
    return {lack: ", ".join(name for name, what in lacking.items() if what == lack) for lack in dict.fromkeys(lacking.values())}


def available(benchmark: str, globs: Sequence[str] = ()) -> tuple[tuple[Entry, ...], dict[str, str]]:
    """Return the rows that this version can make, and for each other one what is lacking.

    Raises:
        InputError: A row was asked for by its full name, or no row at all can be made; also as `entries_of`.
    """
    lacking = {entry.name: lack for entry in entries_of(benchmark, globs) if (lack := entry.lacks(benchmark)) is not None}
    named = next((name for name in lacking if name in globs), None)
    found = tuple(entry for entry in entries_of(benchmark, globs) if entry.name not in lacking)
    if named is None and not found:
        named = next(iter(lacking))
    if named is not None:
        raise InputError(f"row {named} cannot be made by this version of umeta: {lacking[named]}")
    return found, lacking
