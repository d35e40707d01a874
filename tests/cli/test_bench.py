"""`umeta bench`: which benchmarks there are, and a small table from images to verdict, stopped and gone on with."""

import json
import shutil

import pytest

from umeta.cli import bench_work
from umeta.core.errors import DivergedError
from umeta.paper import tabulate
from umeta.paper.entry import SHEETS, Sheet
from umeta.recipes import learn as learning

SMALL = Sheet("scripts", ("pixels",), "pixels", {"n_clusters": 12, "n_partitions": 2, "n_way": 5, "image_size": 7})
original = bench_work.scripts
ROWS = ("--rows", "pixels-knn", "pixels-cactus-protonets")


@pytest.fixture(autouse=True)
def small_sheet(monkeypatch):
    monkeypatch.setitem(SHEETS, "glyphs", SMALL)


def table(out, *more, rows=ROWS, tasks=3):
    return ("bench", "paper", "--benchmark", "glyphs", *rows, "--steps", 2, "--seeds", 1, "--tasks", tasks, "--out", out, *more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished table of two rows; do not change it."""
    from umeta.cli.main import main

    out = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SHEETS, "glyphs", SMALL)
        assert main([str(argument) for argument in table(out)]) == 0
    return out


def test_a_table_of_two_rows(made):
    content = json.loads((made / "glyphs" / "table.json").read_text())
    knn, protonets = content["lines"]
    assert (knn["row"], protonets["row"]) == ("pixels-knn", "pixels-cactus-protonets")
    for line in (knn, protonets):
        assert [cell["kind"] for cell in line["cells"]] == ["5w1s", "5w5s", "20w1s", "20w5s"]
        assert line["cells"][1]["accuracy"] > 20 and line["verdict"] == "nothing published"
        assert (line["labels_seen"], line["n_tasks"], line["seeds"]) == (0, 3, [0])
    assert knn["purity"] is None and knn["n_partitions"] == 0
    assert protonets["n_partitions"] == 2 and 0 < protonets["purity"] < 1 and 0 < protonets["nmi"] < 1
    assert "CACTUs-ProtoNets, pixels, whitened" in (made / "glyphs" / "table.md").read_text()
    assert len((made / "glyphs" / "table.csv").read_text().splitlines()) == 1 + 2 * 4


def test_the_embedding_is_trained_once_and_practice_takes_it_up(made):
    runs = made / "glyphs" / "runs"
    assert sorted(path.name for path in runs.iterdir()) == ["embedding-pixels-seed0", "pixels-cactus-protonets-seed0"]
    config = json.loads((runs / "pixels-cactus-protonets-seed0" / "config.json").read_text())
    assert config["recipe"]["embedding"] == str(runs / "embedding-pixels-seed0")


def test_rows_that_are_scored_are_kept(made, tmp_path, umeta, monkeypatch):
    copy = shutil.copytree(made, tmp_path / "tables")
    monkeypatch.setattr(tabulate, "learn", None)  # would fail if it were called
    answer = umeta(*table(copy, "--json"))
    assert answer.code == 0
    assert answer.json == json.loads((made / "glyphs" / "table.json").read_text())


def test_a_run_that_was_stopped_is_gone_on_with_and_ends_the_same(made, tmp_path, umeta, monkeypatch):
    out = tmp_path / "tables"
    shutil.copytree(made / "glyphs" / "runs" / "embedding-pixels-seed0", out / "glyphs" / "runs" / "embedding-pixels-seed0")
    shutil.copy(made / "glyphs" / "terms.json", out / "glyphs" / "terms.json")
    meta_train, stopped = learning.Learning.practice, []

    def killed(self, *given):
        if not stopped:
            stopped.append(self.run.path)
            raise KeyboardInterrupt
        return meta_train(self, *given)

    # The embedding's own run is found finished, so the first practice is that of the row.
    monkeypatch.setattr(learning.Learning, "practice", killed)
    rows = ("--rows", "pixels-cactus-protonets")
    assert umeta(*table(out, rows=rows)).code == 130
    assert stopped == [out / "glyphs" / "runs" / "pixels-cactus-protonets-seed0"]
    assert (stopped[0] / "partition").is_dir() and not (stopped[0] / "manifest.json").exists()
    answer = umeta(*table(out, "--json", rows=rows))
    assert answer.code == 0
    (line,) = answer.json["lines"]
    whole = json.loads((made / "glyphs" / "table.json").read_text())["lines"][1]
    assert {key: value for key, value in line.items() if key != "minutes"} == {k: v for k, v in whole.items() if k != "minutes"}


def test_rows_made_on_other_terms_are_kept_and_all_that_are_scored_stand_in_the_table(made, tmp_path, umeta):
    out = shutil.copytree(made, tmp_path / "tables")
    answer = umeta(*table(out, "--json", rows=("--rows", "pixels-linear"), tasks=4))
    assert answer.code == 0, answer.err
    told = [(line["row"], line["terms"]["n_tasks"], line["n_tasks"]) for line in answer.json["lines"]]
    assert told == [("pixels-knn", 3, 3), ("pixels-linear", 4, 4), ("pixels-cactus-protonets", 3, 3)]
    start = "umeta bench paper --benchmark glyphs --rows"
    assert answer.json["commands"] == [
        f"{start} pixels-knn pixels-cactus-protonets --steps 2 --seeds 1 --tasks 3",
        f"{start} pixels-linear --steps 2 --seeds 1 --tasks 4",
    ]
    assert all(command in (out / "glyphs" / "table.md").read_text() for command in answer.json["commands"])


def test_shots_are_those_that_are_asked_for_and_stay_with_the_row(made, tmp_path, umeta):
    out = shutil.copytree(made, tmp_path / "tables")
    asked = table(out, "--shots", 2, 3, "--json", rows=("--rows", "pixels-cluster-coloring"))
    answer = umeta(*asked)
    assert answer.code == 0, answer.err
    line = next(line for line in answer.json["lines"] if line["row"] == "pixels-cluster-coloring")
    assert [cell["kind"] for cell in line["cells"]] == ["5w2s", "5w3s", "20w2s", "20w3s"] and line["n_partitions"] == 1
    assert answer.json["commands"][1].endswith("--rows pixels-cluster-coloring --steps 2 --seeds 1 --tasks 3 --shots 2 3")
    assert umeta(*asked).json == answer.json and umeta(*asked, "--dry-run").json["rows"][0]["to_do"] == 0


def test_overwrite_makes_rows_of_other_terms_anew_and_leaves_the_runs_of_other_rows_alone(made, tmp_path, umeta, monkeypatch):
    out = shutil.copytree(made, tmp_path / "tables")
    rows = ("--rows", "pixels-cactus-protonets")
    longer = ("bench", "paper", "--benchmark", "glyphs", *rows, "--steps", 3, "--seeds", 1, "--tasks", 3, "--out", out)
    assert umeta(*longer, "--dry-run", "--json").json["rows"][0]["to_do"] == 0
    assert umeta(*longer, "--dry-run", "--overwrite", "--json").json["rows"][0]["to_do"] == 1
    answer = umeta(*longer, "--overwrite", "--json")
    assert answer.code == 0, answer.err
    assert [(line["row"], line["terms"]["steps"]) for line in answer.json["lines"]] == [("pixels-knn", 2), ("pixels-cactus-protonets", 3)]
    runs = out / "glyphs" / "runs"
    assert json.loads((runs / "pixels-cactus-protonets-seed0" / "config.json").read_text())["steps"] == 2
    assert json.loads((runs / "pixels-cactus-protonets-seed0-3-steps" / "config.json").read_text())["steps"] == 3
    assert not (runs / "embedding-pixels-seed0-3-steps").exists(), "nothing of pixels is trained, so any run has them"
    monkeypatch.setattr(tabulate, "learn", None)  # would fail if it were called
    assert umeta(*longer, "--overwrite", "--json").json == answer.json


def test_a_row_of_an_earlier_version_has_the_terms_of_its_table(made, tmp_path, umeta):
    out = shutil.copytree(made, tmp_path / "tables")
    path = out / "glyphs" / "rows" / "pixels-knn-seed0.json"
    row = json.loads(path.read_text())
    terms = row.pop("terms")
    path.write_text(json.dumps(row))
    answer = umeta(*table(out))
    assert answer.code == 1 and f"{path} does not say on what terms it was made" in answer.error
    (out / "glyphs" / "terms.json").write_text(json.dumps(terms))
    assert umeta(*table(out, "--json")).json == json.loads((made / "glyphs" / "table.json").read_text())
    assert "terms" not in json.loads(path.read_text()) and json.loads((out / "glyphs" / "terms.json").read_text()) == terms


def test_a_folder_is_of_one_table(made, umeta, tmp_path):
    other = tmp_path / "mnist"
    shutil.copytree(made / "glyphs", other)
    answer = umeta("bench", "paper", "--benchmark", "mnist", "--out", tmp_path)
    assert answer.code == 2
    assert answer.error == f"{other} holds the table of glyphs, not of mnist; choose another --out"
    (tmp_path / "glyphs").mkdir()
    (tmp_path / "glyphs" / "letter.txt").touch()
    assert umeta(*table(tmp_path)).error.endswith("exists and holds no table; choose another --out")


def test_a_row_that_fails_does_not_keep_the_others_from_being_made(made, tmp_path, umeta, monkeypatch):
    out = shutil.copytree(made, tmp_path / "tables")
    (out / "glyphs" / "rows" / "pixels-cactus-protonets-seed0.json").unlink()

    def diverged(*arguments, **options):
        raise DivergedError("the loss is NaN")

    monkeypatch.setattr(tabulate, "learn", diverged)
    answer = umeta(*table(out, "--json"))
    assert answer.code == 1
    assert [line["row"] for line in answer.json["lines"]] == ["pixels-knn"]
    assert answer.json["failed"] == {"pixels-cactus-protonets, seed 0": "the loss is NaN"}


def test_dry_run_says_which_rows_there_are_and_what_they_take(umeta, tmp_path):
    answer = umeta(
        "bench", "paper", "--benchmark", "omniglot", "--dry-run", "--budget-per-row", "10m", "--seeds", 2, "--out", tmp_path / "no",
        "--rows", "acai-knn", "acai-cactus-protonets", "pixels-knn", "default",
    )  # fmt: skip
    assert answer.code == 0 and not (tmp_path / "no").exists()
    head, *rows, sums = answer.out.splitlines()
    assert head.split()[:3] == ["row", "what", "runs"]
    assert [row.split()[0] for row in rows] == ["acai-knn", "acai-cactus-protonets", "pixels-knn", "default"]
    by_name = {row.split()[0]: " ".join(row.split()) for row in rows}
    assert by_name["acai-knn"].startswith("acai-knn nearest neighbor, ACAI 2 10.0 min ")  # two seeds of the embedding, 5 min each
    assert by_name["acai-cactus-protonets"].startswith("acai-cactus-protonets CACTUs-ProtoNets, ACAI 2 10.0 min ")
    assert by_name["pixels-knn"].startswith("pixels-knn nearest neighbor, pixels, whitened 1 ")
    assert by_name["default"].startswith("default umeta, default 2 20.0 min ")
    assert sums.startswith("4 rows, 7 runs: 40.0 min to learn, about ")


def test_the_embedding_takes_the_share_of_a_budget_that_it_is_given(umeta, tmp_path):
    asked = (
        "bench",
        "paper",
        "--benchmark",
        "omniglot",
        "--dry-run",
        "--json",
        "--seeds",
        1,
        "--out",
        tmp_path,
        "--rows",
        "acai-cactus-maml",
    )
    (row,) = umeta(*asked, "--budget-per-row", "10m", "--embedding-share", 0.2).json["rows"]
    assert (row["embedding_s"], row["learn_s"]) == (120, 480)


def test_a_dry_run_takes_off_what_is_done(made, umeta):
    answer = umeta(*table(made, "--dry-run", "--json"))
    assert [row["to_do"] for row in answer.json["rows"]] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--rows", "umtraa"), "--rows umtraa: no row of the omniglot table is called that"),
        (("--seeds", 0), "--seeds must be at least 1"),
        (("--steps", 1, "--budget-per-row", "1m"), "give --budget-per-row or --steps, not both"),
        (("--budget-per-row", "1"), "'1' is not a time"),
        (("--embedding-share", 1), "--embedding-share must lie between 0 and 1, got 1"),
        (("--shots", 1, 0), "--shots must be different numbers of at least 1, got 1 0"),
        (("--shots", 5, 5), "--shots must be different numbers of at least 1, got 5 5"),
        (("--workers", 2), "--workers is for --engine ray; add that, or leave it out"),
        (("--engine", "ray", "--workers", 0), "--workers must be at least 1"),
    ],
)
def test_bad_input(umeta, arguments, told):
    answer = umeta("bench", "paper", "--benchmark", "omniglot", "--dry-run", *arguments)
    assert answer.code == 2 and told in answer.error


def test_the_list_has_a_line_for_each_script_and_for_the_tables(umeta):
    answer = umeta("bench", "--list")
    lines = dict(line.split(maxsplit=1) for line in answer.out.splitlines())
    assert answer.code == 0
    assert {"paper", "tasks", "clustering", "step"} <= lines.keys()
    assert lines["tasks"].startswith("Tasks per second") and all(lines.values())


def test_a_script_is_run_with_what_follows_its_name(umeta, tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "benchmarks" / "toy.py").write_text('"""A toy."""\nimport sys\nsys.exit(int(sys.argv[2]))\n')
    monkeypatch.setattr(bench_work, "scripts", lambda: original(tmp_path))
    assert umeta("bench", "toy", "--help", "7").code == 7
    assert umeta("bench", "toi").error == "there is no benchmark 'toi': did you mean 'toy'?"


def test_an_installation_without_sources_says_where_the_scripts_are(umeta, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_work, "scripts", lambda: original(tmp_path))
    assert "paper" in umeta("bench", "--list").out and "source checkout" in umeta("bench", "--list").out
    answer = umeta("bench", "tasks")
    assert answer.code == 2 and "source checkout" in answer.error
