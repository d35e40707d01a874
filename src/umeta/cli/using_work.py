"""Knows what the verbs that use a learning procedure for images print."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from umeta.api import load
from umeta.artifacts.artifact import check_place
from umeta.cli.say import say, say_json
from umeta.cli.using import Adapt, Export, Predict, Suggest
from umeta.core.errors import InputError, UmetaError
from umeta.images.named_classifier import CLASSIFIER, NamedClassifier
from umeta.images.pixels import BadImageError
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.source import FolderSource


def read_labeled(folder: Path) -> tuple[list[NDArray[np.uint8]], list[str], list[dict[str, str]]]:
    """Return the images in `folder/<class name>/`, their labels, and the files that could not be read."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give DIR/<class name>/<image>")
    images: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    skipped: list[dict[str, str]] = []
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        found = f"only {classes[0].name}" if classes else "none"
        raise InputError(f"{folder} must hold at least 2 folders, one per class; it holds {found}")
    for own in classes:
        source = FolderSource(own)
        before = len(images)
        for index in range(len(source)):
            try:
                images.append(source.read(index))
                labels.append(own.name)
            except BadImageError as error:
                skipped.append({"file": str(own / source.item_name(index)), "reason": str(error)})
        if len(images) == before:
            raise InputError(f"class {own.name!r} has no readable image in {own}")
    return images, labels, skipped


def run_adapt(verb: Adapt) -> int:
    """Read labeled images, adapt, and write the classifier."""
    if verb.reward is not None or verb.episodes is not None or verb.support is None:
        raise InputError(f"{verb.run_folder} learned from images: give --support DIR, with DIR/<class name>/<image>, and no reward")
    procedure = ImageLearningProcedure.load(verb.run_folder)
    if verb.head is not None:
        procedure = procedure.with_head(verb.head)
    check_place(verb.out, CLASSIFIER, overwrite=verb.overwrite)
    images, labels, skipped = read_labeled(verb.support)
    classifier = procedure.calibrated().adapt((images, labels), reject=verb.reject)
    classifier.save(verb.out, standalone=verb.standalone, overwrite=verb.overwrite)
    shots = {name: labels.count(name) for name in classifier.classes}
    if verb.json:
        say_json({"classifier": str(verb.out), "classes": shots, "skipped": skipped})
    else:
        for entry in skipped:
            say(f"skipped {entry['file']}: {entry['reason']}")
        say(f"learned {len(shots)} classes from {len(labels)} images ({', '.join(f'{name}: {n}' for name, n in shots.items())})")
        say(f"the classifier is in {verb.out}; try: umeta predict {verb.out} IMAGE...")
    return 0


def run_predict(verb: Predict) -> int:
    """Classify files, the readable ones together; an unreadable one is named and the others go on; code 1 if none was readable."""
    classifier = NamedClassifier.load(verb.classifier, run=verb.run_folder)
    if not verb.images:
        raise InputError("give at least one image file")
    pixels: list[NDArray[np.uint8]] = []
    results: list[dict[str, Any]] = [{"image": str(path)} for path in verb.images]
    for row, path in zip(results, verb.images, strict=True):
        try:
            pixels.append(np.moveaxis(classifier.preparation.pixels(path), 0, -1))
        except BadImageError as error:
            row["error"] = str(error)
    readable = (row for row in results if "error" not in row)
    for row, label, probabilities in zip(readable, *classifier.answers(pixels), strict=True):
        named = {str(name): round(float(p), 6) for name, p in zip(classifier.classes, probabilities, strict=True)}
        row |= {"label": str(label), "probability": max(named.values()), "probabilities": named}
    if verb.json:
        say_json({"classifier": str(verb.classifier), "predictions": results})
    else:
        for row in results:
            say(f"{row['image']}: {row['error']}" if "error" in row else f"{row['image']}: {row['label']} {row['probability']:.3f}")
    if all("error" in row for row in results):
        raise UmetaError(f"none of the {len(results)} images could be read")
    return 0


def run_export(verb: Export) -> int:
    """Write the graph, and say how far its answers are from PyTorch's."""
    from umeta.images.export import export

    if verb.out.exists() and not (verb.overwrite and verb.out.is_file()):
        told = "replace it with --overwrite, or choose" if verb.out.is_file() else "it is a folder; choose"
        raise InputError(f"{verb.out} exists; {told} another --out")
    worst = export(load(verb.run_folder, head=verb.head), verb.out, verb.format)
    size = verb.out.stat().st_size
    if verb.json:
        say_json({"file": str(verb.out), "format": verb.format, "bytes": size, "max_difference": worst})
    else:
        say(f"{verb.out}: {size / 1e6:.1f} MB, probabilities within {worst:.1e} of PyTorch's on tasks of several sizes")
        say("in: support [n, c, h, w] from 0 to 1, labels [n, n_way] (1 at the class), query [m, c, h, w]; out: probabilities [m, n_way]")
    return 0


def run_suggest(verb: Suggest) -> int:
    """Print which files to label next."""
    from umeta.images.suggestion import suggest

    procedure, source = load(verb.run_folder), FolderSource(verb.images)
    labeled = None if verb.labeled is None else read_labeled(verb.labeled)[:2]
    images, names, skipped = [], [], []
    for index in range(len(source)):
        try:
            images.append(np.moveaxis(procedure.preparation.pixels(source.read(index)), 0, -1))
            names.append(str(verb.images / source.item_name(index)))
        except BadImageError as error:
            skipped.append({"file": str(verb.images / source.item_name(index)), "reason": str(error)})
    chosen = [names[index] for index in suggest(procedure, images, verb.n, labeled)]
    say_json({"suggestions": chosen, "skipped": skipped}) if verb.json else say("\n".join(chosen))
    return 0
