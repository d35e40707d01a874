"""The short scripts in `examples/` run from top to bottom; here with one step and two tasks instead of a minute."""

import runpy
from pathlib import Path

import pytest

from umeta.core import loop
from umeta.evaluation import evaluate as evaluation

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["aal", "instances", "lasium", "umtra"])
def test_an_example_runs(name, monkeypatch, capsys):
    pace, evaluate = loop.Pace, evaluation.evaluate
    monkeypatch.setattr(loop, "Pace", lambda seconds: pace(n_steps=1))
    monkeypatch.setattr(evaluation, "evaluate", lambda *given, n_tasks, **named: evaluate(*given, n_tasks=2, **named))
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    one, five = capsys.readouterr().out.splitlines()
    assert one.startswith("5-way 1-shot: ") and five.startswith("5-way 5-shot: ") and one.endswith("unlabeled images)")
