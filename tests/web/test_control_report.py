"""The report of a run in an environment: what is in it, maps with north on top, and that it asks nothing of a network."""

import json
import re
import shutil

import pytest

from umeta.benchmarks.goals import true_tasks
from umeta.cli.main import main, parse
from umeta.evaluation.returns import ReturnPoint, ReturnReport, ReturnRow
from umeta.recipes.control.picture import goal_map
from umeta.web.commands import commands
from umeta.web.report import render


def row(method, returns, seen="", **more):
    curve = tuple(ReturnPoint(20 * index, value, 0.5, value - 0.1, value - 1, value + 1, 0.25) for index, value in enumerate(returns))
    goals = true_tasks("point-goals").grid
    return ReturnRow(
        method, curve, 40, seen, worst=-31.5, per_task=(-1.0,) * 40, per_goal=tuple((goals[:, 0] + 10 * goals[:, 1]).tolist()), **more
    )


def report():
    rows = (
        row("uml-diayn", (-19.25, -12.0, -7.5)),
        row("<i>from scratch", (-20.0, -18.0, -14.0, -7.0), tuned={"lr": 0.3}),
        row("oracle", (-15.0, -9.0, -8.0), "point-goals-v0"),
    )
    return ReturnReport("point-goals-v0", "PointNav-v0", 0, 3, {"meta_train": 0}, {"query_episodes": 20}, rows)


@pytest.fixture
def scored(control_run, tmp_path):
    shutil.copytree(control_run, tmp_path / "point")
    (tmp_path / "point" / "evaluation" / "oracle-point-goals-v0").mkdir(parents=True)
    (tmp_path / "point" / "evaluation" / "point-goals-v0.json").write_text(json.dumps(report().to_json()))
    return tmp_path / "point"


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_it_says_where_it_learned_and_how_well(scored):
    page = render(scored)
    text = text_of(page)
    assert "PointNav-v0 , a process without a reward: 2 numbers are observed, an action is 2 numbers from -0.1 to 0.1" in text
    assert "learns to follow it. Recipe uml-diayn : skills" in text
    assert "No reward that people wrote was seen" in text and "True rewards seen 0" in text
    assert "Information between skill and states, at least" in text and "The same by chance 33.3%" in text
    assert "-19.2 ±0.5" in text and "-7.5 at 40" in text and "-31.5" in text and "-8.1 -9.0 to -7.0" in text
    assert "lr 0.3" in text and "<i>" not in page
    assert "from scratch is as good as the best of uml-diayn after 60 episodes" in text
    assert "oracle is as good as the best of uml-diayn not within 40 episodes" in text
    assert "@inproceedings{eysenbach2019diayn" in text and "umeta evaluate" in text
    assert re.findall(r'<th scope="col">(\d+)</th>', page) == ["0", "20", "40"] and "-14.0 ±0.5" in text
    assert page.count('class="maps"') == 1 and page.count('class="edge"') == 3
    assert page.count("data:image/png;base64,") == 1
    assert not re.search(r"<(script|link|iframe)|url\(|@import|(src|href)=.https?:", page)


def test_goals_lie_on_the_map_as_before_a_viewer():
    square = goal_map(report().rows[0], true_tasks("point-goals").grid)
    assert square.shape == (10, 10)
    assert square[0, 0] == pytest.approx(-0.45 + 4.5) and square[0, -1] == pytest.approx(0.45 + 4.5), "north is on top, west to the left"
    assert square[-1, 0] == pytest.approx(-0.45 - 4.5)
    assert goal_map(report().rows[0], true_tasks("cheetah-velocity").grid) is None


def test_commands_can_be_parsed(scored):
    learn, evaluate = commands(scored, json.loads((scored / "config.json").read_text()), [report()])
    verb = parse(learn.split()[1:])
    assert (verb.source, verb.recipe, verb.steps, verb.budget, verb.first_order) == ("env:PointNav-v0", "uml-diayn", 2, None, False)
    assert verb.outer is None
    config = json.loads((scored / "config.json").read_text())
    config["recipe"]["outer"] = "trpo"
    assert parse(commands(scored, config, [])[0].split()[1:]).outer == "trpo"
    verb = parse(evaluate.split()[1:])
    assert (verb.on, verb.tasks, verb.task_seed, verb.baselines, verb.protocol) == ("point-goals-v0", 40, 3, True, None)


def test_before_it_was_evaluated_and_for_an_oracle(control_run, tmp_path):
    shutil.copytree(control_run, tmp_path / "point")
    (tmp_path / "point" / "skills.png").unlink()
    manifest = json.loads((tmp_path / "point" / "manifest.json").read_text())
    manifest |= {"rewards_seen": {"meta_train": "point-goals-v0", "meta_val": 0}, "skills": {}}
    (tmp_path / "point" / "manifest.json").write_text(json.dumps(manifest))
    assert main(["report", str(tmp_path / "point")]) == 0
    text = text_of((tmp_path / "point" / "report.html").read_text(encoding="utf-8"))
    assert "Not evaluated yet" in text and "this is no unsupervised run" in text and "What it found to do" not in text
