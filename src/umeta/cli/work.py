"""Knows what the verbs that take time print, and what they do when somebody presses Ctrl-C.

`umeta.recipes.score` brings scikit-learn along, over a second to import, so only the verbs that score import it.
"""

import signal
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from umeta.artifacts.artifact import read_json
from umeta.cli.bench import Paper
from umeta.cli.progress import PlainReporter, TerminalReporter, make_reporter
from umeta.cli.say import say, say_json
from umeta.cli.verbs import Cite, Compare, Evaluate, Learn
from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.parallel import started
from umeta.core.progress import Reporter
from umeta.evaluation.comparison import comparison_table, differences, named_rows
from umeta.images.embed.outside import is_outside
from umeta.recipes.budget import seconds
from umeta.recipes.learn import learn, plan
from umeta.recipes.named import get_recipe
from umeta.recipes.papers import BIBTEX
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import Request, cautions, resolve


class Stop:
    """Remembers that SIGINT or SIGTERM came; the second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.asked

    def hear(self, number: int, frame: types.FrameType | None) -> None:
        """Note a signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def listening() -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM while work is going on."""
    stop = Stop()
    before = {number: signal.signal(number, stop.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def reporting() -> Iterator[TerminalReporter | PlainReporter]:
    """Show progress while work is going on."""
    reporter = make_reporter()
    try:
        yield reporter
    finally:
        reporter.close()


def request_of(verb: Learn) -> Request:
    """Return the request behind a `learn` command."""
    recipe: Recipe = get_recipe(verb.recipe)
    if verb.outer is not None:
        raise InputError(f"--outer {verb.outer} is for environments; leave it out, or give env:ID as the source")
    on_pixels = verb.partition == "pixels"
    if on_pixels and verb.embedding is not None:
        raise InputError(f"--partition pixels clusters pixels, so it takes no --embedding; leave out --embedding {verb.embedding}")
    given = {
        "embedding": "pixels" if on_pixels else verb.embedding,
        "encoder_labels": verb.encoder_labels,
        "partition": "kmeans" if on_pixels else verb.partition,
        "margin": verb.margin,
        "labeled_share": verb.labeled_share,
        "n_clusters": verb.clusters[0] if verb.clusters and len(verb.clusters) == 1 else verb.clusters,
        "n_partitions": verb.partitions,
        "augment": verb.augment,
        "practice_on": verb.on,
        "start": verb.start,
        "lr": verb.lr,
        "n_splits": verb.splits,
        "image_size": verb.image_size,
        "norm": verb.norm,
        "first_order": verb.first_order or None,
        "net": verb.net,
        "width": verb.width,
        "normalization": verb.normalization,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name in ("partitions", "splits", "image_size", "width", "clusters"):
        numbers = getattr(verb, name)
        if numbers is not None and min(numbers if isinstance(numbers, tuple) else (numbers,), default=0) < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1")
    if verb.margin is not None and (verb.margin < 0 or (verb.partition or recipe.partition) != "hyperplanes"):
        raise InputError(f"--margin {verb.margin:g} is for --partition hyperplanes, and must be at least 0")
    if verb.labeled_share is not None and not (0 < verb.labeled_share < 1 and recipe.labeled_share):
        raise InputError(
            f"--labeled-share {verb.labeled_share:g} is for semi-protonets, and lies between 0 and 1; without labels take "
            "cactus-protonets, with labels alone oracle-protonets"
        )
    if verb.encoder_labels is not None and not is_outside(verb.embedding or recipe.embedding):
        raise InputError("--encoder-labels is for encoders that others trained; give one by --embedding hf:NAME or onnx:FILE")
    drawn = changes.get("augment", recipe.augment) in ("latent-noise", "latent-mix")
    clustering = {
        "--embedding": None if drawn or recipe.learner == "encoder" else verb.embedding,
        "--partition": verb.partition,
        "--clusters": verb.clusters,
        "--partitions": verb.partitions,
    }
    if recipe.proposal != "clusters" and any(value is not None for value in clustering.values()):
        flag = next(flag for flag, value in clustering.items() if value is not None)
        raise InputError(f"{flag} is for recipes that cluster an embedding; {recipe.name} has none, give --recipe cactus-protonets, say")
    if verb.splits is not None and (recipe.learner != "protonets" or recipe.objective != "episode"):
        raise InputError(f"--splits is for ProtoNets that score episodes; {recipe.name} does not")
    if verb.lr is not None and (verb.lr <= 0 or recipe.learner == "encoder"):
        raise InputError(
            f"--lr {verb.lr:g} is for recipes that practice, and must be above 0; theirs is {get_recipe('default').lr:g} or less"
        )
    if verb.norm is not None and recipe.learner != "maml":
        raise InputError(f"--norm is for gradient learners; {recipe.name} always uses stored statistics")
    if recipe.learner not in ("protonets", "maml") and (verb.net or verb.width or verb.normalization):
        raise InputError(
            f"--net, --width and --normalization are for ProtoNets and gradient learners; {recipe.name} has a network of its own"
        )
    if verb.net == "resnet12" and verb.normalization not in (None, "batch"):
        raise InputError(f"--normalization {verb.normalization} is for --net conv4; a resnet12 normalizes by batches")
    check_engine(verb)
    budget_s = None if verb.budget is None else seconds(verb.budget)
    return resolve(
        verb.source,
        replace(recipe, **changes),  # type: ignore[arg-type]
        protocol=verb.protocol,
        budget_s=budget_s,
        steps=verb.steps,
        seed=verb.seed,
    )


def check_engine(verb: Learn | Paper) -> None:
    """Raise `InputError` for options of Ray that mean nothing."""
    if verb.workers is not None and verb.workers < 1:
        raise InputError("--workers must be at least 1")
    if verb.engine != "ray" and (verb.workers is not None or verb.address is not None):
        raise InputError(f"--{'workers' if verb.workers is not None else 'address'} is for --engine ray; add that, or leave it out")


def run_learn(verb: Learn, began: float) -> int:
    """Learn, or with --dry-run say what would be done; `began` is when the command did, before its imports."""
    request = request_of(verb)
    if verb.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            found = plan(request, Path(folder))
        if verb.json:
            say_json({"request": asdict(request), "plan": asdict(found)})
        else:
            length = f"{request.budget_s:.0f} s" if request.budget_s else f"{request.steps} steps a stage"
            say(f"{request.recipe.name} on {found.told()}; {length}, seed {request.seed}; nothing was written")
            for caution in cautions(request, found):
                say(caution)
        return 0
    with listening() as stop, reporting() as reporter:
        try:
            manifest = learned(verb, request, reporter, stop, began)
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{error}; what is done is saved, go on with the same command and --resume") from error
    if manifest is None:
        return 0
    if verb.json:
        say_json(manifest)
    else:
        say(
            f"learned {manifest['recipe']} in {manifest['elapsed_s']:.0f} s from {manifest['plan']['n_images']} images, labels seen: "
            f"{sum(manifest['labels_seen'].values())}"
        )
        if manifest["encoder"]:
            say(f"the encoder {manifest['encoder']['name']} was trained by others; labels it has seen: {manifest['encoder']['labels']}")
        pictures = {"proposed tasks": verb.out / "tasks.png", "the embedding": verb.out / "embedding.png"}
        told = "".join(f", a picture of {what} in {path}" for what, path in pictures.items() if path.is_file())
        say(f"the procedure is in {verb.out}{told}")
    return 0


def learned(verb: Learn, request: Request, reporter: Reporter, stop: Stop, began: float) -> dict[str, Any] | None:
    """Learn by the engine that was asked for; returns the manifest, and None in a process that leaves the telling to another."""
    if verb.engine == "ray":
        from umeta.recipes.on_ray import learn_on_ray

        return learn_on_ray(
            request,
            verb.out,
            n_workers=verb.workers,
            address=verb.address,
            resume=verb.resume,
            overwrite=verb.overwrite,
            reporter=reporter,
            stop=stop,
            began=began,
        )
    with started() as team:
        manifest = learn(
            request, verb.out, resume=verb.resume, overwrite=verb.overwrite, reporter=reporter, stop=stop, began=began, team=team
        )
    return None if team.rank else manifest


def run_evaluate(verb: Evaluate) -> int:
    """Score and print."""
    from umeta.recipes.score import Question, score

    n_tasks = 1000 if verb.tasks is None else verb.tasks
    at_least_1 = (n_tasks, *(verb.shots or ()), 1 if verb.queries is None else verb.queries)
    if min(at_least_1) < 1 or any(n < 2 for n in verb.ways or ()):
        raise InputError("--tasks, --shots and --queries must be at least 1, --ways at least 2")
    if verb.csv is not None and not verb.csv.absolute().parent.is_dir():
        raise InputError(f"--csv {verb.csv}: there is no folder {verb.csv.absolute().parent}")
    question = Question(
        benchmark=verb.on,
        protocol=verb.protocol,
        ways=verb.ways,
        shots=verb.shots,
        queries=verb.queries,
        n_tasks=n_tasks,
        baselines=verb.baselines,
        allow_overlap=verb.allow_overlap,
        norm=verb.norm,
        task_seed=verb.task_seed,
        heads=verb.head,
    )
    with reporting() as reporter:
        report = score(verb.run_folder, question, reporter)
    if verb.csv is not None:
        report.write_csv(verb.csv)
    if verb.json:
        say_json(report.to_json())
    else:
        overlap = max(row.overlap for row in report.rows)
        warned = f"; {overlap} TEST IMAGES WERE IN THE TRAINING POOL" if overlap else ""
        queries = "/".join(str(n) for n in sorted({row.n_query for row in report.rows}))
        say(f"{report.benchmark}, protocol {report.protocol}, {queries} queries a class, accuracy in % ± 95 % interval over tasks{warned}")
        say(report.table())
    return 0


def run_compare(verb: Compare) -> int:
    """Print results side by side."""
    from umeta.recipes.score import read_reports

    if not verb.runs:
        raise InputError("give at least one run")
    names = short_names(verb.runs)
    chosen = [
        (name, report)
        for name, run in zip(names, verb.runs, strict=True)
        for report in read_reports(run)
        if verb.on in (None, report.benchmark) and verb.protocol in (None, report.protocol)
    ]
    if not chosen:
        raise InputError("no results fit --on and --protocol")
    kinds = sorted({(report.benchmark, report.protocol) for _, report in chosen})
    if len(kinds) > 1:
        told = ", ".join(" ".join(kind) for kind in kinds)
        raise InputError(f"the runs have results of several kinds ({told}); choose one with --on and --protocol")
    rows = named_rows(chosen)
    if verb.json:
        content = [
            {"name": name, "n_way": row.n_way, "k_shot": row.k_shot, "accuracy": row.accuracy, "ci95": row.ci95} for name, row in rows
        ]
        say_json(
            {
                "benchmark": kinds[0][0],
                "protocol": kinds[0][1],
                "rows": content,
                "differences": [asdict(d) for d in differences(rows)],
            }
        )
    else:
        say(f"{kinds[0][0]}, protocol {kinds[0][1]}; accuracy in %, and difference to the first row on the same tasks, ± 95 % intervals")
        say(comparison_table(rows))
    return 0


def run_cite(verb: Cite) -> int:
    """Print BibTeX."""
    if not verb.run_folder.is_dir():
        raise InputError(f"{verb.run_folder} is not a run folder")
    papers = read_json(verb.run_folder / "manifest.json")["papers"]
    say("\n\n".join(BIBTEX[key] for key in papers))
    return 0


def short_names(runs: tuple[Path, ...]) -> list[str]:
    """Return the folders' names, or their whole paths where names repeat."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]
