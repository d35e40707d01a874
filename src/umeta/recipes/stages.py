"""Knows each stage of a run, and how a stopped one is picked up where it was left."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact, write_json
from umeta.artifacts.run import RunFolder, StageObserver
from umeta.benchmarks.oracle import mixed_weights, usable_labelings
from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.hands import Hands, in_turn
from umeta.core.loop import Pace, Position, meta_train
from umeta.core.metalearner import MetaLearner, Metrics, TrainState
from umeta.core.parallel import ALONE, Team
from umeta.core.progress import Reporter
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.prototypes import Metric
from umeta.images.agreement import Agreement
from umeta.images.augment import VIEWS
from umeta.images.cache import ImageCache, build_cache
from umeta.images.embed.encoder import Encoder, embed_all, quick
from umeta.images.embed.training import StoredEncoder
from umeta.images.embed.vae import VaeEncoder
from umeta.images.episode import Augmentation, Episode, Pool
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.learners.heads import HEADS
from umeta.images.learners.in_context import ContextLearner
from umeta.images.learners.maml import Maml
from umeta.images.learners.on_embedding import OnEmbedding
from umeta.images.learners.protonets import ProtoNets, PrototypeProcedure
from umeta.images.partition.neighbors import nearest, partners, shared_neighbors
from umeta.images.partition.partition import Partitions
from umeta.images.partition.quality import PARTITION_QUALITY, describe_partitions
from umeta.images.source import ArraySource, ImageSource
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.latents import LatentViews
from umeta.images.tasks.mixtures import Mixtures
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.recipes.embeddings import EmbeddingStage
from umeta.recipes.pacing import Stages
from umeta.recipes.parts import make_learner, make_partitioner
from umeta.recipes.request import Plan, Request, are_drawings, image_sizes, spread

StateT = TypeVar("StateT", bound=TrainState)
AGREEING_IMAGES = 2048
NEAR_CHANCE = 1.5
LEAST_KEPT = 0.9
PARTITION_SHARE = 1 / 6
HEAD_WAYS, HEAD_SHOTS, HEAD_QUERIES = 64, 5, 3


class Learning:
    """One run from images to a learning procedure; every stage picks up where a stopped run left it."""

    def __init__(
        self, request: Request, run: RunFolder, reporter: Reporter, stop: Callable[[], bool], team: Team = ALONE, hands: Hands | None = None
    ) -> None:
        self.request, self.recipe, self.run, self.reporter, self.stop = request, request.recipe, run, reporter, stop
        self.team, self.hands, self.by = team, hands, hands or in_turn
        self.rng = Rng.from_seed(request.seed)
        self.stages = Stages(request, run, reporter, stop)
        self.embedder = EmbeddingStage(request, run, self.stages, reporter, partial(self.counted, what="images embedded"), self.by)

    def pace(self, stage: str, share: float | None, after_s: float = 0.0) -> Pace:
        """Return a stage's pace; see `Stages`."""
        return self.stages.pace(stage, share, after_s)

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
        """Decode the source once; images that are one array already are not sent around."""
        self.reporter.stage("images")
        cache = build_cache(
            source,
            self.run.path / "cache",
            **image_sizes(self.request),
            drop_duplicates=not labeled,
            on_progress=lambda done, n: self.counted(done, n, "images"),
            by=None if isinstance(source, ArraySource) else self.hands,
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

    def partitions(self, cache: ImageCache, plan: Plan) -> Tensor:
        """Cluster the embedding, or where labels are drawn at random, nothing; returns pseudo-labels, shape [n_partitions, n_images]."""
        folder = self.run.path / "partition"
        if folder.is_dir():
            return read_artifact(folder, "partition")[0]["labels"].int()
        recipe = self.recipe
        matrix = torch.empty(len(cache.images), 0) if recipe.partition == "random" else self.embedder.obtain(cache).matrix
        self.reporter.stage("partition")
        partitioner = make_partitioner(recipe, plan)
        budget_s = self.request.budget_s
        labels = partitioner.fit(
            matrix,
            self.rng.fork("partition"),
            min_size=recipe.k_shot + plan.n_query,
            seconds=None if budget_s is None else budget_s * PARTITION_SHARE,
            on_progress=lambda done, n: self.counted(done, n, "partitions"),
            by=self.by,
        )
        if len(labels) < recipe.n_partitions:
            self.reporter.note(f"{len(labels)} of {recipe.n_partitions} partitions fit into the budget")
        compact = torch.from_numpy(np.stack(labels))
        compact = compact.to(torch.int16 if compact.max() < 2**15 else torch.int32)
        least = recipe.k_shot + plan.n_query
        quality = describe_partitions(labels, matrix if matrix.shape[1] else None, self.rng.fork("quality"), min_size=least)
        write_json(self.run.path / PARTITION_QUALITY, {"partition": recipe.partition, **quality})
        write_artifact(folder, "partition", {"labels": compact}, asdict(partitioner) | {"made": len(labels)})
        return compact.int()

    def tasks(self, cache: ImageCache, labels: NDArray[np.integer] | None, plan: Plan) -> PartitionTasks | InstanceTasks:
        """Propose tasks: from images, from clusters, or for an oracle from labels."""
        pool, recipe = Pool(cache.images), self.recipe
        augment = self.views(cache, plan)
        if recipe.proposal == "instances":
            if augment is None:
                raise InputError("where every image is a class, its examples are views of it: give another --augment than none")
            tasks = InstanceTasks(pool, plan.n_way, augment, plan.n_query, plan.n_turns, None, recipe.k_shot)
            return replace(tasks, clean_support=recipe.clean_support, n_each=recipe.n_each)
        if recipe.practice_on == "embedding":
            self.encoded(cache)  # refuses a matrix before it is clustered
        cells: list[NDArray[np.integer]] = [] if recipe.proposal == "truth" else list(self.partitions(cache, plan).numpy())
        weights = None
        if labels is not None:
            known = usable_labelings(labels, n_way=plan.n_way, k_shot=recipe.k_shot, n_query=plan.n_query)
            weights = mixed_weights(len(cells), len(known), recipe.labeled_share) if cells else None
            cells += list(known)
        partitions = Partitions.from_labels(cells, recipe.k_shot + plan.n_query)
        fewest = int(partitions.n_clusters.min())
        if fewest < 2:
            raise InputError(
                f"a partition of {len(cache.images)} images has only {fewest} cluster{'' if fewest == 1 else 's'} of "
                f"{recipe.k_shot + plan.n_query} or more, but tasks need 2; the images are too few or too much alike: "
                "give more, other --clusters, or another --embedding"
            )
        return PartitionTasks(pool, partitions, min(plan.n_way, fewest), recipe.k_shot, plan.n_query, augment, weights)

    def views(self, cache: ImageCache, plan: Plan) -> Augmentation | None:
        """Return how images of tasks are changed; where they are to be drawn from codes, that takes an embedding with a decoder."""
        if plan.augment not in ("latent-noise", "latent-mix"):
            return VIEWS.get(plan.augment)
        autoencoder = self.embedder.obtain(cache).encoder
        if not isinstance(autoencoder, VaeEncoder):
            raise InputError(
                f"{plan.augment} needs an embedding that can draw its codes; give --embedding vae, not {self.recipe.embedding}"
            )
        return LatentViews(autoencoder, "noise" if plan.augment == "latent-noise" else "mix")

    def adopted(self, cache: ImageCache) -> PrototypeProcedure:
        """Return prototypes on the encoder of the embedding, around the mean of the pool; nobody practices."""
        matrix, encoder = self.encoded(cache)
        return PrototypeProcedure(encoder, HEADS["center"](Metric(), lambda: matrix.mean(0)))

    def encoded(self, cache: ImageCache) -> tuple[Tensor, StoredEncoder]:
        """Return the matrix of the embedding and its encoder, where new images have to be embedded too."""
        embedding = self.embedder.obtain(cache)
        if embedding.encoder is None:
            raise InputError(f"{self.recipe.embedding} is a matrix without an encoder, so new images cannot be compared; name an encoder")
        return embedding.matrix, embedding.encoder

    def learner(self, cache: ImageCache, pool: Pool, plan: Plan) -> MetaLearner[Episode, ModuleState, ImageProcedure]:
        """Return the recipe's learner; one that practices on the embedding finds the pool's vectors in the pool."""
        if self.recipe.practice_on == "images":
            return make_learner(self.recipe, plan, self.embedder.network(cache) if self.recipe.start == "embedding" else None)
        matrix, encoder = self.encoded(cache)
        pool.keep(encoder, matrix)
        learner = make_learner(self.recipe, replace(plan, channels=matrix.shape[1], side=1))
        assert isinstance(learner, ProtoNets | Maml)
        return OnEmbedding(learner, encoder)

    def practice(
        self, cache: ImageCache, tasks: PartitionTasks | InstanceTasks, plan: Plan
    ) -> tuple[ImageProcedure, PartitionTasks | InstanceTasks]:
        """Practice on the proposed tasks, then in rounds or under a head as the recipe has it; returns the last tasks too."""
        recipe, rng = self.recipe, self.rng.fork("meta")
        learner = self.learner(cache, tasks.pool, plan)
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

        def agreed(encoder: Encoder) -> float:
            return self.team.mean({"agreement": agreement(encoder)})["agreement"]

        reached = agreed(procedure.encoder)
        for number in range(1, n_rounds + 1):
            name = f"round_{number}"
            near = replace(tasks, partners=self.neighbors(name, tasks.pool, procedure.encoder))
            share = None if number == n_rounds else 1 - self.recipe.rounds_share * (1 - number / n_rounds)
            latest = self.stage(name, learner, near, share, state, rng.fork(name))
            now = agreed(latest.encoder)
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
        agreement = self.agreement(tasks.pool)
        # Measured twice after the last step: for the curve, and for the manifest.
        pace = self.pace(name, share, 2 * agreement.cost_s(learner.export(state).encoder) if share is None else 0.0)
        start, observer = self.observed(name, pace, "accuracy", state, lambda now: {"agreement": agreement(learner.export(now).encoder)})
        batch = self.recipe.meta_batch_size
        procedure = meta_train(
            learner, tasks, meta_batch_size=batch, pace=pace, rng=rng, state=state, start=start, observer=observer, team=self.team
        )
        observer.close()
        return procedure

    def agreement(self, pool: Pool) -> Agreement:
        """Return the label-free measure of progress on a pool: the same for every recipe."""
        some = spread(pool.images, AGREEING_IMAGES)
        return Agreement(some, VIEWS["drawings" if are_drawings(some) else "photos"], Rng.from_seed(0).fork("agreement"))

    def neighbors(self, name: str, pool: Pool, encoder: Encoder) -> NDArray[np.int64]:
        """Return each image's neighbors by what was learned so far, shape [n_images, n_neighbors], as process 0 finds them."""
        if self.team.rank:
            return self.team.first(torch.zeros(len(pool.images), self.recipe.n_neighbors, dtype=torch.int64)).numpy()
        folder = self.run.path / "neighbors" / name
        if folder.is_dir():
            found = read_artifact(folder, "neighbors")[0]["partners"]
        else:
            self.reporter.stage(f"{name}: neighbors")
            near = nearest(embed_all(quick(encoder), pool.images, by=self.by), self.recipe.n_neighbors)
            least = self.recipe.least_shared
            found = torch.from_numpy(partners(shared_neighbors(near, least), least, self.recipe.n_neighbors))
            share = float((found[:, 0] != torch.arange(len(found))).float().mean())
            self.reporter.note(f"{name}: {share:.0%} of the images have others that share their neighbors")
            write_artifact(folder, "neighbors", {"partners": found}, {"n_neighbors": self.recipe.n_neighbors})
        return self.team.first(found).numpy()
