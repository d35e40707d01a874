"""Knows how the stages of a run follow one another, each from the artifact of the one before."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from umeta.artifacts.artifact import read_json
from umeta.artifacts.run import RunFolder, defaults_of
from umeta.core.hands import Hands
from umeta.core.memory import keep_large_blocks
from umeta.core.parallel import ALONE, Team
from umeta.core.progress import Quiet, Reporter
from umeta.images.cache import build_cache
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.outside import OutsideEncoder
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.preparation import Preparation
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.sheet import draw_tasks
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.recipes.papers import papers_used
from umeta.recipes.request import Plan, Request, cautions, image_sizes, read_source
from umeta.recipes.sharing import check_shared, mirrored
from umeta.recipes.stages import NEAR_CHANCE, Learning


def plan(request: Request, folder: Path) -> Plan:
    """Look at the images of a request without training; `folder` receives a temporary cache."""
    source, labels = read_source(request)
    cache = build_cache(source, folder / "cache", **image_sizes(request), drop_duplicates=labels is None)
    return Plan.fit(request, cache, labels)


def learn(
    request: Request,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    began: float | None = None,
    team: Team = ALONE,
    hands: Hands | None = None,
) -> dict[str, Any]:
    """Propose tasks, meta-train, and save the learning procedure.

    The process keeps the memory that it once took; see `umeta.core.memory`.

    Args:
        request: What to do.
        out: The run folder.
        resume: Go on with a stopped run; a finished one is left as it is.
        overwrite: Replace a run that is there.
        reporter: Where progress goes.
        stop: Asked after every step whether to end early with a checkpoint.
        began: When the command began, on `time.monotonic`'s clock, so that its start-up counts toward the budget; None is now.
        team: The processes that share the practice; all but the first wait for what it prepares, and leave the run folder alone.
        hands: Who reads, embeds and clusters the images of process 0; None is this process.

    Returns:
        The manifest.

    Raises:
        UmetaError: Of the kind that fits; see `umeta.core.errors`.
    """
    reporter = reporter or Quiet()
    check_shared(request, team)
    stop = stop or (lambda: False)
    keep_large_blocks()
    usual = defaults_of(request.recipe)
    if team.rank:
        with mirrored(out, team) as mirror:
            start = partial(RunFolder.start, mirror, asdict(request), resume=True, overwrite=False, usual=usual)
            return _learn(request, start, Quiet(), stop, None, team, None)
    start = partial(RunFolder.start, out, asdict(request), resume=resume, overwrite=overwrite, usual=usual)
    return _learn(request, start, reporter, stop, began, team, hands)


def _learn(
    request: Request,
    start: Callable[[], RunFolder],
    reporter: Reporter,
    stop: Callable[[], bool],
    began: float | None,
    team: Team,
    hands: Hands | None,
) -> dict[str, Any]:
    source, labels = read_source(request)
    run = start()
    run.count(time.monotonic() - began if began is not None else 0.0)
    out = run.path
    if run.finished:
        run.release()
        team.go_on()
        reporter.note(f"{out} is finished")
        return read_json(out / "manifest.json")
    with run.held():
        work = Learning(request, run, reporter, stop, team, hands)
        cache = work.cache(source, labeled=labels is not None)
        del source  # it may hold all images, which are on disk by now
        found = Plan.fit(request, cache, labels)
        reporter.note(found.told())
        for caution in cautions(request, found):
            reporter.note(caution)
        tasks: PartitionTasks | InstanceTasks | None = None
        learned: ImageProcedure
        reached = None
        if request.recipe.learner == "encoder":
            learned = work.adopted(cache)
        else:
            tasks = work.tasks(cache, labels, found)
            found = replace(found, n_way=tasks.n_way)
            team.go_on()
            learned, tasks = work.practice(cache, tasks, found)
            agreement = work.agreement(tasks.pool)
            reached = round(agreement(learned.encoder), 4)
            reporter.note(
                f"two views of an image agree on {reached:.1%} of its neighbors (by chance {agreement.chance:.1%}); no label says so"
            )
            if reached < NEAR_CHANCE * agreement.chance:
                reporter.note(
                    "that is little more than chance: the learner has collapsed, or the images are too much alike; its answers mean little"
                )
            draw_tasks(tasks.sample_batch(work.rng.fork("sheet"), 3), out / "tasks.png")
        procedure = ImageLearningProcedure(learned, Preparation(found.channels, found.side), request.recipe.name)
        procedure.save(out / "procedure")
        method, outside = None, None
        files = {"procedure": out / "procedure" / "tensors.safetensors", "pool": out / "cache" / "hashes.npy"}
        if (out / "embedding").is_dir():
            files["embedding"] = out / "embedding" / "tensors.safetensors"
            embedding = Embedding.read(out / "embedding")
            method = embedding.method
            if isinstance(embedding.encoder, OutsideEncoder):
                outside = embedding.encoder.describe()
                reporter.note(f"the encoder {outside['name']} was trained by others; labels it has seen: {outside['labels']}")
        run.finish(
            {
                "status": "complete",
                "recipe": request.recipe.name,
                "source": request.source,
                "protocol": request.protocol,
                "seed": request.seed,
                "plan": asdict(found),
                "steps": run.steps(),
                "agreement": reached,
                "n_partitions": tasks.partitions.n_partitions if isinstance(tasks, PartitionTasks) else 0,
                "papers": papers_used(request, method),
                "encoder": outside,
                "labels_seen": {"meta_train": 0 if labels is None else labels.shape[1], "meta_val": 0},
                "skipped": cache.info["n_skipped"],
                "threads": torch.get_num_threads(),
                "processes": team.size,
                "exact": team.exact,
            },
            files,
        )
        return read_json(out / "manifest.json")
