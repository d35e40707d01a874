"""Runs in an environment: stopped and resumed bit for bit, notices, oracles, scores beside baselines."""

import json
from dataclasses import replace

import pytest
import torch

from umeta.artifacts.artifact import read_artifact, read_json
from umeta.benchmarks.goals import true_tasks
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.shipped import load_procedure
from umeta.core.errors import InputError, InterruptedRunError
from umeta.core.rng import Rng
from umeta.recipes.control import learn as learning
from umeta.recipes.control import score as scoring
from umeta.recipes.control.learn import ControlRequest, learn_control, learner_of, true_tasks_of
from umeta.recipes.control.recipe import CONTROL_RECIPES, get_control_recipe
from umeta.recipes.control.score import ControlQuestion, episodes_of, measure_returns, read_skills, score_control
from umeta.recipes.papers import BIBTEX


def small(source="env:Grid-v0", recipe="uml-diayn", steps=3):
    request = ControlRequest.of(source, recipe, steps=steps)
    settings = {"n_skills": 3} if request.recipe.objective else {}
    tiny = replace(
        request.recipe,
        settings=settings,
        n_skill=3,
        n_skill_episode=2,
        meta_batch_size=3,
        inner=InnerLoop(n_episode=2),
        n_adapt_steps=2,
        n_adapt_episodes=4,
    )
    return replace(request, recipe=tiny)


class After:
    """Asks to stop at the n-th question."""

    def __init__(self, n):
        self.n = n

    def __call__(self):
        self.n -= 1
        return self.n == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("control") / "run"
    learn_control(small(), out)
    return out


def test_a_run_that_was_stopped_in_each_stage_ends_as_one_that_was_not(run, tmp_path):
    out = tmp_path / "again"
    for n, stage in ((2, "skills"), (3, "meta_train")):
        with pytest.raises(InterruptedRunError):
            learn_control(small(), out, resume=n != 2, stop=After(n))
        assert list((out / "checkpoint").glob(f"{stage}-*"))
    learn_control(small(), out, resume=True)
    for part, kind in (("procedure", "control-procedure"), ("skills", "skills")):
        first, again = (read_artifact(folder / part, kind)[0] for folder in (run, out))
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_manifest_says_what_was_seen(run):
    manifest = read_json(run / "manifest.json")
    assert manifest["rewards_seen"] == {"meta_train": 0, "meta_val": 0}
    assert manifest["steps"] == {"skills": 3, "meta_train": 3}
    assert set(manifest["skills"]) == {"information", "accuracy", "chance", "coverage"}
    assert manifest["skills"]["chance"] == pytest.approx(1 / 3)
    assert (run / "skills.png").is_file()


class Notes:
    def __init__(self):
        self.notes = []

    def stage(self, name):
        pass

    def update(self, done, text=""):
        pass

    def note(self, text):
        self.notes.append(text)


def test_skills_that_cannot_be_told_apart_are_a_notice(tmp_path, monkeypatch):
    notes = Notes()
    monkeypatch.setattr(learning, "NEAR_CHANCE", 1.0)
    learn_control(small(steps=1), tmp_path / "run", reporter=notes)
    assert any("cannot be told apart" in note for note in notes.notes)
    notes = Notes()
    learn_control(small(recipe="uml-random", steps=1), tmp_path / "random", reporter=notes)
    assert not any("cannot be told apart" in note for note in notes.notes), "nobody tried to tell them apart"
    assert read_skills(tmp_path / "random") is None


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"accuracy": 0.12, "chance": 1 / 16, "information": 0.1}, "guessed right in 12.0% of cases, by chance 6.2%"),
        ({"accuracy": 0.13, "chance": 1 / 16, "information": 0.0}, None),
        ({"accuracy": 0.8, "chance": 0.5, "information": 0.2}, None),
        ({"accuracy": 0.52, "chance": 0.5, "information": 0.0}, "guessed right in 52.0%"),
        ({"information": 0.045, "coverage": None}, "0.045 nats"),
        ({"information": 1.2}, None),
    ],
)
def test_skills_are_doubted_by_how_far_guesses_are_from_chance_or_by_their_information(measured, said):
    found = learning.why_not_told_apart(measured)
    assert found is None if said is None else said in found


def test_an_oracle_says_which_rewards_it_saw_and_needs_some(tmp_path):
    manifest = learn_control(small("env:Grid-v0", "oracle-goals", steps=1), tmp_path / "oracle")
    assert manifest["rewards_seen"]["meta_train"] == "grid-goals-v0"
    assert true_tasks_of(true_tasks("point-walls").make_process()).name == "point-walls-v0"
    with pytest.raises(InputError, match="no benchmark for X-v0"):
        true_tasks_of(type("X", (), {"name": "X-v0"})())


def test_returns_are_measured_on_fresh_episodes_at_every_stage(run):
    procedure = load_procedure(run)
    truth = true_tasks("grid-goals")
    tasks = truth.tasks.sample_batch(Rng.from_seed(1), 5)
    found = measure_returns(3)(procedure, tasks, Rng.from_seed(2))
    assert found.shape == (3, 5) and episodes_of(procedure) == [0, 4, 8]
    first = next(iter(procedure.stages(tasks, Rng.from_seed(2).fork("adapt"))))
    by_hand = tasks.rewards(procedure.process, first.run(3, Rng.from_seed(2).fork("query"))).sum(-1).mean(-1)
    torch.testing.assert_close(torch.from_numpy(found[0]).float(), by_hand)
    assert found.min() >= 0 and found.max() <= 10


def test_a_score_has_a_row_for_each_baseline(run, monkeypatch):
    monkeypatch.setattr(scoring, "BASELINE_STEPS", 3)
    monkeypatch.setattr(scoring, "N_TUNE_TASKS", 2)
    monkeypatch.setattr(scoring, "N_QUERY", 2)
    monkeypatch.setattr(scoring, "TUNED_LRS", (0.1, 1.0))
    report = score_control(run, ControlQuestion("grid-goals", n_tasks=4, baselines=True, oracle_steps=1))
    assert [row.method for row in report.rows] == ["uml-diayn", "from scratch", "best skill, then gradients", "oracle"]
    assert [row.rewards_seen for row in report.rows] == ["", "", "", "grid-goals-v0"]
    scratch, oracle = report.rows[1], report.rows[3]
    assert scratch.tuned["lr"] in scoring.TUNED_LRS and [point.episodes for point in scratch.curve] == [0, 20, 40, 60]
    assert oracle.curve[0].regret == 0 and scratch.curve[0].regret is not None
    assert all(0 <= row.worst <= 10 and len(row.worst_goal) == 25 for row in report.rows)
    assert json.loads((run / "evaluation" / "grid-goals-v0.json").read_text()) == json.loads(json.dumps(report.to_json()))
    assert (run / "evaluation" / "grid-goals-v0.png").is_file()
    again = score_control(run, ControlQuestion("grid-goals-v0", n_tasks=4))
    assert again.rows[0].per_task == report.rows[0].per_task


def test_tasks_of_another_process_are_refused(run):
    with pytest.raises(InputError, match=r"tasks in PointNav-v0, but .* learned in Grid-v0"):
        score_control(run, ControlQuestion("point-goals"))


@pytest.mark.parametrize("name", CONTROL_RECIPES)
def test_recipes_are_named_as_they_are_called_and_cite_papers(name):
    recipe = CONTROL_RECIPES[name]()
    assert recipe.name == name and recipe.summary and set(recipe.papers) <= set(BIBTEX)


@pytest.mark.parametrize(
    ("objective", "changes", "said"),
    [
        ("valor", {}, "valor cannot be practiced on by rl2, for its rewards are those of whole episodes"),
        ("carml", {}, "carml cannot be practiced on by rl2"),
        ("diayn", {"outer": "trpo"}, "--outer trpo is for recipes with MAML"),
        ("diayn", {"inner": InnerLoop(first_order=True)}, "--first-order is for recipes with MAML"),
        ("diayn", {"learn_rates": True}, "learn_rates is for recipes with MAML"),
    ],
)
def test_what_a_memory_has_no_use_for_is_refused(objective, changes, said):
    recipe = get_control_recipe("rl2-diayn")
    assert replace(recipe, objective="smm").learner == "rl2"
    with pytest.raises(InputError, match=said):
        replace(recipe, objective=objective, **changes)
    assert replace(get_control_recipe("uml-diayn"), objective=objective, **changes).learner == "maml"


def test_a_trust_region_is_in_the_manifest_and_its_paper_too(tmp_path):
    request = small(steps=1)
    manifest = learn_control(replace(request, recipe=replace(request.recipe, outer="trpo")), tmp_path / "run")
    assert not learner_of(replace(request.recipe, outer="trpo"), request.process).init(Rng.from_seed(0)).optimizers
    assert manifest["outer"] == "trpo" and "schulman2015trpo" in manifest["papers"] and set(manifest["papers"]) <= set(BIBTEX)
    assert read_json(tmp_path / "run" / "config.json")["recipe"]["outer"] == "trpo"
    agent = load_procedure(tmp_path / "run").adapt(lambda s, a, t: t[..., 0], Rng.from_seed(0))
    assert agent.process.name == "Grid-v0"


def test_an_unknown_recipe_gets_the_nearest():
    assert get_control_recipe("default").name == "uml-diayn"
    with pytest.raises(InputError, match="did you mean uml-diayn"):
        get_control_recipe("uml-dyain")
    with pytest.raises(InputError, match="not both"):
        ControlRequest.of("env:PointNav-v0", budget_s=3.0, steps=3)
