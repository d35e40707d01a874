"""Knows which verbs there are, and what those that learn, score or tell are called with; the work is imported only when a verb runs."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from tyro.conf import Positional, arg

from umeta.cli.bench import Bench
from umeta.cli.folder import RUN, check_folder
from umeta.cli.say import say, say_json
from umeta.cli.theory import Theory
from umeta.cli.using import Adapt, Export, Head, Predict, Report, Rollout, Serve, Suggest
from umeta.recipes.route import is_control_run, is_environment


class Verb(Protocol):
    """One command."""

    example: ClassVar[str]

    def run(self) -> int:
        """Do it; returns the exit code."""
        ...


@dataclass(frozen=True)
class Demo:
    """Run the main job on built-in data: glyphs of fonts, whole scripts held out for the test."""

    example: ClassVar[str] = "umeta demo"
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("runs/demo")
    """Where the run goes; an earlier demo there is replaced."""
    budget: Annotated[str, arg(metavar="TIME")] = "80s"
    """Time to learn."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of all randomness."""
    control: bool = False
    """Instead: learn to move a point without a reward, then follow rewards that people wrote."""

    def run(self) -> int:
        """Do it."""
        began = time.monotonic()
        if self.control:
            from umeta.cli.control_demo import run_control_demo
            from umeta.recipes.budget import seconds as seconds_of

            return run_control_demo(self.out, seconds_of(self.budget), self.seed, began)
        from umeta.cli.demo import run_demo
        from umeta.recipes.budget import seconds

        return run_demo(self.out, seconds(self.budget), self.seed, began)


@dataclass(frozen=True)
class Inspect:
    """Say what is in a source: counts, sizes, duplicates, bad files; or how good a run's partitions are. Nothing is changed."""

    example: ClassVar[str] = "umeta inspect photos/"
    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """A folder, an .npz, .parquet or .tar file, a benchmark's name, env:ID, or a run folder: its clusters' sizes, silhouette, stability."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(Path(self.source), "inspect", *RUN)
        if is_environment(self.source):
            from umeta.cli import control_work

            return control_work.run_inspect(self)
        from umeta.artifacts.run import is_run
        from umeta.cli.show import inspection_text, partition_text, read_partition_quality
        from umeta.images.inspection import inspect_source
        from umeta.recipes.request import read_source, resolve

        if is_run(Path(self.source)):
            quality = read_partition_quality(Path(self.source))
            say_json(quality) if self.json else say(partition_text(self.source, quality))
            return 0
        source, _ = read_source(resolve(self.source))
        summary = inspect_source(source)
        say_json(summary) if self.json else say(inspection_text(self.source, summary))
        return 0


@dataclass(frozen=True)
class Learn:
    """Propose tasks, from unlabeled images or in an environment without a reward, practice, and save the learning procedure."""

    example: ClassVar[str] = "umeta learn photos/ --out runs/photos --budget 20m"
    source: Annotated[Positional[str], arg(metavar="SOURCE")]
    """A folder of images (folder names are not labels), an .npz with `images`, .parquet or .tar shards, a URL of a folder or of shards, a
    benchmark's name, or env:ID, an environment."""
    out: Annotated[Path, arg(metavar="FOLDER")]
    """The run folder."""
    recipe: Annotated[str, arg(metavar="NAME")] = "default"
    """A name that `umeta recipes` lists."""
    budget: Annotated[str | None, arg(metavar="TIME", help_behavior_hint="")] = None
    """Time for everything: 90s, 20m, 2h. Without --budget and --steps: 20m."""
    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Steps of every trained stage, instead of a budget; exactly repeatable."""
    seed: Annotated[int, arg(metavar="N")] = 0
    """Of all randomness."""
    protocol: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Of a benchmark source: which classes' images are in the pool; default its first."""
    embedding: Annotated[str | None, arg(metavar="HOW", help_behavior_hint="")] = None
    """acai, bigan, infogan, deepcluster, vae, pixels, contrast, an .npz with one row per image, a run folder (its embedding, or else the
    network that it learned), or an encoder that others trained: hf:NAME (a vision model of transformers, or its folder) or onnx:FILE."""
    encoder_labels: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """What labels an encoder of others has seen, kept and reported: none, or "ImageNet-1k, 1.3 million"."""
    partition: Annotated[Literal["kmeans", "hyperplanes", "random", "pixels"] | None, arg(metavar="HOW", help_behavior_hint="")] = None
    """How the embedding is cut: kmeans, hyperplanes, random labels, or pixels: k-means on whitened pixels."""
    margin: Annotated[float | None, arg(metavar="M", help_behavior_hint="")] = None
    """Of hyperplanes, in standard deviations; images nearer to one are left out."""
    labeled_share: Annotated[float | None, arg(metavar="P", help_behavior_hint="")] = None
    """Of a semi-supervised recipe: share of the tasks that are made of a benchmark's true classes."""
    clusters: Annotated[tuple[int, ...] | None, arg(metavar="K...", help_behavior_hint="")] = None
    """k of k-means; partitions take several in turn."""
    partitions: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Clusterings of the embedding."""
    augment: Annotated[
        Literal["affine", "drawings", "photos", "shifts", "latent-noise", "latent-mix", "none"] | None,
        arg(metavar="HOW", help_behavior_hint=""),
    ] = None
    """How practice images are changed at random: affine, drawings, photos, shifts as in UMTRA, latent-noise or latent-mix (drawn by a VAE),
    or none as in CACTUs."""
    splits: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Episodes that ProtoNets makes from each embedded one; 1 is the published form."""
    image_size: Annotated[int | None, arg(metavar="PIXELS", help_behavior_hint="")] = None
    """Side in pixels that images are brought to."""
    norm: Annotated[Literal["stored", "batch"] | None, arg(metavar="stored|batch", help_behavior_hint="")] = None
    """Of a gradient learner: normalize queries by stored statistics, or together (transductive)."""
    first_order: bool = False
    """Of a gradient learner: leave out second derivatives."""
    outer: Annotated[Literal["ppo", "trpo"] | None, arg(metavar="ppo|trpo", help_behavior_hint="")] = None
    """Of MAML in an environment: how the shared weights move, ppo (default) or trpo, as published."""
    net: Annotated[Literal["conv4", "resnet12"] | None, arg(metavar="conv4|resnet12", help_behavior_hint="")] = None
    """Network of ProtoNets and gradient learners."""
    on: Annotated[Literal["images", "embedding"] | None, arg(metavar="images|embedding", help_behavior_hint="")] = None
    """What ProtoNets and gradient learners on clusters see: images, or an embedding, by an MLP on top of its frozen encoder."""
    start: Annotated[Literal["random", "embedding"] | None, arg(metavar="random|embedding", help_behavior_hint="")] = None
    """Where ProtoNets and gradient learners on clusters begin: at random weights, or at those of the network of --embedding."""
    lr: Annotated[float | None, arg(metavar="RATE", help_behavior_hint="")] = None
    """The first learning rate of practice, in place of the recipe's; less suits a beginning at weights that are good already."""
    width: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Filters of the network's first block, or units of an MLP's layers; fewer are faster."""
    normalization: Annotated[Literal["batch", "layer", "none"] | None, arg(metavar="batch|layer|none", help_behavior_hint="")] = None
    """Of a conv4: over a batch of images, over each image, or none."""
    engine: Literal["local", "ray"] = "local"
    """Who works: this process, or workers that Ray starts, who share the practice on images, or run the episodes in an environment."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Of Ray: how many workers; default as many as there are processors and the tasks allow."""
    address: Annotated[str | None, arg(metavar="HOST:PORT", help_behavior_hint="")] = None
    """Of Ray: a cluster that this machine is part of; default one of its own on this machine, for as long as the run takes."""
    resume: bool = False
    """Go on with a stopped run."""
    overwrite: bool = False
    """Replace a run that is there."""
    dry_run: bool = False
    """Say what would be done, and stop."""
    json: bool = False
    """Print the manifest as one JSON object."""

    def run(self) -> int:
        """Do it."""
        began = time.monotonic()
        if is_environment(self.source):
            from umeta.cli import control_work

            return control_work.run_learn(self, began)
        from umeta.cli.work import run_learn

        return run_learn(self, began)


@dataclass(frozen=True)
class Evaluate:
    """Score a run on held-out tasks that people labeled, or whose rewards people wrote."""

    example: ClassVar[str] = "umeta evaluate runs/proto --on omniglot --protocol cactus --queries 5 --baselines"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""
    on: Annotated[str, arg(metavar="BENCHMARK")]
    """The benchmark's name, or lake: the protocol lake of omniglot."""
    protocol: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """One of the benchmark's; default the run's own, else the benchmark's first."""
    ways: Annotated[tuple[int, ...] | None, arg(metavar="N...", help_behavior_hint="")] = None
    """Classes per task."""
    shots: Annotated[tuple[int, ...] | None, arg(metavar="K...", help_behavior_hint="")] = None
    """Support images per class."""
    queries: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Query images per class."""
    tasks: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Tasks of each kind; 1000 of images, 40 in an environment."""
    task_seed: Annotated[int, arg(metavar="N")] = 0
    """Which tasks are drawn."""
    head: Annotated[tuple[Head, ...], arg(metavar="NAME...", help_behavior_hint="")] = ()
    """How tasks are learned in the run's embedding, each a row of its own: prototypes, power, center, tune, linear, nearest, or em
    (transductive); gradient is the way of runs that take gradient steps."""
    baselines: bool = False
    """Score classical classifiers and training from scratch too."""
    norm: Annotated[Literal["stored", "batch"] | None, arg(metavar="stored|batch", help_behavior_hint="")] = None
    """Of a gradient learner: normalize queries by stored statistics, or together (transductive)."""
    allow_overlap: bool = False
    """Score even if test images were in the training pool, and say so in every row."""
    csv: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Write one line per method, kind of task and adaptation step."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "evaluate", *RUN)
        if is_control_run(self.run_folder):
            from umeta.cli import control_work

            return control_work.run_evaluate(self)
        from umeta.cli.work import run_evaluate

        return run_evaluate(self)


@dataclass(frozen=True)
class Compare:
    """Put runs side by side: accuracies or returns with intervals, and differences on the same tasks."""

    example: ClassVar[str] = "umeta compare runs/proto runs/maml"
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...")]
    """Runs that were evaluated on the same tasks."""
    on: Annotated[str | None, arg(metavar="BENCHMARK", help_behavior_hint="")] = None
    """Only results on this benchmark."""
    protocol: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Only results under this protocol."""
    json: bool = False
    """Print one JSON object."""

    def run(self) -> int:
        """Do it."""
        for run in self.runs:
            check_folder(run, "compare", *RUN)
        if any(is_control_run(run) for run in self.runs):
            from umeta.cli import control_work

            return control_work.run_compare(self)
        from umeta.cli.work import run_compare

        return run_compare(self)


@dataclass(frozen=True)
class Recipes:
    """List the recipes, each with the papers that it is of."""

    example: ClassVar[str] = "umeta recipes"
    json: bool = False
    """Print every setting of each as one JSON object."""

    def run(self) -> int:
        """Do it."""
        from dataclasses import asdict

        from umeta.evaluation.report import align
        from umeta.recipes.control.recipe import CONTROL_RECIPES, ControlRecipe
        from umeta.recipes.named import RECIPES
        from umeta.recipes.papers import short_citation
        from umeta.recipes.recipe import Recipe

        made: dict[str, Recipe | ControlRecipe] = {name: make() for name, make in RECIPES.items()}
        made |= {name: make() for name, make in CONTROL_RECIPES.items()}
        if self.json:
            say_json({"recipes": {name: asdict(recipe) for name, recipe in made.items()}})
        else:
            rows = [[name, f"  {recipe.summary}  [{', '.join(map(short_citation, recipe.papers))}]"] for name, recipe in made.items()]
            width = max(len(row[1]) for row in rows)
            say(align([[name, told.ljust(width)] for name, told in rows]))
        return 0


@dataclass(frozen=True)
class Cite:
    """Print the papers that a run used, as BibTeX."""

    example: ClassVar[str] = "umeta cite runs/proto"
    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run."""

    def run(self) -> int:
        """Do it."""
        check_folder(self.run_folder, "cite", *RUN)
        from umeta.cli.work import run_cite

        return run_cite(self)


VERBS: dict[str, type[Verb]] = {
    "demo": Demo,
    "inspect": Inspect,
    "learn": Learn,
    "evaluate": Evaluate,
    "adapt": Adapt,
    "predict": Predict,
    "rollout": Rollout,
    "compare": Compare,
    "report": Report,
    "serve": Serve,
    "export": Export,
    "suggest": Suggest,
    "theory": Theory,
    "bench": Bench,
    "recipes": Recipes,
    "cite": Cite,
}
