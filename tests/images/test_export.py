"""A procedure as a graph: other numbers of classes, examples and queries than it was traced with, the answers of PyTorch."""

import numpy as np
import pytest
import torch

import umeta
from umeta.core.errors import InputError, UmetaError
from umeta.core.rng import Rng
from umeta.images import export as module
from umeta.images.export import Graph, export
from umeta.images.learners.maml import Maml
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.preparation import Preparation
from umeta.images.procedure import ImageLearningProcedure


@pytest.fixture(scope="module")
def shipped(tiny_run):
    return umeta.load(tiny_run)


def test_onnxruntime_answers_as_the_classifier_does(shipped, tiny_pool, tmp_path):
    import onnxruntime

    assert export(shipped, tmp_path / "x.onnx") < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    index, names = [0, 1, 2, 24, 48, 72, 73], np.array([0, 0, 0, 1, 2, 3, 3])
    pixels = tiny_pool.images.astype(np.float32) / 255
    given = {"support": pixels[index], "labels": np.eye(4, dtype=np.float32)[names], "query": pixels[:96]}
    classifier = shipped.adapt((tiny_pool.images[index, 0], names))
    scores = classifier.scores(torch.from_numpy(pixels[:96]))
    wanted = (scores / max(shipped.calibration.temperatures.values())).softmax(-1).numpy()
    np.testing.assert_allclose(session.run(None, given)[0], wanted, atol=1e-5)


def test_the_form_of_torch_needs_no_other_package(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"ONNX needs onnx, onnxscript, onnxruntime; install umeta\[onnx\], or give --format torch"):
        export(shipped, tmp_path / "x.onnx")
    assert export(shipped, tmp_path / "x.pt2", "torch") < 1e-6
    images = torch.rand(5, 1, 28, 28, generator=Rng.from_seed(0).torch())
    labels = torch.eye(2)[[0, 1, 1]]
    found = torch.export.load(tmp_path / "x.pt2").module()(images[:3], labels, images)
    torch.testing.assert_close(found, Graph(shipped.procedure, max(shipped.calibration.temperatures.values()))(images[:3], labels, images))


def test_a_graph_that_answers_otherwise_is_not_written(shipped, tmp_path, monkeypatch):
    (tmp_path / "x.pt2").write_text("kept")
    monkeypatch.setattr(module, "_compare", lambda *_: 0.5)
    with pytest.raises(UmetaError, match=r"differs from PyTorch by 0\.5 in a probability, so it was not written"):
        export(shipped, tmp_path / "x.pt2", "torch")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_what_is_not_exported(shipped, tiny_run, tmp_path):
    learner = Maml(Conv4Config(1, 28, 8, "stride", stored=False))
    gradient = ImageLearningProcedure(learner.export(learner.init(Rng.from_seed(0))), Preparation(1, 28), "cactus-maml")
    with pytest.raises(InputError, match="cactus-maml adapts by gradient steps"):
        export(gradient, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="the head 'regression' does more than average examples"):
        export(umeta.load(tiny_run, head="linear"), tmp_path / "x.onnx")
