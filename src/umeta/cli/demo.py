"""Knows the tour of the whole thing on built-in data: learn, score, adapt, predict, and what to type next."""

from pathlib import Path

import numpy as np

from umeta.benchmarks.glyphs import Glyphs
from umeta.cli.say import say
from umeta.cli.work import listening, reporting
from umeta.images.named_classifier import NamedClassifier
from umeta.images.procedure import ImageLearningProcedure
from umeta.recipes.learn import learn
from umeta.recipes.request import resolve
from umeta.recipes.score import Question, score

SHOWN = ("pixels knn", "from scratch")
N_TASKS = 300
N_CLASSES = 5


def run_demo(out: Path, budget_s: float, seed: int, began: float) -> int:
    """Learn from glyphs of many scripts without a label, then read five characters of a script that was held out."""
    say("glyphs of many scripts, drawn from the fonts in matplotlib; no labels are read")
    request = resolve("glyphs", budget_s=budget_s, seed=seed)
    with listening() as stop, reporting() as reporter:
        manifest = learn(request, out, overwrite=True, reporter=reporter, stop=stop, began=began)
    say(f"learned {manifest['recipe']} in {manifest['elapsed_s']:.0f} s from {manifest['plan']['n_images']} images and 0 labels\n")
    question = Question("glyphs", ways=(5,), shots=(1, 5), queries=5, n_tasks=N_TASKS, baselines=True, methods=SHOWN)
    with reporting() as reporter:
        report = score(out, question, reporter)
    say(f"held-out scripts (Greek, Armenian, Georgian), accuracy in % ± 95 % interval over {N_TASKS} tasks")
    say(report.table() + "\n")
    _adapt_five(out, seed)
    say(f"the tasks it made up for itself: {out / 'tasks.png'}")
    say("\nnow with images of your own:")
    say("  umeta learn photos/ --out runs/photos --budget 20m          # photos/ is any folder; its names are not read as labels")
    say("  umeta adapt runs/photos --support labeled/ --out my-classifier    # labeled/<class name>/<a few images>")
    say("  umeta predict my-classifier photos/*.jpg")
    return 0


def _adapt_five(out: Path, seed: int) -> None:
    """Teach five held-out characters from one example each, save the classifier, and read the rest of their images."""
    labeled = Glyphs().split("scripts", "meta_test")
    chosen = np.random.Generator(np.random.Philox(seed)).choice(labeled.n_classes, N_CLASSES, replace=False)
    first, rest, rest_names = [], [], []
    for index in chosen:
        own = labeled.images[labeled.labels == index]
        first.append(own[0])
        rest += list(own[1:])
        rest_names += [labeled.class_names[index]] * (len(own) - 1)
    names = [labeled.class_names[index] for index in chosen]
    folder = out / "classifier"
    ImageLearningProcedure.load(out).adapt((np.stack(first), names)).save(folder)
    found = NamedClassifier.load(folder).predict(np.stack(rest))
    right = int((found == np.asarray(rest_names)).sum())
    say(f"five characters from one example each: {right} of {len(rest)} further images read right")
    say("  " + ", ".join(names))
    say(f"the classifier: {folder}")
