"""Knows each stage of a run, and how a stopped one is picked up where it was left."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.artifacts.run import RunFolder, StageObserver
from umeta.benchmarks.oracle import usable_labelings
from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.loop import Pace, Position, meta_train
from umeta.core.metalearner import MetaLearner, Metrics, TrainState
from umeta.core.progress import Reporter
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.images.agreement import Agreement
from umeta.images.augment import VIEWS
from umeta.images.cache import ImageCache, build_cache
from umeta.images.embed.acai import Acai
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.encoder import Encoder, embed_all, quick
from umeta.images.embed.external import read_embedding
from umeta.images.embed.pixels import PixelsZca
from umeta.images.episode import Episode, Pool
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.learners.in_context import ContextLearner
from umeta.images.learners.maml import InnerLoop, Maml
from umeta.images.learners.protonets import ProtoNets, PrototypeProcedure
from umeta.images.learners.psco import PsCo
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.neighbors import nearest, partners, shared_neighbors
from umeta.images.partition.partition import Partitions
from umeta.images.source import ImageSource
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.mixtures import Mixtures
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.recipes.pacing import Stages
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import Plan, Request, are_drawings, image_sizes, spread

StateT = TypeVar("StateT", bound=TrainState)
AGREEING_IMAGES = 2048
NEAR_CHANCE = 1.5
LEAST_KEPT = 0.9
PARTITION_SHARE = 1 / 6
HEAD_WAYS, HEAD_SHOTS, HEAD_QUERIES = 64, 5, 3


class Learning:
    """One run from images to a learning procedure; every stage picks up where a stopped run left it."""

    def __init__(self, request: Request, run: RunFolder, reporter: Reporter, stop: Callable[[], bool]) -> None:
        self.request, self.recipe, self.run, self.reporter, self.stop = request, request.recipe, run, reporter, stop
        self.rng = Rng.from_seed(request.seed)
        self.stages = Stages(request, run, reporter, stop)

    def pace(self, stage: str, share: float | None) -> Pace:
        """Return a stage's pace; see `Stages`."""
        return self.stages.pace(stage, share)

    def observed(
        self, stage: str, pace: Pace, shown: str, state: StateT, probe: Callable[[StateT], Metrics] | None = None
    ) -> tuple[Position | None, StageObserver]:
        """Load the newest checkpoint of a stage into `state` and return its position and an observer."""
        return self.stages.observed(stage, pace, shown, state, probe)

    def counted(self, done: int, n: int, what: str) -> None:
        """Show progress of a stage that is repeated from its beginning if somebody asks to stop."""
        self.reporter.update(done / max(n, 1), f"{done} of {n} {what}")
        if self.stop() and done < n:
            raise InterruptedRunError(f"stopped after {done} of {n} {what}")

    def cache(self, source: ImageSource, *, labeled: bool) -> ImageCache:
        """Decode the source once."""
        self.reporter.stage("images")
        cache = build_cache(
            source,
            self.run.path / "cache",
            **image_sizes(self.request),
            drop_duplicates=not labeled,
            on_progress=lambda done, n: self.counted(done, n, "images"),
        )
        shutil.copyfile(cache.path / "skipped.csv", self.run.path / "skipped.csv")
        if cache.info["n_skipped"]:
            self.reporter.note(f"{cache.info['n_skipped']} images could not be used; they are named in {self.run.path / 'skipped.csv'}")
        if cache.info.get("n_elongated"):
            self.reporter.note(
                f"{cache.info['n_elongated']} images are more than twice as long as wide; only their middle squares are seen"
            )
        if cache.info["n_duplicates"] and not labeled:
            self.reporter.note(f"{cache.info['n_duplicates']} exact duplicates are used once")
        return cache

    def embedding(self, cache: ImageCache) -> Embedding:
        """Train, fit, read or take over the embedding."""
        folder = self.run.path / "embedding"
        pool = fingerprint(cache)
        if folder.is_dir():
            return Embedding.read(folder, pool)
        method, rng = self.recipe.embedding, self.rng.fork("embedding")
        channels, side = cache.images.shape[1], cache.images.shape[2]
        if method == "acai":
            acai = Acai()
            state = acai.init(channels, side, rng.fork("init"))
            pace = self.pace("embedding", self.recipe.embedding_share)
            start, observer = self.observed("embedding", pace, "reconstruction_error", state)
            encoder = acai.fit(cache.images, pace, rng, state=state, start=start, observer=observer)
            observer.close()
            made = Embedding(embed_all(encoder, cache.images), pool, "acai", encoder, acai.describe(channels, side))
        elif method in ("pixels", "contrast"):
            self.reporter.stage("embedding")
            whitened = PixelsZca.fit(cache.images, whiten=method == "pixels")
            made = Embedding(embed_all(whitened, cache.images), pool, method, whitened, whitened.describe())
        elif method.endswith(".npz"):
            made = Embedding(read_embedding(Path(method), len(cache.images)), pool, "external", None, {})
        else:
            made = Embedding.read(Path(method) / "embedding", pool)
        made.write(folder)
        return made

    def partitions(self, embedding: Embedding, plan: Plan) -> Tensor:
        """Cluster the embedding; returns pseudo-labels, shape [n_partitions, n_images]."""
        folder = self.run.path / "partition"
        if folder.is_dir():
            return read_artifact(folder, "partition")[0]["labels"].int()
        self.reporter.stage("partition")
        recipe = self.recipe
        partitioner = KMeansPartitioner(plan.n_clusters, recipe.n_partitions)
        budget_s = self.request.budget_s
        labels = partitioner.fit(
            embedding.matrix,
            self.rng.fork("partition"),
            min_size=recipe.k_shot + plan.n_query,
            seconds=None if budget_s is None else budget_s * PARTITION_SHARE,
            on_progress=lambda done, n: self.counted(done, n, "partitions"),
        )
        if len(labels) < recipe.n_partitions:
            self.reporter.note(f"{len(labels)} of {recipe.n_partitions} partitions fit into the budget")
        compact = torch.from_numpy(np.stack(labels)).to(torch.int16 if plan.n_clusters < 2**15 else torch.int32)
        write_artifact(folder, "partition", {"labels": compact}, asdict(partitioner) | {"made": len(labels)})
        return compact.int()

    def tasks(self, cache: ImageCache, labels: NDArray[np.integer] | None, plan: Plan) -> PartitionTasks | InstanceTasks:
        """Propose tasks: from images, from clusters, or for an oracle from labels."""
        pool, recipe = Pool(cache.images), self.recipe
        augment = VIEWS.get(plan.augment)
        if recipe.proposal == "instances":
            if augment is None:
                raise InputError("where every image is a class, its examples are views of it: give another --augment than none")
            return InstanceTasks(pool, plan.n_way, augment, plan.n_query, plan.n_turns, clean_support=recipe.clean_support)
        if labels is not None:
            cells = list(usable_labelings(labels, n_way=plan.n_way, k_shot=recipe.k_shot, n_query=plan.n_query))
        else:
            cells = list(self.partitions(self.embedding(cache), plan).numpy())
        partitions = Partitions.from_labels(cells, recipe.k_shot + plan.n_query)
        fewest = int(partitions.n_clusters.min())
        if fewest < 2:
            raise InputError(
                f"a partition has only {fewest} clusters of {recipe.k_shot + plan.n_query} images, but tasks need 2; "
                "the images are too few or too much alike: give more, or fewer --clusters"
            )
        return PartitionTasks(pool, partitions, min(plan.n_way, fewest), recipe.k_shot, plan.n_query, augment)

    def practice(self, tasks: PartitionTasks | InstanceTasks, plan: Plan) -> tuple[ImageProcedure, PartitionTasks | InstanceTasks]:
        """Practice on the proposed tasks, then in rounds or under a head as the recipe has it; returns the last tasks too."""
        recipe, rng = self.recipe, self.rng.fork("meta")
        learner = make_learner(recipe, plan)
        state = learner.init(rng.fork("init"))
        later = recipe.head_share if recipe.learner == "in-context" else recipe.rounds_share if plan.n_rounds else None
        procedure = self.stage("meta_train", learner, tasks, 1 - later if later else None, state, rng)
        if later is None:
            return procedure, tasks
        assert isinstance(tasks, InstanceTasks)
        if recipe.learner == "in-context":
            return self.head(procedure, tasks, rng.fork("head"))
        return self.rounds(plan.n_rounds, learner, state, procedure, tasks, rng)

    def rounds(
        self,
        n_rounds: int,
        learner: MetaLearner[Episode, ModuleState, ImageProcedure],
        state: ModuleState,
        procedure: ImageProcedure,
        tasks: InstanceTasks,
        rng: Rng,
    ) -> tuple[ImageProcedure, InstanceTasks]:
        """Embed the images by what was learned so far, and practice on tasks in which neighbors stand in for views; several times."""
        agreement = self.agreement(tasks.pool)
        reached = agreement(procedure.encoder)
        for number in range(1, n_rounds + 1):
            name = f"round_{number}"
            near = replace(tasks, partners=self.neighbors(name, tasks.pool, procedure.encoder))
            share = None if number == n_rounds else 1 - self.recipe.rounds_share * (1 - number / n_rounds)
            latest = self.stage(name, learner, near, share, state, rng.fork(name))
            now = agreement(latest.encoder)
            if now < LEAST_KEPT * reached:
                self.reporter.note(f"{name}: views agree less than before it ({now:.1%} after {reached:.1%}), so it is taken back")
                break
            procedure, tasks, reached = latest, near, now
        return procedure, tasks

    def head(self, encoder: ImageProcedure, tasks: InstanceTasks, rng: Rng) -> tuple[ImageProcedure, InstanceTasks]:
        """Practice a head on the frozen network, on tasks with more shots and mixtures; returns the last tasks too."""
        assert isinstance(encoder, PrototypeProcedure)
        n_way = min(HEAD_WAYS, tasks.n_way)
        mixtures = Mixtures(tasks.augment, tasks.pool, HEAD_SHOTS + HEAD_QUERIES, HEAD_SHOTS, tasks.n_turns)
        tasks = replace(tasks, n_way=n_way, k_shot=HEAD_SHOTS, n_query=HEAD_QUERIES, augment=mixtures)
        learner = ContextLearner(encoder)
        return self.stage("head", learner, tasks, None, learner.init(rng.fork("init")), rng), tasks

    def stage(
        self,
        name: str,
        learner: MetaLearner[Episode, ModuleState, ImageProcedure],
        tasks: PartitionTasks | InstanceTasks,
        share: float | None,
        state: ModuleState,
        rng: Rng,
    ) -> ImageProcedure:
        """Practice on tasks for a stage of its own, from `state` on, which moves along."""
        pace, agreement = self.pace(name, share), self.agreement(tasks.pool)
        start, observer = self.observed(name, pace, "accuracy", state, lambda now: {"agreement": agreement(learner.export(now).encoder)})
        batch = self.recipe.meta_batch_size
        procedure = meta_train(learner, tasks, meta_batch_size=batch, pace=pace, rng=rng, state=state, start=start, observer=observer)
        observer.close()
        return procedure

    def agreement(self, pool: Pool) -> Agreement:
        """Return the label-free measure of progress on a pool: the same for every recipe."""
        some = spread(pool.images, AGREEING_IMAGES)
        return Agreement(some, VIEWS["drawings" if are_drawings(some) else "photos"], Rng.from_seed(0).fork("agreement"))

    def neighbors(self, name: str, pool: Pool, encoder: Encoder) -> NDArray[np.int64]:
        """Embed the pool by what was learned so far, and return each image's neighbors."""
        folder = self.run.path / "neighbors" / name
        if folder.is_dir():
            return read_artifact(folder, "neighbors")[0]["partners"].numpy()
        self.reporter.stage(f"{name}: neighbors")

        near = nearest(embed_all(quick(encoder), pool.images), self.recipe.n_neighbors)
        found = partners(shared_neighbors(near), self.recipe.least_shared, self.recipe.n_neighbors)
        share = float((found[:, 0] != np.arange(len(found))).mean())
        self.reporter.note(f"{name}: {share:.0%} of the images have others that share their neighbors")
        write_artifact(folder, "neighbors", {"partners": torch.from_numpy(found)}, {"n_neighbors": self.recipe.n_neighbors})
        return found


def make_learner(recipe: Recipe, plan: Plan) -> MetaLearner[Episode, ModuleState, ImageProcedure]:
    """Return a recipe's learner for the images of a plan."""
    if recipe.learner == "psco":
        # Four shots on photos and one on drawings, as the authors have it.
        net = Conv4Config(plan.channels, plan.side, 64, plan.downsample)
        n_queue = min(PsCo.n_queue, plan.n_images * plan.n_turns)
        return PsCo(net, n_queue, 4 if plan.augment == "photos" else 1, lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.learner in ("protonets", "in-context"):
        net = Conv4Config(plan.channels, plan.side, 64, plan.downsample, signed=recipe.signed)
        return ProtoNets(net, recipe.metric, recipe.objective, recipe.lr, recipe.weight_decay, recipe.average, recipe.n_splits)
    net = Conv4Config(plan.channels, plan.side, 32, "stride", stored=False, scale=False)
    return Maml(net, plan.n_way, InnerLoop(first_order=recipe.first_order, statistics=recipe.norm))


def fingerprint(cache: ImageCache) -> str:
    """Return a hash of a pool's content, in its order and size."""
    shape = np.asarray(cache.images.shape).tobytes()
    return hashlib.sha256(shape + np.ascontiguousarray(cache.hashes).tobytes()).hexdigest()
