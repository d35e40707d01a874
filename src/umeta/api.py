"""Knows what `import umeta` offers: the verbs as functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umeta.core.errors import InputError
from umeta.images.named_classifier import NamedClassifier
from umeta.images.preparation import Images
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.suggestion import suggest as _suggest
from umeta.recipes.budget import seconds
from umeta.recipes.learn import learn as _learn
from umeta.recipes.request import resolve
from umeta.recipes.route import is_control_run, is_environment


def learn(
    source: str | Path,
    *,
    out: str | Path,
    recipe: str = "default",
    budget: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    protocol: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Propose tasks from unlabeled images, meta-train, and save the learning procedure; the same as the verb.

    Args:
        source: A folder, an `.npz` with `images`, shards, a URL, a benchmark's name, or `env:ID`, an environment whose reward is not read.
        out: The run folder.
        recipe: A name that `umeta recipes` lists.
        budget: "90s", "20m" or "2h"; without it and `steps`, 20 minutes.
        steps: Steps of every trained stage, instead of a budget.
        seed: Of all randomness.
        protocol: Of a benchmark source.
        resume: Go on with a stopped run.
        overwrite: Replace a run that is there.

    Returns:
        The run's manifest.

    Raises:
        UmetaError: Of the kind that fits; its text says what to do.
    """
    budget_s = None if budget is None else seconds(budget)
    if is_environment(str(source)):
        if protocol is not None:
            raise InputError("a protocol is for benchmarks of images; an environment has none")
        from umeta.recipes.control.learn import ControlRequest, learn_control

        wanted = ControlRequest.of(str(source), recipe, budget_s=budget_s, steps=steps, seed=seed)
        return learn_control(wanted, Path(out), resume=resume, overwrite=overwrite)
    request = resolve(str(source), recipe, protocol=protocol, budget_s=budget_s, steps=steps, seed=seed)
    return _learn(request, Path(out), resume=resume, overwrite=overwrite)


def load(run: str | Path, *, head: str | None = None) -> Any:
    """Return the learning procedure of a finished run: an `ImageLearningProcedure`, or in an environment a `ControlProcedure`.

    The first time, how sure it may be is measured on tasks proposed of the run's images, a few seconds, and kept in the run.

    Args:
        run: The run folder.
        head: How it learns tasks in the run's embedding: "prototypes", "power", "center", "tune", "linear", "nearest" or "em"
            (transductive: what is predicted for an image depends on the images given with it), or "gradient" for a run that takes
            gradient steps; None as it was learned.
    """
    if is_control_run(Path(run)):
        from umeta.control.learners.shipped import load_procedure

        return load_procedure(run)
    procedure = ImageLearningProcedure.load(run)
    return (procedure if head is None else procedure.with_head(head)).calibrated()


def suggest(
    run: str | Path | ImageLearningProcedure, images: Images, n: int = 20, labeled: tuple[Images, Sequence[Any]] | None = None
) -> NDArray[np.int64]:
    """Return the indices of the images to label next, the most useful first; see `umeta.images.suggestion.suggest`."""
    return _suggest(run if isinstance(run, ImageLearningProcedure) else load(run), images, n, labeled)


def load_classifier(folder: str | Path, *, run: str | Path | None = None) -> NamedClassifier:
    """Return a classifier that `umeta adapt` or `NamedClassifier.save` wrote; `run` is where its run is now, if that was moved."""
    return NamedClassifier.load(folder, run=run)
