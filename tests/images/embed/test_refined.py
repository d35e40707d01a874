"""An encoder with a network on top: the network of the vectors, one image apart from the others, and back from disk."""

import pytest
import torch

from umeta.images.embed.embedding import Embedding
from umeta.images.embed.pixels import PixelsZca
from umeta.images.embed.refined import RefinedEncoder, as_images, seen_by
from umeta.images.nets.net import rebuilt
from umeta.images.nets.perceptron import Mlp, MlpConfig


@pytest.fixture
def refined(tiny_pool):
    below = PixelsZca.fit(tiny_pool.images[::8, :, ::4, ::4], whiten=False)
    config = MlpConfig(49, widths=(6, 4))
    return RefinedEncoder(below, rebuilt(config, Mlp(config, torch.Generator().manual_seed(0)).state_dict()))


def test_it_is_the_network_of_the_vectors(refined):
    images = torch.rand(5, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    vectors = refined.below(images)
    assert torch.equal(seen_by(refined.below, images), as_images(vectors)) and seen_by(None, images) is images
    first, second = refined.net.layers
    hidden = (vectors @ first.weight.T / (1 + 1e-5) ** 0.5).clamp(min=0)
    torch.testing.assert_close(refined(images), hidden @ second.weight.T / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(torch.cat([refined(image[None]) for image in images]), refined(images))


def test_it_comes_back_from_disk_as_it_was(refined, tmp_path):
    images = torch.rand(5, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    Embedding(refined(images), "pool", "refined", refined).write(tmp_path / "embedding")
    again = Embedding.read(tmp_path / "embedding").encoder
    assert isinstance(again, RefinedEncoder)
    assert torch.equal(again(images), refined(images))
    assert not any(weight.requires_grad for weight in again.net.parameters())
