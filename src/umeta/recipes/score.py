"""Knows how a run is scored on a benchmark, beside the baselines on its own embedding."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, read_json, write_json
from umeta.benchmarks.benchmark import Benchmark, Labeled, check_protocol, scored_on
from umeta.benchmarks.oracle import FixedTasks, labeled_tasks
from umeta.core.errors import ArtifactError, InputError
from umeta.core.memory import keep_large_blocks
from umeta.core.progress import Quiet, Reporter
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores, evaluate
from umeta.evaluation.report import Report, Row
from umeta.functional.calibration import expected_calibration_error
from umeta.functional.statistics import mean_ci95
from umeta.images.cache import ImageCache
from umeta.images.calibration import Calibration
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.pixels import flatten_pixels
from umeta.images.episode import Episode, Episodes, Pool
from umeta.images.learners.adaptation import Statistics
from umeta.images.learners.baselines import registered
from umeta.images.learners.classifier import ImageProcedure, accuracy
from umeta.images.learners.maml import GradientProcedure
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.pixels import content_hash
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.tasks.partition_tasks import PartitionTasks

SCRATCH_TASKS = 50
SCRATCH_STEPS = 100
INDEPENDENT = ("pixels knn", "from scratch")


@dataclass(frozen=True)
class Question:
    """What to score on.

    Attributes:
        benchmark: Its name; "lake" is Omniglot under its protocol of that name.
        protocol: One of the benchmark's; None takes the run's own, or the first.
        ways: Classes per task; None takes the benchmark's.
        shots: Support images per class; None takes the benchmark's.
        queries: Query images per class; None takes the protocol's.
        n_tasks: Tasks of each kind.
        baselines: Whether to score the classical classifiers and training from scratch too.
        allow_overlap: Score even if test images were in the training pool, and say so.
        norm: For a gradient learner: normalization of queries, "batch" or "stored"; None as it was learned.
        task_seed: Which tasks are drawn; the same for every method.
        methods: Names of the baselines to score; None takes all.
        heads: Score the procedure once with each of these heads, see `umeta.images.learners.heads`; none takes its own.
        own: Whether the run's own procedure is scored, and not only baselines.
    """

    benchmark: str
    protocol: str | None = None
    ways: tuple[int, ...] | None = None
    shots: tuple[int, ...] | None = None
    queries: int | None = None
    n_tasks: int = 1000
    baselines: bool = False
    allow_overlap: bool = False
    norm: Statistics | None = None
    task_seed: int = 0
    methods: tuple[str, ...] | None = None
    heads: tuple[str, ...] = ()
    own: bool = True


@dataclass(frozen=True)
class Measure:
    """Scores a method on batches of tasks, and keeps how sure it was of every answer and whether that was right.

    Attributes:
        calibration: Of the method; None takes its scores as they are.
        confidence: Probability of every answer at the last adaptation step, one tensor a batch.
        right: 1 where the answer was right.
    """

    calibration: Calibration | None = None
    confidence: list[Tensor] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)

    def __call__(self, procedure: ImageProcedure, batch: Sequence[Episode], rng: Rng) -> NDArray[np.floating]:
        """Return the accuracy on every task of a batch after every adaptation step, shape [n_stage, n_task]."""
        assert isinstance(batch, Episodes)
        logits, labels = procedure.logits(batch, rng), batch.labels(batch.n_query)
        temperature = torch.ones(len(batch)) if self.calibration is None else self.calibration.of_tasks(procedure, batch, rng)
        confidence, answer = (logits[-1] / temperature[:, None, None]).softmax(-1).max(-1)
        self.confidence.append(confidence.flatten())
        self.right.append((answer == labels).float().flatten())
        result: NDArray[np.floating] = accuracy(logits, labels).numpy()
        return result

    def error(self) -> float:
        """Return the expected calibration error over all answers."""
        return expected_calibration_error(torch.cat(self.confidence), torch.cat(self.right))


def score(run: Path, question: Question, reporter: Reporter | None = None) -> Report:
    """Score a run's procedure on held-out tasks, and keep the result in the run folder.

    The process keeps the memory that it once took; see `umeta.core.memory`.

    Raises:
        InputError: Unknown benchmark or protocol, tasks larger than it allows, or test images that were in the training pool.
        ArtifactError: The run is unfinished or damaged.
    """
    reporter = reporter or Quiet()
    keep_large_blocks()
    shipped = ImageLearningProcedure.load(run)
    manifest = read_json(run / "manifest.json")
    benchmark, asked = scored_on(question.benchmark, question.protocol)
    protocol = asked or (manifest["protocol"] if manifest["source"] == benchmark.name else None) or benchmark.protocols[0]
    check_protocol(benchmark, protocol)
    held_out, fixed = benchmark.split(protocol, "meta_test"), benchmark.fixed_tasks(protocol)
    overlap = _overlap(run, [held_out.images, *(part.images for task in fixed for part in (task.support, task.query))])
    if overlap and not question.allow_overlap:
        raise InputError(
            f"{overlap} test images of {benchmark.name} {protocol} were in this run's training pool, so the result would not be held out; "
            "learn with that protocol, or give --allow-overlap to score all the same"
        )
    procedure = shipped.procedure
    if question.norm is not None:
        if not isinstance(procedure, GradientProcedure):
            raise InputError("--norm is for gradient learners; this procedure uses stored statistics")
        procedure = replace(procedure, inner=replace(procedure.inner, statistics=question.norm))
    labels = sum(manifest["labels_seen"].values())
    own = replace(shipped, procedure=procedure, calibration=None)
    headed = {f"{shipped.recipe} ({head})": own.with_head(head) for head in question.heads} or {shipped.recipe: own}
    methods: dict[str, Method] = {
        name: Method(one.procedure, question.n_tasks, labels, one.calibrated().calibration) for name, one in headed.items() if question.own
    }
    if question.baselines:
        found = _baselines(run, shipped, question.n_tasks).items()
        methods |= {name: Method(baseline, n) for name, (baseline, n) in found if question.methods is None or name in question.methods}
    encoder_labels = (manifest.get("encoder") or {}).get("labels", "")
    rows: list[Row] = []
    kinds = _task_kinds(benchmark, protocol, held_out, question, shipped)
    total, done = len(kinds) * len(methods), 0
    for tasks in kinds:
        for name, method in methods.items():
            reporter.stage(f"{name} {tasks.n_way}-way {tasks.k_shot}-shot ({done + 1} of {total})")
            rng = Rng.from_seed(question.task_seed).fork(f"{tasks.n_way}-{tasks.k_shot}")
            n, measure = min(method.n_tasks, tasks.n_fixed or method.n_tasks), Measure(method.calibration)
            scores = evaluate(method.procedure, tasks.tasks, measure, n_tasks=n, rng=rng, on_progress=reporter.update)
            row = _row(name, tasks, method, scores, measure.error(), overlap)
            rows.append(row if name in INDEPENDENT else replace(row, encoder_labels=encoder_labels))
            done += 1
    facts: dict[str, Any] = {
        "meta_test_classes": held_out.n_classes,
        "meta_test_images": len(held_out.images),
        "pool_images": manifest["plan"]["n_images"],
        "learn_seconds": manifest["elapsed_s"],
        "machine": manifest["machine"],
    }
    report = Report(benchmark.name, protocol, manifest["seed"], question.task_seed, manifest["labels_seen"], facts, tuple(rows))
    _keep(run / "evaluation" / f"{benchmark.name}-{protocol}.json", report)
    return report


@dataclass(frozen=True)
class Method:
    """What is scored on how many tasks, the labels that it saw before, and what makes its probabilities honest."""

    procedure: ImageProcedure
    n_tasks: int
    labels_seen: int = 0
    calibration: Calibration | None = None


def _keep(path: Path, report: Report) -> None:
    """Add rows to those of earlier calls; one of the same method, kind of task and mode takes the earlier one's place."""
    rows = {}
    earlier = Report.from_json(read_json(path)) if path.is_file() else report
    for row in (*(earlier.rows if earlier.task_seed == report.task_seed else ()), *report.rows):
        rows[row.method, row.n_way, row.k_shot, row.n_query, row.transductive] = row
    path.parent.mkdir(exist_ok=True)
    write_json(path, replace(report, rows=tuple(rows.values())).to_json(with_tasks=True))


@dataclass(frozen=True)
class TaskKind:
    """Tasks of one shape; `n_fixed` is their number where the benchmark has laid them down, else 0."""

    tasks: PartitionTasks | FixedTasks
    n_way: int
    k_shot: int
    n_query: int
    n_fixed: int = 0


def _task_kinds(
    benchmark: Benchmark, protocol: str, held_out: Labeled, question: Question, shipped: ImageLearningProcedure
) -> list[TaskKind]:
    fixed = benchmark.fixed_tasks(protocol)
    if fixed and question.ways is None and question.shots is None:
        tasks = FixedTasks.gather(fixed, shipped.preparation.pool)
        n_way, n_image = tasks.indices.shape[1:]
        return [TaskKind(tasks, n_way, tasks.k_shot, n_image - tasks.k_shot, len(fixed))]
    pool = Pool(shipped.preparation.pool(held_out.images))
    n_query = question.queries or benchmark.n_query(protocol)
    return [
        TaskKind(labeled_tasks(held_out, pool, n_way=n_way, k_shot=k_shot, n_query=n_query), n_way, k_shot, n_query)
        for n_way in question.ways or benchmark.ways
        for k_shot in question.shots or benchmark.shots
    ]


def _baselines(run: Path, shipped: ImageLearningProcedure, n_tasks: int) -> dict[str, tuple[ImageProcedure, int]]:
    found: dict[str, tuple[ImageProcedure, int]] = {"pixels knn": (registered(flatten_pixels)["knn"], n_tasks)}
    if (run / "embedding").is_dir():
        embedding = Embedding.read(run / "embedding")
        if embedding.encoder is not None:
            labels = None
            if (run / "partition").is_dir():
                labels = read_artifact(run / "partition", "partition")[0]["labels"][0].long()
            named = registered(embedding.encoder, embedding.matrix, labels)
            found |= {f"{embedding.method} {name}": (baseline, n_tasks) for name, baseline in named.items()}
    net = Conv4Config.adapted(shipped.preparation.channels, shipped.preparation.side)
    scratch = GradientProcedure.from_scratch(net, 20, Rng.from_seed(0).fork("scratch"), n_steps=SCRATCH_STEPS)
    found["from scratch"] = (scratch, min(n_tasks, SCRATCH_TASKS))
    return found


def _overlap(run: Path, test: Sequence[NDArray[np.uint8]]) -> int:
    pool = {row.tobytes() for row in ImageCache.open(run / "cache").hashes}
    pixels = (image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1) for images in test for image in images)
    return sum(content_hash(one) in pool for one in pixels)


def _row(name: str, kind: TaskKind, method: Method, scores: Scores, ece: float, overlap: int) -> Row:
    mean, ci95 = scores.summary()
    return Row(
        method=name,
        n_way=kind.n_way,
        k_shot=kind.k_shot,
        n_query=kind.n_query,
        accuracy=mean,
        ci95=ci95,
        n_tasks=scores.values.shape[1],
        transductive=method.procedure.transductive,
        labels_seen=method.labels_seen,
        overlap=overlap,
        ece=ece,
        curve=tuple(mean_ci95(stage) for stage in scores.values),
        per_task=tuple(scores.values[-1].tolist()),
    )


def read_reports(run: Path) -> list[Report]:
    """Return the kept results of a run.

    Raises:
        InputError: There is no such folder.
        ArtifactError: It has no results, or a file of them is damaged.
    """
    if not run.is_dir():
        raise InputError(f"{run} is not a run folder")
    files = sorted((run / "evaluation").glob("*.json"))
    if not files:
        raise ArtifactError(f"{run} has no results yet; run `umeta evaluate {run} --on BENCHMARK` first")
    return [Report.from_json(read_json(path)) for path in files]
