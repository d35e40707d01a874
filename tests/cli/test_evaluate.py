import csv
import json
import re
import shutil

import numpy as np
import pytest

from umeta.benchmarks.glyphs import Glyphs

SMALL = ("--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 6)


@pytest.fixture
def scored(run, tmp_path):
    """A copy of the run to write results into."""
    return shutil.copytree(run, tmp_path / "proto")


@pytest.fixture
def scored_maml(maml_run, tmp_path):
    return shutil.copytree(maml_run, tmp_path / "maml")


def test_json_says_all_that_is_needed_to_read_a_result(umeta, scored):
    answer = umeta("evaluate", scored, "--on", "glyphs", "--ways", 5, 20, "--shots", 1, 5, "--queries", 4, "--tasks", 30, "--json")
    assert answer.code == 0
    report = answer.json
    assert (report["benchmark"], report["protocol"], report["seed"]) == ("glyphs", "scripts", 0)
    assert report["labels_seen"] == {"meta_train": 0, "meta_val": 0}
    assert [(row["n_way"], row["k_shot"]) for row in report["results"]] == [(5, 1), (5, 5), (20, 1), (20, 5)]
    for row in report["results"]:
        assert row["method"] == "cactus-protonets"
        assert (row["n_query"], row["n_tasks"], row["transductive"], row["overlap"]) == (4, 30, False, 0)
        assert 1 / row["n_way"] < row["accuracy"] <= 1
        assert 0 < row["ci95"] < 0.2
    assert report["results"][1]["accuracy"] > report["results"][0]["accuracy"] > report["results"][2]["accuracy"]
    kept = json.loads((scored / "evaluation" / "glyphs-scripts.json").read_text())
    assert len(kept["results"][0]["per_task"]) == 30
    assert np.mean(kept["results"][0]["per_task"]) == pytest.approx(report["results"][0]["accuracy"])


def test_the_same_tasks_every_time_and_others_for_another_task_seed(umeta, scored):
    first, again, *others = (umeta("evaluate", scored, *SMALL, "--json", "--task-seed", seed).json for seed in (0, 0, 1, 2, 3))
    assert first == again
    assert any(other["results"][0]["accuracy"] != first["results"][0]["accuracy"] for other in others)


def test_the_table_is_in_percent(umeta, scored):
    answer = umeta("evaluate", scored, *SMALL)
    accuracy = json.loads((scored / "evaluation" / "glyphs-scripts.json").read_text())["results"][0]["accuracy"]
    assert f"{100 * accuracy:.2f} ±" in answer.out
    assert "protocol scripts" in answer.out


def test_csv_has_one_row_per_inner_step_of_maml(umeta, scored_maml, tmp_path):
    answer = umeta("evaluate", scored_maml, *SMALL, "--csv", tmp_path / "rows.csv", "--json")
    assert answer.code == 0
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    (result,) = answer.json["results"]
    assert result["transductive"] is True
    assert [int(row["step"]) for row in rows] == list(range(len(rows))) == list(range(len(result["curve"])))
    assert len(rows) > 5, "before the first step and after each"
    assert float(rows[-1]["accuracy"]) == pytest.approx(result["accuracy"], abs=1e-6)
    stored = umeta("evaluate", scored_maml, *SMALL, "--norm", "stored", "--json").json["results"][0]
    assert stored["transductive"] is False


def test_norm_is_refused_for_protonets(umeta, scored):
    answer = umeta("evaluate", scored, *SMALL, "--norm", "batch")
    assert answer.code == 2
    assert "gradient learners" in answer.error


def test_heads_are_rows_of_their_own_on_the_same_tasks(umeta, scored, tmp_path):
    plain = umeta("evaluate", scored, *SMALL, "--json").json["results"][0]
    answer = umeta("evaluate", scored, *SMALL, "--head", "em", "prototypes", "center", "--json")
    assert [(row["method"], row["transductive"]) for row in answer.json["results"]] == [
        ("cactus-protonets (em)", True),
        ("cactus-protonets (prototypes)", False),
        ("cactus-protonets (center)", False),
    ]
    assert answer.json["results"][1]["accuracy"] == plain["accuracy"]
    kept = json.loads((scored / "evaluation" / "glyphs-scripts.json").read_text())
    assert len(kept["results"]) == 4


def test_heads_are_refused_for_maml_and_by_name(umeta, scored_maml, scored):
    answer = umeta("evaluate", scored_maml, *SMALL, "--head", "tune")
    assert (answer.code, "heads work on an embedding, and cactus-maml has none" in answer.error) == (2, True)
    assert umeta("evaluate", scored, *SMALL, "--head", "svm").code == 2
    assert umeta("evaluate", scored_maml, *SMALL, "--head", "em", "--norm", "stored").code == 2


def test_baselines_are_named_and_saw_no_labels(umeta, scored):
    answer = umeta("evaluate", scored, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 4, "--baselines", "--json")
    methods = {row["method"]: row for row in answer.json["results"]}
    assert {"cactus-protonets", "pixels knn", "pixels linear", "from scratch"} <= set(methods)
    assert all(row["labels_seen"] == 0 for row in methods.values())


def test_one_task_has_no_interval_and_the_json_is_standard(umeta, scored):
    answer = umeta("evaluate", scored, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 1, "--json")
    assert "NaN" not in answer.out
    assert answer.json["results"][0]["ci95"] is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--ways", 5000), "at most"),
        (("--shots", 5, "--queries", 8), "at most 7 queries"),
        (("--shots", 12), "at most 0 queries"),
        (("--tasks", 0), "at least 1"),
        (("--queries", 0), "at least 1"),
        (("--ways", 1), "--ways at least 2"),
        (("--protocol", "script"), "did you mean 'scripts'"),
        (("--csv", "no/such/folder/x.csv"), "there is no folder"),
    ],
)
def test_tasks_that_cannot_be(umeta, run, options, told):
    answer = umeta("evaluate", run, "--on", "glyphs", "--tasks", 5, *options)
    assert answer.code == 2
    assert told in answer.error
    assert not (run / "evaluation").exists()


def test_the_largest_number_that_is_named_works(umeta, scored):
    labeled = Glyphs().split("scripts", "meta_test")
    most = labeled.n_classes
    assert f"at most {most} ways" in umeta("evaluate", scored, *SMALL, "--ways", most + 1).error
    assert umeta("evaluate", scored, "--on", "glyphs", "--ways", most, "--shots", 1, "--tasks", 1).code == 0
    assert umeta("evaluate", scored, "--on", "glyphs", "--ways", 5, "--shots", 5, "--queries", 7, "--tasks", 2).code == 0


def test_test_images_in_the_pool_are_refused_by_content(umeta, make, tmp_path):
    leaked = Glyphs().split("scripts", "meta_test").images[:7, 0]
    pool = make.npz(tmp_path / "pool.npz", np.concatenate([make.drawings(150), leaked]))
    assert umeta("learn", pool, "--out", tmp_path / "run", *make.QUICK, "--steps", 1).code == 0
    answer = umeta("evaluate", tmp_path / "run", *SMALL)
    assert answer.code == 2
    assert "7 test images" in answer.error and "--allow-overlap" in answer.error
    assert not (tmp_path / "run" / "evaluation").exists()
    allowed = umeta("evaluate", tmp_path / "run", *SMALL, "--allow-overlap", "--csv", tmp_path / "rows.csv")
    assert allowed.code == 0
    assert "7 TEST IMAGES" in allowed.out
    assert {row["overlap"] for row in csv.DictReader((tmp_path / "rows.csv").open())} == {"7"}


@pytest.mark.parametrize(("name", "told"), [("glyph", "did you mean 'glyphs'"), ("omniglott", "mean 'omniglot'"), ("zzz", "omniglot")])
def test_an_unknown_benchmark(umeta, run, name, told):
    answer = umeta("evaluate", run, "--on", name)
    assert answer.code == 2
    assert told in answer.error


def test_a_benchmark_that_is_not_there_says_what_to_fetch(umeta, run, tmp_path, monkeypatch):
    monkeypatch.delenv("UMETA_DATA", raising=False)
    for arguments in (("evaluate", run, "--on", "omniglot"), ("learn", "omniglot", "--out", tmp_path / "run"), ("inspect", "omniglot")):
        answer = umeta(*arguments)
        assert answer.code == 2
        assert "UMETA_DATA" in answer.error and "images_background.zip" in answer.error and "github.com" in answer.error
    assert not list(tmp_path.iterdir())


def test_an_oracle_says_how_many_labels_it_saw(umeta, tmp_path):
    out = tmp_path / "oracle"
    learned = umeta("learn", "glyphs", "--out", out, "--recipe", "oracle-protonets", "--steps", 1, "--json")
    assert learned.code == 0
    n_labels = learned.json["labels_seen"]["meta_train"]
    assert n_labels == learned.json["plan"]["n_images"] > 5000
    report = umeta("evaluate", out, "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 5, "--json").json
    assert report["labels_seen"]["meta_train"] == n_labels
    assert report["results"][0]["labels_seen"] == n_labels


def test_compare_pairs_the_tasks(umeta, scored, scored_maml):
    for run in (scored, scored_maml):
        assert umeta("evaluate", run, *SMALL).code == 0
    answer = umeta("compare", scored, scored_maml, "--json")
    assert answer.code == 0
    kept = [json.loads((run / "evaluation" / "glyphs-scripts.json").read_text()) for run in (scored, scored_maml)]
    gaps = np.subtract(*(report["results"][0]["per_task"] for report in reversed(kept)))
    (difference,) = answer.json["differences"]
    assert difference["difference"] == pytest.approx(gaps.mean())
    assert difference["ci95"] == pytest.approx(1.96 * gaps.std(ddof=1) / np.sqrt(6))
    assert [row["name"] for row in answer.json["rows"]] == ["proto: cactus-protonets", "maml: cactus-maml"]
    shown = umeta("compare", scored, scored_maml).out
    assert f"{100 * difference['difference']:+.2f}" in shown


def test_compare_refuses_results_of_unlike_tasks(umeta, scored, scored_maml):
    assert umeta("evaluate", scored, *SMALL).code == 0
    assert umeta("evaluate", scored_maml, *SMALL, "--task-seed", 1).code == 0
    answer = umeta("compare", scored, scored_maml)
    assert answer.code == 2
    assert "not of the same tasks" in answer.error
    result = scored_maml / "evaluation" / "glyphs-scripts.json"
    other = json.loads(result.read_text()) | {"protocol": "other", "task_seed": 0}
    result.write_text(json.dumps(other))
    answer = umeta("compare", scored, scored_maml)
    assert answer.code == 2
    assert "several kinds" in answer.error and "--protocol" in answer.error
    assert umeta("compare", scored, scored_maml, "--protocol", "scripts").code == 0
    assert "no results fit" in umeta("compare", scored, "--on", "omniglot").error


def test_compare_without_results(umeta, run, tmp_path):
    answer = umeta("compare", run)
    assert answer.code == 1
    assert "umeta evaluate" in answer.error
    assert umeta("compare", tmp_path / "nothing").code == 2
    assert umeta("compare").code == 2


def keys(answer):
    return set(re.findall(r"^@\w+\{(\w+),$", answer.out, re.MULTILINE))


def test_cite_prints_the_papers_of_the_run(umeta, run, maml_run, tmp_path):
    answer = umeta("cite", run)
    assert answer.code == 0
    assert keys(answer) == {"hsu2019cactus", "coates2012kmeans", "snell2017protonets", "johnson2019faiss"}, "it did not use ACAI"
    assert answer.out.count("{") == answer.out.count("}")
    assert keys(umeta("cite", maml_run)) == {"hsu2019cactus", "coates2012kmeans", "finn2017maml", "johnson2019faiss"}
    assert umeta("cite", tmp_path / "nothing").code == 2


@pytest.mark.data
def test_lake_is_scored_on_by_its_name(umeta, scored):
    answer = umeta("evaluate", scored, "--on", "lake", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["benchmark"], answer.json["protocol"]) == ("omniglot", "lake")
    assert [(row["n_way"], row["k_shot"], row["n_tasks"]) for row in answer.json["results"]] == [(20, 1, 20)]
    assert umeta("evaluate", scored, "--on", "omniglot", "--protocol", "lake", "--json").json["results"] == answer.json["results"]
