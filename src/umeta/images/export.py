"""Knows how a learning procedure leaves Python: as one graph from examples and queries to probabilities."""

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.errors import InputError, UmetaError
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.calibration import propose
from umeta.images.learners.heads import Prototypes
from umeta.images.learners.protonets import PrototypeProcedure
from umeta.images.procedure import ImageLearningProcedure

INPUTS, OUTPUT = ("support", "labels", "query"), "probabilities"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-3
SUFFIX = {"onnx": ".onnx", "torch": ".pt2"}
Format = Literal["onnx", "torch"]
Run = Callable[[Tensor, Tensor, Tensor], NDArray[np.float32]]


class Graph(nn.Module):
    """Learn a task and answer it in one pass.

    Args:
        procedure: Its head averages examples.
        temperature: What scores are divided by.
    """

    def __init__(self, procedure: PrototypeProcedure, temperature: float) -> None:
        super().__init__()
        assert isinstance(procedure.head, Prototypes)
        self.net, self.head, self.temperature = procedure.net, procedure.head, temperature

    def forward(
        self, support: Float[Tensor, "n c h w"], labels: Float[Tensor, "n n_way"], query: Float[Tensor, "m c h w"]
    ) -> Float[Tensor, "m n_way"]:
        """Return the probability of each class for each query.

        Args:
            support: Examples, values in `[0, 1]`, of the procedure's size and channels; any number.
            labels: One row for each example, 1 at its class and 0 elsewhere; any number of classes, each with at least one example.
            query: Images to classify; any number.
        """
        centers = self.head.metric.means(self.head.straightened(self.net(support)), labels)
        scores = self.head.metric.logits(self.head.straightened(self.net(query)), centers)
        return (scores / self.temperature).softmax(-1)


def export(shipped: ImageLearningProcedure, out: Path, kind: Format = "onnx") -> float:
    """Write a run's procedure as a graph after it answered tasks of the run's images as PyTorch does.

    Args:
        shipped: A calibrated procedure of a run.
        out: The file, an .onnx or .pt2; one that is there is replaced.
        kind: "onnx", which needs `umeta[onnx]`, or "torch", the form of `torch.export`.

    Returns:
        The largest difference of a probability from what PyTorch gives.

    Raises:
        InputError: The procedure adapts by gradient steps, its head does more than average, the file is called otherwise, or packages
            are missing.
        UmetaError: The graph answers otherwise, so nothing was written, or the file cannot be written.
    """
    if out.suffix != SUFFIX[kind]:
        raise InputError(f"{out} does not end in {SUFFIX[kind]}, as the form {kind} does; give another file")
    procedure = shipped.procedure
    if not isinstance(procedure, PrototypeProcedure):
        raise InputError(f"{shipped.recipe} adapts by gradient steps, which a graph for inference does not hold; export a run that embeds")
    if not isinstance(procedure.head, Prototypes):
        told = procedure.head.describe()["type"]
        raise InputError(f"the head {told!r} does more than average examples and is not exported; give --head prototypes, power or center")
    if shipped.origin is None or shipped.calibration is None:
        raise InputError("an export is checked on the images of a run; give a procedure that umeta.load has read")
    missing = [name for name in PACKAGES if kind == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX needs {', '.join(missing)}; install umeta[onnx], or give --format torch")
    graph = Graph(procedure, max(shipped.calibration.temperatures.values())).eval()
    partial = out.with_name(f"{out.name}.partial{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        run = _write(graph, _task(shipped, 5, 1, Rng.from_seed(0)), partial, kind)
        worst = _compare(graph, run, shipped)
        if not worst <= TOLERANCE:
            raise UmetaError(f"the exported graph differs from PyTorch by {worst:.2g} in a probability, so it was not written")
        partial.replace(out)
    except OSError as error:
        raise UmetaError(f"could not write {out}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return worst


def _write(graph: Graph, example: tuple[Tensor, Tensor, Tensor], path: Path, kind: Format) -> Run:
    """Write the graph, and return what runs the file."""
    support, classes, query = (torch.export.Dim(name, min=1) for name in ("n_support", "n_way", "n_query"))
    shapes = ({0: support}, {0: support, 1: classes}, {0: query})
    program = torch.export.export(graph, example, dynamic_shapes=shapes)
    if kind == "torch":
        torch.export.save(program, path)
        module = torch.export.load(path).module()
        return lambda *task: module(*task).detach().numpy()
    # It warns of operators of torchvision, which none of our networks has, and of its own code being deprecated.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.onnx.export(program, (), path, input_names=INPUTS, output_names=[OUTPUT], dynamo=True, external_data=False, verbose=False)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda *task: session.run(None, {name: one.numpy() for name, one in zip(INPUTS, task, strict=True)})[0]


@torch.no_grad()
def _compare(graph: Graph, run: Run, shipped: ImageLearningProcedure) -> float:
    """Return the largest difference of a probability over tasks of several sizes."""
    worst = 0.0
    for index, (n_way, shots) in enumerate([(5, 1), (5, 5), (3, 5), (2, 1)]):
        task = _task(shipped, n_way, shots, Rng.from_seed(1).fork("task", index))
        worst = max(worst, float(np.abs(graph(*task).numpy() - run(*task)).max()))
    return worst


def _task(shipped: ImageLearningProcedure, n_way: int, shots: int, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
    assert shipped.origin is not None
    cache = ImageCache.open(shipped.origin.run / "cache")
    images = propose(cache, shipped.origin.run, shots, rng)[:1].images()[0, :n_way]
    labels = torch.arange(len(images)).repeat_interleave(shots)
    return images[:, :shots].flatten(0, 1), F.one_hot(labels, len(images)).float(), images[:, shots:].flatten(0, 1)
