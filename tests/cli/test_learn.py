import csv
import json
import shutil
import time

import numpy as np
import pytest

from umeta.artifacts.artifact import read_artifact, sha256

RUN_FILES = {"config.json", "manifest.json", "metrics.csv", "skipped.csv", "tasks.png", "events", "checkpoint", "procedure", "cache"}


def files(folder):
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_run_folder_holds_what_a_reader_needs(run):
    assert {entry.name for entry in run.iterdir()} >= RUN_FILES
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["labels_seen"] == {"meta_train": 0, "meta_val": 0}
    assert manifest["seed"] == 0
    assert manifest["steps"]["meta_train"] == 4
    assert manifest["plan"]["n_images"] == 240
    assert set(manifest["versions"]) >= {"umeta", "torch", "numpy"}
    assert manifest["sha256"]["procedure"] == sha256(run / "procedure" / "tensors.safetensors")
    assert manifest["sha256"]["embedding"] == sha256(run / "embedding" / "tensors.safetensors")
    config = json.loads((run / "config.json").read_text())
    assert (config["steps"], config["budget_s"], config["recipe"]["embedding"]) == (4, None, "pixels")
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert {row["name"] for row in rows if row["stage"] == "meta_train"} == {"loss", "accuracy", "agreement"}
    assert {int(row["step"]) for row in rows} == {1, 4}
    assert all(path.stat().st_size > 0 for path in (run / "events").iterdir())


def test_json_is_the_manifest_and_nothing_else(umeta, make, source, tmp_path):
    answer = umeta("learn", source, "--out", tmp_path / "run", *make.QUICK, "--steps", 2, "--json")
    assert answer.code == 0
    assert answer.json == json.loads((tmp_path / "run" / "manifest.json").read_text())


def test_same_seed_same_weights_other_seed_other_weights(umeta, make, source, run, tmp_path):
    hashes = []
    for name, seed in (("same", 0), ("other", 1)):
        assert umeta("learn", source, "--out", tmp_path / name, *make.QUICK, "--steps", 4, "--seed", seed).code == 0
        hashes.append(sha256(tmp_path / name / "procedure" / "tensors.safetensors"))
    assert hashes[0] == sha256(run / "procedure" / "tensors.safetensors")
    assert hashes[1] != hashes[0]


def test_acai_embedding_is_trained_and_used_again_by_another_run(umeta, make, source, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    answer = umeta("learn", source, "--out", first, "--recipe", "cactus-protonets", "--partitions", 1, "--steps", 2, "--json")
    assert answer.json["steps"] == {"embedding": 2, "meta_train": 2}
    assert (
        umeta(
            "learn",
            source,
            "--out",
            second,
            "--partitions",
            1,
            "--recipe",
            "cactus-protonets",
            "--steps",
            2,
            "--embedding",
            first,
            "--json",
        ).code
        == 0
    )
    assert sha256(first / "embedding" / "tensors.safetensors") == sha256(second / "embedding" / "tensors.safetensors")


def test_an_embedding_of_other_images_is_refused(umeta, make, run, tmp_path):
    other = make.npz(tmp_path / "other.npz", make.drawings(240, seed=5))
    answer = umeta("learn", other, "--out", tmp_path / "run", "--recipe", "cactus-protonets", "--steps", 2, "--embedding", run)
    assert answer.code == 2
    assert "embedding of other images" in answer.error


def test_an_embedding_from_a_file(umeta, source, tmp_path):
    matrix = np.random.default_rng(0).normal(size=(240, 6))
    np.savez(tmp_path / "z.npz", embedding=matrix)
    answer = umeta(
        "learn",
        source,
        "--out",
        tmp_path / "run",
        "--partitions",
        1,
        "--recipe",
        "cactus-protonets",
        "--steps",
        2,
        "--embedding",
        tmp_path / "z.npz",
    )
    assert answer.code == 0
    np.savez(tmp_path / "z.npz", embedding=matrix[:-1])
    answer = umeta(
        "learn",
        source,
        "--out",
        tmp_path / "run2",
        "--partitions",
        1,
        "--recipe",
        "cactus-protonets",
        "--steps",
        2,
        "--embedding",
        tmp_path / "z.npz",
    )
    assert answer.code == 2
    assert "239" in answer.error and "240 images" in answer.error


def test_a_color_folder_of_mixed_sizes_with_bad_files(umeta, make, tmp_path):
    paths = make.folder(tmp_path / "photos", 130)
    paths[0].write_bytes(b"")
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    paths[2].write_bytes(b"not an image at all")
    (tmp_path / "photos" / "notes.txt").write_text("hello")
    before = files(tmp_path / "photos")
    answer = umeta("learn", tmp_path / "photos", "--out", tmp_path / "run", *make.QUICK, "--steps", 2, "--json")
    assert answer.code == 0
    assert "3 images could not be used" in answer.err
    assert (answer.json["plan"]["channels"], answer.json["plan"]["n_images"], answer.json["skipped"]) == (3, 127, 3)
    rows = list(csv.DictReader((tmp_path / "run" / "skipped.csv").open()))
    assert {row["name"] for row in rows} == {str(path.relative_to(tmp_path / "photos")) for path in paths[:3]}
    assert all(row["reason"] for row in rows)
    assert files(tmp_path / "photos") == before


def test_a_benchmark_source_needs_no_protocol(umeta, tmp_path):
    planned = umeta("learn", "glyphs", "--out", tmp_path / "run", "--dry-run", "--json").json
    assert planned["request"]["protocol"] == "scripts"
    assert planned["plan"]["n_images"] > 5000
    planned = umeta("learn", "glyphs", "--out", tmp_path / "run", "--dry-run", "--json", "--recipe", "cactus-protonets").json
    assert planned["plan"]["n_clusters"] > 100


def test_dry_run_writes_nothing(umeta, make, source, tmp_path):
    answer = umeta("learn", source, "--out", tmp_path / "run", "--dry-run")
    assert answer.code == 0
    assert "240 gray images of 28x28" in answer.out
    planned = umeta("learn", source, "--out", tmp_path / "run", "--dry-run", "--json").json
    assert planned["plan"]["n_images"] == 240
    assert planned["request"]["budget_s"] == 1200
    assert not list(tmp_path.iterdir())


def test_a_run_that_exists_is_refused(umeta, make, source, run):
    before = files(run)
    answer = umeta("learn", source, "--out", run, *make.QUICK, "--steps", 4)
    assert answer.code == 2
    assert "exists" in answer.error and "--resume" in answer.error and "--overwrite" in answer.error
    assert files(run) == before


def test_resume_of_a_finished_run_changes_nothing(umeta, make, source, run):
    before = files(run)
    answer = umeta("learn", source, "--out", run, *make.QUICK, "--steps", 4, "--resume", "--json")
    assert answer.code == 0
    assert "finished" in answer.err
    assert answer.json == json.loads((run / "manifest.json").read_text())
    assert files(run) == before


def test_resume_with_other_settings_is_refused_and_names_them(umeta, make, source, run):
    before = files(run)
    answer = umeta("learn", source, "--out", run, *make.QUICK, "--steps", 5, "--resume")
    assert answer.code == 2
    assert "steps was 4, now 5" in answer.error
    assert "papers" not in answer.error
    assert files(run) == before


def test_overwrite_starts_anew(umeta, make, source, tmp_path):
    out = tmp_path / "run"
    assert umeta("learn", source, "--out", out, *make.QUICK, "--steps", 3).code == 0
    (out / "mine.txt").write_text("old")
    answer = umeta("learn", source, "--out", out, *make.QUICK, "--steps", 2, "--overwrite", "--json")
    assert (answer.code, answer.json["steps"]["meta_train"]) == (0, 2)
    assert not (out / "mine.txt").exists()
    assert [path.name for path in sorted((out / "checkpoint").iterdir())] == ["meta_train-000000002"]


def test_images_that_cannot_be_used_replace_no_run(umeta, run, tmp_path):
    out = shutil.copytree(run, tmp_path / "run")
    np.savez(tmp_path / "few.npz", images=np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8))
    before = files(out)
    answer = umeta("learn", tmp_path / "few.npz", "--out", out, "--steps", 1, "--overwrite")
    assert answer.code == 2 and "3 distinct images" in answer.error
    assert files(out) == before


@pytest.mark.parametrize("flag", ["--overwrite", "--resume"])
def test_a_folder_that_is_no_run_is_left_alone(umeta, make, source, tmp_path, flag):
    (tmp_path / "config.json").write_text('{"name": "my web app"}')
    (tmp_path / "thesis.tex").write_text("three years of work")
    before = files(tmp_path)
    answer = umeta("learn", source, "--out", tmp_path, *make.QUICK, "--steps", 2, flag)
    assert answer.code == 2
    assert "not a run folder" in answer.error
    assert files(tmp_path) == before


def test_two_processes_in_one_folder(umeta, make, source, run, tmp_path):
    out = tmp_path / "run"
    hold = "import fcntl, pathlib, sys\nf = (pathlib.Path(sys.argv[4]) / '.lock').open('a')\nfcntl.flock(f, fcntl.LOCK_EX)"
    out.mkdir()
    sleeper = make.process("learn", source, "--out", out, before=hold + "\nprint('held', flush=True)\nsys.stdin.read()", stdin=-1)
    assert sleeper.stdout.readline() == "held\n"
    answer = umeta("learn", source, "--out", out, *make.QUICK, "--steps", 2)
    assert answer.code == 2
    assert "at work" in answer.error
    sleeper.kill()
    sleeper.communicate()
    assert umeta("learn", source, "--out", out, *make.QUICK, "--steps", 2).code == 0


@pytest.mark.parametrize(
    ("recipe", "stages"),
    [("default", {"meta_train", "round_1"}), ("cactus-protonets", {"embedding", "meta_train"})],
)
def test_a_budget_is_kept(umeta, source, tmp_path, recipe, stages):
    budget_s = 12
    began = time.monotonic()
    answer = umeta("learn", source, "--out", tmp_path / "run", "--recipe", recipe, "--budget", f"{budget_s}s", "--json")
    spent_s = time.monotonic() - began
    assert answer.code == 0
    assert 0.9 * budget_s <= spent_s <= 1.1 * budget_s + 1, "1 s of grace for a busy machine"
    assert answer.json["elapsed_s"] == pytest.approx(spent_s, abs=0.5)
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert {row["stage"] for row in rows} == stages


@pytest.mark.parametrize("text", ["20", "m20", "-5m", "0s", "five minutes", ""])
def test_a_budget_that_is_no_time(umeta, source, tmp_path, text):
    answer = umeta("learn", source, "--out", tmp_path / "run", f"--budget={text}")
    assert answer.code == 2
    assert "90s, 20m or 2h" in answer.error


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--budget", "5s", "--steps", 3), "not both"),
        (("--steps", 0), "at least 1"),
        (("--steps", 3, "--resume", "--overwrite"), "not both"),
        (("--steps", 3, "--recipe", "cactus-protonets", "--clusters", 3), "at least 4"),
        (("--steps", 3, "--clusters", 50), "--clusters is for recipes that cluster an embedding"),
        (("--steps", 3, "--splits", 2), "--splits is for ProtoNets that score episodes"),
        (("--steps", 3, "--augment", "none"), "another --augment than none"),
        (("--steps", 3, "--image-size", 0), "at least 1"),
        (("--steps", 3, "--norm", "batch"), "gradient learners"),
        (("--steps", 3, "--lr", 0), "--lr 0 is for recipes that practice, and must be above 0"),
        (("--steps", 3, "--recipe", "encoder-prototypes", "--lr", 0.1), "--lr 0.1 is for recipes that practice"),
        (("--steps", 3, "--start", "embedding"), "--start embedding is for recipes that practice on images of clusters; default does not"),
        (("--steps", 3, "--protocol", "cactus"), "for benchmarks"),
        (("--steps", 3, "--recipe", "oracle-maml"), "needs the labels of a benchmark"),
        (("--steps", 3, "--recipe", "cactus-protonets", "--embedding", "acia"), "no embedding 'acia'"),
    ],
)
def test_options_that_do_not_fit(umeta, source, tmp_path, options, told):
    answer = umeta("learn", source, "--out", tmp_path / "run", *options)
    assert answer.code == 2
    assert told in answer.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("side", [1, 5, 8, 36])
def test_any_image_size(umeta, source, tmp_path, side):
    for recipe in ("cactus-protonets", "cactus-maml"):
        out = tmp_path / recipe
        options = ("--embedding", "pixels", "--partitions", 1, "--steps", 1, "--recipe", recipe)
        answer = umeta("learn", source, "--out", out, *options, "--image-size", side)
        assert answer.code == (2 if side == 1 else 0), answer.err


def test_a_moved_run_still_works(umeta, run, tmp_path):
    import shutil

    shutil.copytree(run, tmp_path / "moved here ä")
    answer = umeta("evaluate", tmp_path / "moved here ä", "--on", "glyphs", "--ways", 5, "--shots", 1, "--tasks", 5)
    assert answer.code == 0


def test_each_round_practices_on_the_neighbors_found_before_it(umeta, source, tmp_path, monkeypatch):
    from umeta.recipes.stages import Learning

    real, seen = Learning.stage, []

    def stage(self, name, learner, tasks, *rest):
        seen.append((name, tasks.partners))
        return real(self, name, learner, tasks, *rest)

    monkeypatch.setattr(Learning, "stage", stage)
    assert umeta("learn", source, "--out", tmp_path / "run", "--steps", 1).code == 0
    assert [name for name, _ in seen] == ["meta_train", *(f"round_{number}" for number in range(1, 6))]
    assert seen[0][1] is None
    for name, partners in seen[1:]:
        kept = read_artifact(tmp_path / "run" / "neighbors" / name, "neighbors")[0]["partners"].numpy()
        assert (partners == kept).all() and partners.shape == (240, 16)
        assert (partners != np.arange(240)[:, None]).any()


def test_a_round_that_loses_agreement_is_taken_back_and_a_collapse_is_said(umeta, source, tmp_path, monkeypatch):
    from umeta.images.agreement import Agreement
    from umeta.recipes.stages import Learning

    real, seen = Learning.stage, []

    def stage(self, name, *rest):
        seen.append(name)
        return real(self, name, *rest)

    monkeypatch.setattr(Learning, "stage", stage)
    monkeypatch.setattr(Agreement, "__call__", lambda self, encoder: 0.01 if "round_2" in seen else 0.5)
    answer = umeta("learn", source, "--out", tmp_path / "run", "--steps", 1)
    assert answer.code == 0
    assert seen == ["meta_train", "round_1", "round_2"]
    assert "round_2: views agree less than before it (1.0% after 50.0%), so it is taken back" in answer.out + answer.err
    assert "the learner has collapsed" in answer.out + answer.err
