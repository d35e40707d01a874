"""Knows how sure a procedure may be: from tasks proposed of its own images, and from the examples of the task at hand."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, read_json, write_artifact
from umeta.core.errors import ArtifactError, UmetaError
from umeta.core.rng import Rng
from umeta.functional.calibration import fit_temperature
from umeta.functional.sampling import choose
from umeta.images.augment import VIEWS
from umeta.images.cache import ImageCache
from umeta.images.embed.encoder import embed_all, to_float
from umeta.images.episode import Episodes, Pool
from umeta.images.learners.classifier import ImageProcedure
from umeta.images.learners.heads import Head
from umeta.images.learners.protonets import PrototypeProcedure, divided

KIND = "calibration"
SHOTS = (1, 5)
N_TASKS, N_WAY, N_QUERY, N_STRANGERS = 30, 5, 5, 512
N_FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """What turns scores into honest probabilities, and tells members of the classes from strangers.

    Attributes:
        temperatures: By number of shots: what scores are divided by.
        strangers: What the procedure's classifiers take, for some images of its pool: vectors if it has an embedding, else images.

    Source:
        Guo et al. 2017 (arXiv:1706.04599) fit one temperature to labeled images; here there are none but the examples, so what proposed
        tasks say is the prior, and the examples, left out in turn, correct it.
    """

    temperatures: Mapping[int, float]
    strangers: Tensor

    def prior(self, shots: float) -> float:
        """Return the temperature that proposed tasks of about so many shots had."""
        return self.temperatures[min(self.temperatures, key=lambda known: abs(log(known / shots)))]

    def temperature(
        self, head: Head, support: Float[Tensor, "*batch n dim"], labels: Int[Tensor, "*batch n"], n_way: int, rng: Rng
    ) -> Float[Tensor, "*batch"]:
        """Return the temperature of each task: that of proposed tasks, corrected by examples that were left out in turn.

        Args:
            head: What learns the tasks.
            support: Embedded examples.
            labels: The same for every task.
            n_way: Number of classes.
            rng: What the head draws from.
        """
        prior = self.prior(labels.shape[-1] / n_way)
        folds = _folds(labels.reshape(-1, labels.shape[-1])[0])
        if not folds:
            return torch.full(labels.shape[:-1], prior)
        scores, answers = [], []
        for out in folds:
            scores.append(head.logits(support[..., out, :], head.fit(support[..., ~out, :], labels[..., ~out], n_way, rng)))
            answers.append(labels[..., out])
        return fit_temperature(torch.cat(scores, -2), torch.cat(answers, -1), prior)

    def of_tasks(self, procedure: ImageProcedure, episodes: Episodes, rng: Rng) -> Float[Tensor, " n_task"]:
        """Return the temperature of every task of a batch."""
        if not isinstance(procedure, PrototypeProcedure):
            return torch.full((len(episodes),), self.prior(episodes.k_shot))
        support, labels, _ = divided(episodes.embedded(procedure.net), episodes.k_shot)
        return self.temperature(procedure.head, support, labels, episodes.n_way, rng)

    @classmethod
    def measure(cls, procedure: ImageProcedure, run: Path) -> "Calibration":
        """Propose tasks from a run's images, let the procedure learn them, and see how sure it may be; a few seconds."""
        rng, cache = Rng.from_seed(0).fork("calibration"), ImageCache.open(run / "cache")
        temperatures = {}
        embedding = isinstance(procedure, PrototypeProcedure)
        for shots in SHOTS:
            # Gradient steps are dear, and a few tasks tell nearly as much as many.
            episodes = propose(cache, run, shots, rng.fork("tasks", shots))[: N_TASKS if embedding else N_TASKS // 3]
            parts = [procedure.logits(chunk, rng)[-1] for chunk in episodes.chunk(10)]
            scores, answers = torch.cat(parts).flatten(0, 1), episodes.labels(N_QUERY).repeat(len(episodes))
            temperatures[shots] = float(fit_temperature(scores, answers))
        images = np.array(cache.images[:: max(len(cache.images) // N_STRANGERS, 1)][:N_STRANGERS])
        strangers = embed_all(procedure.encoder, images) if embedding else to_float(torch.from_numpy(images))
        return cls(temperatures, strangers)

    @classmethod
    def of_run(cls, procedure: ImageProcedure, run: Path, digest: str) -> "Calibration":
        """Return what was measured of a run's procedure and its head, or measure it now and keep it in the run if that can be written.

        Args:
            procedure: Of the run, with any head.
            run: The run folder.
            digest: Of the run's procedure; another one is measured anew.

        Raises:
            ArtifactError: The run's images are missing.
        """
        stamp = hashlib.sha256(json.dumps([digest, procedure.describe()], sort_keys=True).encode()).hexdigest()
        folder = run / KIND / stamp[:12]
        try:
            tensors, info = read_artifact(folder, KIND)
            if info["stamp"] == stamp:
                return cls({int(shots): value for shots, value in info["temperatures"].items()}, tensors["strangers"])
        except ArtifactError:
            pass
        made = cls.measure(procedure, run)
        with suppress(UmetaError):  # a run that may only be read is measured each time
            write_artifact(folder, KIND, {"strangers": made.strangers}, {"stamp": stamp, "temperatures": made.temperatures})
        return made


def propose(cache: ImageCache, run: Path, shots: int, rng: Rng) -> Episodes:
    """Return tasks proposed from a run's images, the hardest kind that it left: of neighbors, of a cluster, or else of views of one image.

    Classes of one image each are far easier than any that people have in mind, so probabilities that fit them are too sure of themselves.
    """
    size = shots + N_QUERY
    n_way, generator = min(N_WAY, len(cache.images)), rng.numpy()
    classes = [cell for cell in _cells(run) if len(cell) >= size]
    drawn = choose(np.full(N_TASKS, len(classes) if len(classes) >= n_way else len(cache.images)), n_way, generator)
    if len(classes) < n_way:
        augment = VIEWS.get(read_json(run / "manifest.json")["plan"]["augment"], VIEWS["affine"])
        return Episodes(Pool(cache.images), np.repeat(drawn[..., None], size, -1), shots, augment, rng.fork("views"))
    indices = np.array([[generator.permutation(classes[cell])[:size] for cell in task] for task in drawn])
    return Episodes(Pool(cache.images), indices, shots)


def _cells(run: Path) -> Sequence[NDArray[np.int64]]:
    """Return groups of images that the last stage of a run took for one class; none if it took only views of one image for one."""
    rounds = sorted((run / "neighbors").glob("*"))
    if rounds:
        partners = read_artifact(rounds[-1], "neighbors")[0]["partners"].numpy()
        return [np.unique([index, *near]) for index, near in enumerate(partners)]
    if (run / "partition").is_dir():
        labels = read_artifact(run / "partition", "partition")[0]["labels"][0].numpy()
        return [np.flatnonzero(labels == cell) for cell in range(labels.max() + 1)]
    return []


def _folds(labels: Int[Tensor, " n"]) -> list[Tensor]:
    """Return masks that leave out about a fifth of each class in turn, or one example of it; the only example of a class always stays."""
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    place, size = same.tril(-1).sum(1), same.sum(1)
    n_folds = min(int(size.max()), N_FOLDS)
    fold = torch.where(size > 1, place % n_folds, -1)
    return [fold == number for number in range(n_folds) if bool((fold == number).any())]
