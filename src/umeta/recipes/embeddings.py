"""Knows where a run's embedding comes from: learned or fitted here, by a network of others, from a file, or from an earlier run."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from umeta.artifacts.artifact import read_json
from umeta.artifacts.run import RunFolder
from umeta.core.errors import InputError
from umeta.core.hands import Hands
from umeta.core.progress import Reporter
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.embed.deepcluster import DeepClusterEncoder
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.external import read_embedding
from umeta.images.embed.learned import LearnedEncoder
from umeta.images.embed.outside import OutsideEncoder, is_outside
from umeta.images.embed.pixels import PixelsZca
from umeta.images.embed.registry import EMBEDDERS
from umeta.images.embed.training import fit
from umeta.images.embed.vectors import embed_once
from umeta.images.nets.net import Net
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.sheet import draw_table, neighbor_table
from umeta.recipes.pacing import Stages
from umeta.recipes.request import Request, are_drawings


@dataclass(frozen=True)
class EmbeddingStage:
    """The first stage of a run that has an embedding.

    Attributes:
        request: What was asked for.
        run: Its folder, where the embedding is kept; a run that is picked up finds it there.
        stages: Gives a trained embedding its time.
        reporter: Where progress goes.
        counted: Called with images embedded and images in all.
        by: Who embeds.
    """

    request: Request
    run: RunFolder
    stages: Stages
    reporter: Reporter
    counted: Callable[[int, int], None]
    by: Hands

    def obtain(self, cache: ImageCache) -> Embedding:
        """Return the embedding of a pool: the one that is kept already, or a new one, with a picture of it."""
        folder, pool = self.run.path / "embedding", fingerprint(cache)
        if folder.is_dir():
            return Embedding.read(folder, pool)
        method, rng = self.request.recipe.embedding, Rng.from_seed(self.request.seed).fork("embedding")
        if method in EMBEDDERS:
            made, table = self._trained(cache, pool, rng)
        else:
            self.reporter.stage("embedding")
            made = self._taken(cache, pool)
            table = neighbor_table(made.matrix, cache.images, rng.fork("picture"))
        draw_table(table, self.run.path / "embedding.png")
        made.write(folder)
        return made

    def network(self, cache: ImageCache) -> Net:
        """Return the network of the embedding, at whose weights practice is to begin."""
        encoder = self.obtain(cache).encoder
        if not isinstance(encoder, LearnedEncoder | DeepClusterEncoder):
            raise InputError(
                f"the embedding of {self.request.recipe.embedding} is not by a network that learners practice; "
                "give --embedding deepcluster or a run of ProtoNets, or leave out --start embedding"
            )
        return encoder.net

    def _trained(self, cache: ImageCache, pool: str, rng: Rng) -> tuple[Embedding, Float[Tensor, "rows columns c h w"]]:
        """Train an embedder for its share of the budget."""
        recipe = self.request.recipe
        embedder = EMBEDDERS[recipe.embedding]("drawings" if are_drawings(cache.images) else "photos")
        state = embedder.init(cache.images, rng.fork("init"))
        pace = self.stages.pace("embedding", recipe.embedding_share)
        start, observer = self.stages.observed("embedding", pace, embedder.shown, state)
        state = fit(embedder, cache.images, pace, rng, state=state, start=start, observer=observer)
        observer.close()
        encoder = embedder.encoder(state, cache.images)
        made = Embedding(embed_all(encoder, cache.images, by=self.by), pool, recipe.embedding, encoder)
        return made, embedder.picture(state, cache.images, rng.fork("picture"))

    def _taken(self, cache: ImageCache, pool: str) -> Embedding:
        """Return an embedding that asks for no training."""
        recipe = self.request.recipe
        method, images = recipe.embedding, cache.images
        if method in ("pixels", "contrast"):
            whitened = PixelsZca.fit(images, whiten=method == "pixels")
            return Embedding(embed_all(whitened, images, by=self.by), pool, method, whitened)
        if is_outside(method):
            taken = OutsideEncoder.open(method, recipe.encoder_labels)
            matrix = embed_once(taken, images, cache.hashes, on_progress=self.counted, note=self.reporter.note, by=self.by)
            return Embedding(matrix, pool, taken.kind, taken)
        if method.endswith(".npz"):
            return Embedding(read_embedding(Path(method), len(images)), pool, "external", None)
        if (Path(method) / "embedding").is_dir():
            return Embedding.read(Path(method) / "embedding", pool)
        return self._by_run(Path(method), cache, pool)

    def _by_run(self, run: Path, cache: ImageCache, pool: str) -> Embedding:
        """Embed the pool by the network that an earlier run has learned."""
        earlier = ImageLearningProcedure.load(run)
        seen, (channels, side, _) = earlier.preparation, cache.images.shape[1:]
        if (seen.channels, seen.side) != (channels, side):
            raise InputError(
                f"{run} learned from {seen.side}x{seen.side} images of {seen.channels} channels, these are {side}x{side} of {channels}; "
                f"give --image-size {seen.side}, or a run on images of their kind"
            )
        if n_labels := sum(read_json(run / "manifest.json")["labels_seen"].values()):
            raise InputError(f"{run} has seen {n_labels} labels, so clusters of what it learned would pass them on; give a run without any")
        if fingerprint(ImageCache.open(run / "cache")) != pool:
            raise InputError(f"{run} learned from other images; give a run on this source, under the same protocol")
        encoder = LearnedEncoder.of_run(earlier.procedure.encoder, cache.images, run)
        return Embedding(embed_all(encoder, cache.images, by=self.by), pool, LearnedEncoder.kind, encoder)


def fingerprint(cache: ImageCache) -> str:
    """Return a hash of a pool's content, in its order and size."""
    shape = np.asarray(cache.images.shape).tobytes()
    return hashlib.sha256(shape + np.ascontiguousarray(cache.hashes).tobytes()).hexdigest()
