"""Every way to propose rewards, from the recipe's name to a procedure on disk that adapts."""

from dataclasses import replace

import pytest
import torch

from umeta.artifacts.artifact import read_artifact
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.shipped import load_procedure
from umeta.core.errors import InterruptedRunError
from umeta.core.rng import Rng
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.control.score import ControlQuestion, score_control
from umeta.recipes.papers import BIBTEX

NAMES = ["uml-vic", "uml-valor", "uml-smm", "uml-dads", "uml-metra", "carml", "rl2-diayn", "rl2-oracle"]


def tiny(recipe, steps=1):
    request = ControlRequest.of("env:Grid-v0", recipe, steps=steps)
    inner = InnerLoop(n_episode=2)
    small = {"n_skill": 3, "n_skill_episode": 2, "meta_batch_size": 3, "inner": inner, "n_adapt_steps": 2, "n_adapt_episodes": 4}
    return replace(request, recipe=replace(request.recipe, **small))


@pytest.mark.parametrize("recipe", NAMES)
def test_a_recipe_ends_in_a_procedure(recipe, tmp_path):
    manifest = learn_control(tiny(recipe), tmp_path / "run")
    assert all(key in BIBTEX for key in manifest["papers"])
    if recipe != "rl2-oracle":
        assert manifest["skills"]["information"] is not None and manifest["skills"]["coverage"] > 0
    agent = load_procedure(tmp_path / "run").with_episodes(2).adapt(lambda s, a, s2: s2[..., 3], Rng.from_seed(0))
    assert agent.run(2, Rng.from_seed(1)).reached.shape == (1, 2, 10, 25)


def test_an_alternation_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    learn_control(tiny("carml", 3), tmp_path / "whole")
    asked = iter([False, True])
    with pytest.raises(InterruptedRunError):
        learn_control(tiny("carml", 3), tmp_path / "parts", stop=lambda: next(asked))
    learn_control(tiny("carml", 3), tmp_path / "parts", resume=True)
    whole, parts = (read_artifact(tmp_path / name / "procedure", "control-procedure")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_memory_is_scored_after_each_of_its_episodes(tmp_path):
    learn_control(tiny("rl2-oracle"), tmp_path / "run")
    row = score_control(tmp_path / "run", ControlQuestion("grid-goals", n_tasks=3)).rows[0]
    assert [point.episodes for point in row.curve] == [0, 1, 2, 3] and row.rewards_seen == "grid-goals-v0"
