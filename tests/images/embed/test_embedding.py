"""The embedding artifact comes back with its encoder, and only for its own pool."""

import numpy as np
import pytest
import torch

from umeta.core.errors import ArtifactError, InputError
from umeta.images.embed.acai import Acai
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.pixels import PixelsZca


def make(method, pool, rng):
    if method == "acai":
        acai = Acai(depth=2, latent=2)
        encoder = acai.encoder(acai.init(pool.images, rng), pool.images)
    elif method == "pixels":
        encoder = PixelsZca.fit(pool.images)
    else:
        encoder = None
    matrix = embed_all(encoder, pool.images) if encoder else torch.rand(len(pool.images), 3, generator=rng.torch())
    return Embedding(matrix, "abc", method, encoder)


@pytest.mark.parametrize("method", ["acai", "pixels", "external"])
def test_there_and_back(tiny_pool, tmp_path, rng, method):
    embedding = make(method, tiny_pool, rng)
    embedding.write(tmp_path / "embedding")
    again = Embedding.read(tmp_path / "embedding", "abc")
    assert torch.equal(again.matrix, embedding.matrix)
    assert (again.pool, again.method) == ("abc", method)
    if embedding.encoder is None:
        assert again.encoder is None
    else:
        images = tiny_pool.gather(np.arange(4))
        torch.testing.assert_close(again.encoder(images), embedding.encoder(images), atol=1e-5, rtol=1e-4)


def test_other_images_and_other_kinds_are_refused(tiny_pool, tmp_path, rng):
    make("external", tiny_pool, rng).write(tmp_path / "embedding")
    with pytest.raises(InputError, match="holds the embedding of other images"):
        Embedding.read(tmp_path / "embedding", "xyz")
    assert Embedding.read(tmp_path / "embedding").pool == "abc"
    with pytest.raises(ArtifactError, match="is missing"):
        Embedding.read(tmp_path / "absent")
