"""Artifacts are on disk whole or not at all, and come back unaltered or not at all."""

import json
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umeta.artifacts import artifact
from umeta.artifacts.artifact import DESCRIPTION, WEIGHTS, read_artifact, read_json, sha256, write_artifact, write_json
from umeta.core.errors import ArtifactError, UmetaError

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.tensor([True, False]), "empty": torch.zeros(0, 4), "one": torch.tensor(7)}


@pytest.fixture
def folder(tmp_path):
    write_artifact(tmp_path / "new/thing", "thing", TENSORS, {"name": "né", "n": 3})
    return tmp_path / "new/thing"


def left_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_tensors_and_description_come_back(folder):
    tensors, info = read_artifact(folder, "thing")
    assert info == {"name": "né", "n": 3}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype for name, value in TENSORS.items())
    assert left_in(folder.parent) == ["thing", f"thing/{DESCRIPTION}", f"thing/{WEIGHTS}"]


def test_layout_and_gradients_do_not_matter(tmp_path):
    odd = torch.arange(48.0).reshape(2, 3, 4, 2).to(memory_format=torch.channels_last).requires_grad_()
    write_artifact(tmp_path / "x", "k", {"odd": odd, "transposed": odd.detach()[0, 0].T}, {})
    tensors, _ = read_artifact(tmp_path / "x", "k")
    assert torch.equal(tensors["odd"], odd.detach())
    assert torch.equal(tensors["transposed"], odd.detach()[0, 0].T)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_is_noticed_and_the_file_named(folder, data):
    weights = folder / WEIGHTS
    whole = weights.read_bytes()
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    spoiled = bytearray(whole)
    spoiled[place // 8] ^= 1 << place % 8
    weights.write_bytes(spoiled)
    with pytest.raises(ArtifactError, match=WEIGHTS):
        read_artifact(folder, "thing")
    weights.write_bytes(whole)
    read_artifact(folder, "thing")


@pytest.mark.parametrize("keep", [0, 7, 100])
def test_a_truncated_file_is_named(folder, keep):
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=f"{WEIGHTS} is truncated or was altered"):
        read_artifact(folder, "thing")


def test_a_missing_file_or_folder_is_named(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(ArtifactError, match=f"{WEIGHTS} is missing"):
        read_artifact(folder, "thing")
    with pytest.raises(ArtifactError, match=f"absent/{DESCRIPTION} is missing"):
        read_artifact(folder.parent / "absent", "thing")


def test_another_kind_and_a_newer_format_are_refused(folder):
    with pytest.raises(ArtifactError, match="is a 'thing' artifact, not a 'procedure' one"):
        read_artifact(folder, "procedure")
    content = read_json(folder / DESCRIPTION)
    write_json(folder / DESCRIPTION, content | {"format": 2})
    with pytest.raises(ArtifactError, match="has format 2; this version of umeta reads format 1"):
        read_artifact(folder, "thing")


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff"])
def test_a_damaged_description_is_named(folder, content):
    (folder / DESCRIPTION).write_bytes(content.encode("latin-1"))
    with pytest.raises(ArtifactError, match=DESCRIPTION):
        read_artifact(folder, "thing")


@pytest.mark.parametrize("failing", ["save_file", "write_json", "sha256"])
@pytest.mark.parametrize("occupied", [True, False])
def test_a_failed_write_leaves_the_old_artifact_or_nothing(tmp_path, monkeypatch, failing, occupied):
    target = tmp_path / "thing"
    if occupied:
        write_artifact(target, "thing", TENSORS, {"version": 1})

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, failing, fail)
    with pytest.raises(UmetaError, match=r"could not write .*thing: .*No space left on device"):
        write_artifact(target, "thing", {"a": torch.zeros(1)}, {"version": 2})
    monkeypatch.undo()
    if occupied:
        tensors, info = read_artifact(target, "thing")
        assert info == {"version": 1}
        assert torch.equal(tensors["a"], TENSORS["a"])
    else:
        assert left_in(tmp_path) == []


def test_an_artifact_is_replaced_whole(folder):
    write_artifact(folder, "thing", {"z": torch.ones(1)}, {"version": 2})
    tensors, info = read_artifact(folder, "thing")
    assert (list(tensors), info) == (["z"], {"version": 2})
    assert len(left_in(folder.parent)) == 3


def test_json_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": "é"})
    assert json.loads(path.read_text()) == {"a": "é", "b": 1}
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UmetaError, match=r"could not write .*x\.json: No space left on device"):
        write_json(path, {"b": 2})
    assert read_json(path) == {"a": "é", "b": 1}
    assert left_in(tmp_path) == ["x.json"]


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
