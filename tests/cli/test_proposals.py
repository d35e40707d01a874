"""Every way to propose tasks, from the command line: a run, a picture of its tasks, and what it says of itself."""

import json

import numpy as np
import pytest
from PIL import Image

QUICK = ("--steps", 2, "--image-size", 14)
CACTUS = ("--recipe", "cactus-protonets", "--embedding", "pixels", "--partitions", 3)


def check_run(answer, out):
    """A proposal leaves a picture of its tasks, and no label was seen."""
    assert answer.code == 0, answer.err
    assert sum(answer.json["labels_seen"].values()) == 0
    picture = Image.open(out / "tasks.png")
    assert len(picture.getcolors(1 << 20)) > 8, "there are images on it, not only edges"


@pytest.mark.parametrize("recipe", ["umtra", "aal-protonets", "lasium-protonets"])
def test_every_recipe_proposes_tasks(umeta, source, tmp_path, recipe):
    out = tmp_path / "run"
    check_run(umeta("learn", source, "--recipe", recipe, "--out", out, *QUICK, "--json"), out)


@pytest.mark.parametrize(
    "options",
    [
        (*CACTUS, "--partition", "hyperplanes", "--margin", "0.05"),
        (*CACTUS, "--partition", "random"),
        (*CACTUS, "--clusters", 20, 8),
        ("--recipe", "cactus-maml", "--partition", "pixels", "--partitions", 3),
    ],
)
def test_every_partition_makes_tasks(umeta, source, tmp_path, options):
    out = tmp_path / "run"
    answer = umeta("learn", source, "--out", out, *QUICK, *options, "--json")
    check_run(answer, out)
    assert answer.json["n_partitions"] == 3
    assert (json.loads((out / "partition.json").read_text())["silhouette"] is None) == ("random" in options)
    assert (out / "embedding").is_dir() == ("random" not in options)
    assert ("johnson2019faiss" in answer.json["papers"]) == ("random" not in options and "hyperplanes" not in options)


def test_several_k_are_planned_and_kept(umeta, source, tmp_path):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, *CACTUS, "--clusters", 20, 8)
    assert "20 or 8 clusters, 8-way tasks" in answer.err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["recipe"]["n_clusters"] == [20, 8]


def test_clusters_that_the_pool_does_not_allow_are_told(umeta, source, tmp_path):
    plan = ("learn", source, "--out", tmp_path / "run", *QUICK, *CACTUS, "--dry-run")
    assert "240 images are too few for 8 or 240 clusters: there will be 8 or 20" in umeta(*plan, "--clusters", 8, 240).out
    assert "too few" not in umeta(*plan, "--clusters", 8, 12).out
    assert "too few" not in umeta(*plan).out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--partition", "hyperplanes", "--margin", "9"), "margin of 9"),
        (("--margin", "1"), "--margin 1 is for --partition hyperplanes"),
        (("--partition", "pixels"), "leave out --embedding pixels"),
        (("--clusters", "9", "0"), "--clusters must be at least 1"),
        (("--clusters", "9", "2"), "2 clusters are too few"),
        (("--clusters", "9", "241"), "241 clusters are more than the 240 distinct images; use at most 120"),
        (("--partition", "random", "--embedding", "acai", "--clusters", "900"), "900 clusters are more than the 240 distinct images"),
    ],
)
def test_what_a_partition_cannot_use(umeta, source, tmp_path, options, told):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, *CACTUS, *options)
    assert answer.code == 2
    assert told in answer.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("embedding", "told"),
    [
        (np.repeat(np.eye(2), [236, 4], 0), "a partition of 240 images has only 1 cluster of 6 or more, but tasks need 2"),
        (np.ones((240, 4)), "all 240 embeddings are the same"),
        (np.eye(239), "the embedding has shape [239, 239], but the pool has 240 images; give one row per image"),
        (np.where(np.arange(240)[:, None] == 7, np.nan, 1.0), "1 of 240 rows hold NaN or infinite values, the first is row 7"),
    ],
)
def test_an_embedding_that_makes_no_tasks_is_refused_with_numbers(umeta, source, tmp_path, embedding, told):
    np.savez(tmp_path / "z.npz", embedding=embedding)
    given = ("--recipe", "cactus-protonets", "--partitions", 1, "--embedding", tmp_path / "z.npz")
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, *given)
    assert answer.code == 2 and told in answer.error
    assert not (tmp_path / "run").exists()


def test_a_partition_is_for_recipes_that_cluster(umeta, source, tmp_path):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, "--partition", "random")
    assert answer.code == 2 and "--partition is for recipes that cluster an embedding" in answer.error


def test_views_from_codes_need_a_decoder_and_take_that_of_another_run(umeta, source, tmp_path):
    learn = ("learn", source, "--recipe", "protoclr", "--augment", "latent-mix", *QUICK)
    answer = umeta(*learn, "--out", tmp_path / "without", "--embedding", "pixels")
    assert answer.code == 2 and "latent-mix needs an embedding that can draw its codes; give --embedding vae, not pixels" in answer.error
    assert umeta(*learn, "--out", tmp_path / "first", "--embedding", "vae").code == 0
    check_run(umeta(*learn, "--out", tmp_path / "second", "--embedding", tmp_path / "first", "--json"), tmp_path / "second")


def test_the_quality_of_a_partition_is_kept_and_shown(umeta, run):
    kept = json.loads((run / "partition.json").read_text())
    assert (kept["partition"], kept["n_images"], kept["n_partitions"], kept["min_size"]) == ("kmeans", 240, 2, 6)
    assert -1 < kept["silhouette"] < 1 and 0 < kept["stability"] <= 1
    assert umeta("inspect", run, "--json").json == kept
    shown = umeta("inspect", run).out
    assert f"{run}: 2 partitions of 240 images by kmeans, 20 clusters each" in shown
    assert f"silhouette: {kept['silhouette']:.3f}" in shown and f"stability: {kept['stability']:.3f}" in shown


def test_a_run_without_clusters_has_no_partition_to_show(umeta, source, tmp_path):
    assert umeta("learn", source, "--recipe", "protoclr", "--out", tmp_path / "run", *QUICK).code == 0
    answer = umeta("inspect", tmp_path / "run")
    assert answer.code == 2 and "is a run without clusters" in answer.error


def test_a_semi_supervised_run_says_how_many_labels_it_saw(umeta, tmp_path):
    learn = (
        "learn",
        "glyphs",
        "--recipe",
        "semi-protonets",
        "--embedding",
        "pixels",
        "--partitions",
        2,
        "--clusters",
        40,
        "--image-size",
        14,
        "--steps",
        1,
    )
    answer = umeta(*learn, "--labeled-share", "0.3", "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["labels_seen"] == {"meta_train": answer.json["plan"]["n_images"], "meta_val": 0}
    assert answer.json["n_partitions"] == 3, "two of clusters, and the true classes"
    assert (tmp_path / "run" / "tasks.png").is_file()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--recipe", "semi-protonets"), "semi-protonets needs the labels of a benchmark"),
        (("--recipe", "semi-protonets", "--labeled-share", "1.5"), "lies between 0 and 1"),
        ((*CACTUS, "--labeled-share", "0.5"), "--labeled-share 0.5 is for semi-protonets"),
    ],
)
def test_labels_that_are_missing_or_not_wanted(umeta, source, tmp_path, options, told):
    answer = umeta("learn", source, "--out", tmp_path / "run", *QUICK, *options)
    assert answer.code == 2 and told in answer.error
