"""How sure a procedure may be: measured once and kept in the run, corrected by examples that were left out."""

import shutil

import numpy as np
import pytest
import torch

import umeta
from umeta.artifacts.artifact import read_json, write_artifact, write_json
from umeta.core.rng import Rng
from umeta.functional.prototypes import Metric
from umeta.images.cache import ImageCache
from umeta.images.calibration import Calibration, _folds, propose
from umeta.images.learners.heads import Prototypes
from umeta.images.procedure import ImageLearningProcedure

RNG = Rng.from_seed(0)


def test_folds_leave_out_a_shot_of_each_class_but_never_the_only_one():
    folds = [fold.tolist() for fold in _folds(torch.tensor([0, 0, 1, 2, 2, 2]))]
    assert folds == [[True, False, False, True, False, False], [False, True, False, False, True, False], [False] * 5 + [True]]
    assert _folds(torch.tensor([0, 1, 2])) == []
    many = torch.stack(_folds(torch.zeros(12, dtype=torch.long)))
    assert (len(many), many.sum(0).tolist()) == (5, [1] * 12)


def test_examples_that_contradict_each_other_take_confidence_away():
    calibration, head = Calibration({1: 0.1, 5: 0.2}, torch.zeros(0)), Prototypes(Metric("cosine"))
    labels = torch.arange(2).repeat_interleave(4)
    clear = torch.eye(2).repeat_interleave(4, 0)
    mixed = torch.eye(2)[[0, 0, 0, 1, 1, 1, 1, 0]]
    sure, unsure = calibration.temperature(head, torch.stack([clear, mixed]), labels.expand(2, -1), 2, RNG).tolist()
    assert sure <= 0.2 < unsure
    assert calibration.temperature(head, clear[::4], labels[::4], 2, RNG) == pytest.approx(0.1), "single examples say nothing"
    assert [calibration.prior(shots) for shots in (1, 2, 3, 50)] == [0.1, 0.1, 0.2, 0.2]


def test_it_is_measured_once_for_each_head_and_again_for_another_procedure(tiny_run, tmp_path, monkeypatch):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("calibration"))
    made = [umeta.load(run, head=head).calibration for head in (None, "nearest")]
    assert len(list((run / "calibration").iterdir())) == 2
    monkeypatch.setattr(Calibration, "measure", lambda *_: pytest.fail("measured again"))
    for head, first in zip((None, "nearest"), made, strict=True):
        again = umeta.load(run, head=head).calibration
        assert again.temperatures == pytest.approx(first.temperatures)
        assert torch.equal(again.strangers, first.strangers)
    ImageLearningProcedure.load(run).with_head("power").save(run / "procedure")
    with pytest.raises(pytest.fail.Exception):
        umeta.load(run)


def test_a_run_that_cannot_be_written_is_measured_all_the_same(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("calibration"))
    (run / "calibration").write_text("in the way")
    assert umeta.load(run).calibration is not None


def test_classes_are_neighbors_or_clusters_where_a_run_has_them(tiny_run, tiny_classes, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    cache = ImageCache.open(tiny_run / "cache")
    write_json(run / "manifest.json", read_json(tiny_run / "manifest.json"))
    views = propose(cache, run, 5, RNG)
    assert views.augment is not None and (views.indices == views.indices[:, :, :1]).all()
    write_artifact(run / "partition", "partition", {"labels": torch.from_numpy(tiny_classes)[None]}, {})
    clusters = propose(cache, run, 5, RNG)
    assert clusters.augment is None and clusters.indices.shape == (30, 5, 10)
    assert (tiny_classes[clusters.indices] == tiny_classes[clusters.indices[:, :, :1]]).all()
    assert all(len(set(images)) == 10 for task in clusters.indices for images in task)
    partners = np.arange(len(tiny_classes))[:, None] // 24 * 24 + np.arange(24)
    write_artifact(run / "neighbors" / "round_1", "neighbors", {"partners": torch.from_numpy(partners)}, {})
    near = propose(cache, run, 1, RNG)
    assert near.indices.shape == (30, 5, 6)
    assert (tiny_classes[near.indices] == tiny_classes[near.indices[:, :, :1]]).all()
