"""The short scripts in `examples/` run from top to bottom; here with one step, two tasks and fewer images instead of a minute."""

import re
import runpy
from pathlib import Path

import pytest

from umeta.core import loop
from umeta.evaluation import evaluate as evaluation
from umeta.images import reading
from umeta.images.partition import kmeans

EXAMPLES = Path(__file__).parents[2] / "examples"
CONTROL = {"carml", "rl2", "theory_gridworld", "uml_diayn"}
IMAGES = sorted({path.stem for path in EXAMPLES.glob("*.py")} - CONTROL)
LINE = re.compile(r"5-way [15]-shot(, [\w ()-]+)?: \d+\.\d ±\d+\.\d % \(\d+ unlabeled images\)")


@pytest.mark.parametrize("name", IMAGES)
def test_an_example_runs(name, monkeypatch, capsys):
    pace, evaluate, partitioner, read = loop.Pace, evaluation.evaluate, kmeans.KMeansPartitioner, reading.read_stacked
    monkeypatch.setattr(loop, "Pace", lambda seconds: pace(n_steps=1))
    monkeypatch.setattr(evaluation, "evaluate", lambda *given, n_tasks, **named: evaluate(*given, n_tasks=2, **named))
    monkeypatch.setattr(reading, "read_stacked", lambda *given: read(*given)[::5])
    monkeypatch.setattr(kmeans, "KMeansPartitioner", lambda k, n_partitions: partitioner(k=60, n_partitions=2))
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2 and all(LINE.fullmatch(line) for line in lines), lines
