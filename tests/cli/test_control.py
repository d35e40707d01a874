"""The way of a person through an environment, and what goes wrong on it."""

import textwrap

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    from umeta.cli.main import main

    out = tmp_path_factory.mktemp("control-run") / "run"
    assert main(["learn", "env:Grid-v0", "--out", str(out), "--recipe", "uml-random", "--steps", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    path = tmp_path_factory.mktemp("task") / "my_task.py"
    path.write_text("def reward(observation, action, reached):\n    return reached[..., 0]\n\n\ndef bad(s, a, t):\n    return t\n")
    return path


def test_inspect(umeta):
    answer = umeta("inspect", "env:PointNav-v0", "--json")
    assert answer.code == 0 and answer.json["usable"] and answer.json["horizon"] == 50
    assert answer.json["action"] == {"low": [-0.1, -0.1], "high": [0.1, 0.1]}
    endless = umeta("inspect", "env:HalfCheetah-v5", "--json")
    assert endless.json["observation"]["low"] == [None] * 17 and "Infinity" not in endless.out
    assert "one of 5 choices" in umeta("inspect", "env:Grid-v0").out
    unknown = umeta("inspect", "env:PointNavv-v0")
    assert unknown.code == 2 and "did you mean PointNav-v0" in unknown.error
    assert umeta("learn", "env:NoSuch-v0", "--out", "x").code == 2


def test_an_environment_that_cannot_be_repeated_is_warned_about_in_one_line(umeta, tmp_path, monkeypatch):
    text = """
        import time, gymnasium, numpy
        class Unseeded(gymnasium.Env):
            observation_space = gymnasium.spaces.Box(0, 1, (1,), numpy.float32)
            action_space = gymnasium.spaces.Discrete(2)
            def reset(self, *, seed=None, options=None):
                return numpy.float32([time.perf_counter_ns() % 1000 / 1000]), {}
        gymnasium.register("Unseeded-v0", Unseeded)
    """
    (tmp_path / "unseeded.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    answer = umeta("inspect", "env:unseeded:Unseeded-v0", "--json")
    said = "umeta: unseeded:Unseeded-v0: reset(seed) begins differently with the same seed, so runs in it cannot be repeated exactly\n"
    assert answer.code == 0 and answer.json["usable"] and answer.err == said


def test_learn_and_its_bad_usage(umeta, learned, tmp_path):
    answer = umeta("learn", "env:Grid-v0", "--out", learned, "--recipe", "uml-random", "--steps", 1, "--resume", "--json")
    assert answer.json["recipe"] == "uml-random" and answer.json["rewards_seen"]["meta_train"] == 0
    dry = umeta("learn", "env:PointNav-v0", "--out", tmp_path / "dry", "--budget", "3m", "--dry-run")
    assert dry.code == 0 and "uml-diayn in PointNav-v0; 180 s" in dry.out and not (tmp_path / "dry").exists()
    for options, said in (
        (("--clusters", 3), "--clusters is for images"),
        (("--image-size", 28), "--image-size is for images"),
        (("--net", "conv4"), "--net is for images"),
        (("--recipe", "rl2-diayn", "--outer", "trpo"), "--outer trpo is for recipes with MAML"),
        (("--recipe", "uml-dayn"), "did you mean uml-diayn"),
        (("--budget", "3m", "--steps", 2), "not both"),
    ):
        wrong = umeta("learn", "env:PointNav-v0", "--out", tmp_path / "run", *options)
        assert wrong.code == 2 and said in wrong.error


def test_evaluate(umeta, learned, monkeypatch):
    from umeta.recipes.control import score as scoring

    monkeypatch.setattr(scoring, "N_QUERY", 1)
    answer = umeta("evaluate", learned, "--on", "grid-goals", "--tasks", 3, "--json")
    (result,) = answer.json["results"]
    assert answer.json["benchmark"] == "grid-goals-v0" and result["n_tasks"] == 3 and len(result["curve"]) == 6
    shown = umeta("evaluate", learned, "--on", "grid-goals", "--tasks", 3).out
    assert "100 episodes" in shown and "worst goal" in shown
    for options, said in (
        (("--on", "point-gaols"), "did you mean 'point-goals-v0'"),
        (("--on", "point-goals"), "are tasks in PointNav-v0"),
        (("--on", "grid-goals", "--ways", 5), "--ways is for images"),
        (("--on", "grid-goals", "--tasks", 0), "at least 1"),
    ):
        wrong = umeta("evaluate", learned, *options)
        assert wrong.code == 2 and said in wrong.error


def test_adapt_and_rollout(umeta, learned, task, tmp_path):
    agent = tmp_path / "agent"
    answer = umeta("adapt", learned, "--reward", f"{task}:reward", "--episodes", 20, "--out", agent, "--json")
    assert answer.code == 0 and answer.json["episodes"] == 20
    again = umeta("adapt", learned, "--reward", f"{task}:reward", "--out", agent)
    assert again.code == 2 and "--overwrite" in again.error
    film = tmp_path / "out.gif"
    assert umeta("rollout", agent, "--video", film, "--json").json["steps"] == 10
    with Image.open(film) as video:
        assert video.n_frames > 1
    assert umeta("rollout", agent, "--video", tmp_path / "out.avi").code == 2
    assert umeta("rollout", tmp_path / "none", "--video", film).code == 2
    assert umeta("rollout", learned / "procedure", "--video", film).code == 1


@pytest.mark.parametrize(("asked", "used"), [(5, 20), (20, 20), (50, 40)])
def test_adapt_says_where_episodes_were_rounded_to_steps(umeta, learned, task, tmp_path, asked, used):
    answer = umeta("adapt", learned, "--reward", f"{task}:reward", "--episodes", asked, "--out", tmp_path / "agent")
    assert answer.code == 0 and f"adapted in {used} episodes" in answer.out
    assert (f"episodes come in steps of 20: --episodes {asked} became {used}" in answer.out) == (asked != used)


def test_adapt_names_what_is_wrong(umeta, learned, task, run, tmp_path):
    out = tmp_path / "agent"
    for options, said in (
        (("--reward", f"{task}:bad"), f"{task}:5: bad returned shape"),
        (("--reward", f"{task}:nothing"), "has no function 'nothing'"),
        (("--reward", f"{task}:reward", "--episodes", 0), "--episodes must be at least 1"),
        (("--support", tmp_path), "--support is for images"),
        ((), "give --reward FILE.py:NAME"),
    ):
        wrong = umeta("adapt", learned, "--out", out, *options)
        assert wrong.code == 2 and said in wrong.error and not out.exists()
    of_images = umeta("adapt", run, "--out", out, "--reward", f"{task}:reward")
    assert of_images.code == 2 and "learned from images" in of_images.error


def test_a_folder_of_another_kind_is_named(umeta, learned, run, classifier, task, tmp_path):
    agent = tmp_path / "agent"
    assert umeta("adapt", learned, "--reward", f"{task}:reward", "--out", agent).code == 0
    for arguments, said in (
        (("suggest", learned, "--images", tmp_path), f"{learned} learned in an environment; suggest is for images"),
        (("export", learned, "--out", tmp_path / "x.onnx"), f"{learned} learned in an environment; export is for images"),
        (("rollout", learned, "--video", tmp_path / "x.gif"), f"rollout takes an agent; try: umeta adapt {learned} --reward"),
        (("rollout", run, "--video", tmp_path / "x.gif"), "is a run on images, and rollout takes an agent"),
        (("predict", agent, tmp_path / "x.png"), f"an agent, and predict takes a classifier; try: umeta rollout {agent}"),
        (("predict", learned, tmp_path / "x.png"), "is a run in an environment, and predict takes a classifier"),
        (("cite", classifier), f"a classifier, and cite takes a run; try: umeta predict {classifier}"),
        (("inspect", classifier), "a classifier, and inspect takes a run"),
        (("inspect", learned), f"see {learned / 'skills.png'}"),
        (("evaluate", agent, "--on", "glyphs"), "an agent, and evaluate takes a run"),
        (("compare", run, classifier), "a classifier, and compare takes a run"),
        (("report", agent), "an agent, and report takes a run"),
        (("serve", agent), "an agent, and serve takes a run"),
    ):
        wrong = umeta(*arguments)
        assert (wrong.code, said in wrong.error) == (2, True), wrong.err


def test_what_is_for_the_other_kind_of_source_is_said(umeta, learned, run, source, tmp_path):
    out = tmp_path / "out"
    for arguments, said in (
        (("learn", source, "--out", out, "--recipe", "uml-diayn"), "'uml-diayn' is for environments; give env:ID"),
        (("learn", source, "--out", out, "--outer", "trpo"), "--outer trpo is for environments"),
        (("learn", "env:Grid-v0", "--out", out, "--recipe", "umtra"), "'umtra' is for images"),
        (("evaluate", run, "--on", "point-goals"), "'point-goals' is for environments; for images there are: celeba"),
        (("evaluate", run, "--on", "grid-goals-v0"), "'grid-goals-v0' is for environments"),
        (("evaluate", learned, "--on", "glyphs"), "'glyphs' is for images; for environments there are: point-goals-v0"),
        (("evaluate", learned, "--on", "lake"), "'lake' is for images"),
        (("evaluate", run, "--on", "qqqq"), "unknown benchmark 'qqqq'; there are: celeba"),
    ):
        wrong = umeta(*arguments)
        assert (wrong.code, said in wrong.error) == (2, True), wrong.err
    assert not out.exists()


def test_recipes_and_papers(umeta, learned):
    assert "uml-diayn" in umeta("recipes").out and umeta("recipes", "--json").json["recipes"]["uml-random"]["objective"] == "random"
    assert "gupta2018unsupervised" in umeta("cite", learned).out


def test_compare(umeta, learned, run, monkeypatch):
    from umeta.recipes.control import score as scoring

    monkeypatch.setattr(scoring, "N_QUERY", 1)
    assert umeta("evaluate", learned, "--on", "grid-goals", "--tasks", 3).code == 0
    first, again = umeta("compare", learned, learned, "--json").json["rows"]
    assert first["difference"] is None and again["difference"] == 0 and again["mean"] == first["mean"]
    assert "difference to the first row" in umeta("compare", learned, learned, "--on", "grid-goals").out
    for options, said in (
        ((learned, run), "did not learn in an environment"),
        ((learned, "--on", "point-goals"), "no results fit --on point-goals"),
        ((learned, "--protocol", "cactus"), "--protocol is for images"),
    ):
        wrong = umeta("compare", *options)
        assert wrong.code == 2 and said in wrong.error


def test_the_same_from_python(learned):
    import umeta

    agent = umeta.load(learned).with_episodes(20).adapt(lambda observation, action, reached: reached[..., 0])
    assert agent.act(agent.process.start(1, 3, umeta_rng()).observation[0]).shape == (3,)


def umeta_rng():
    from umeta.core.rng import Rng

    return Rng.from_seed(0)
