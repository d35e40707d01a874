"""The network of an earlier run as the embedding of another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from umeta.artifacts.artifact import read_json
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.embed.embedding import Embedding
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.learned import LearnedEncoder
from umeta.images.embed.registry import restore_encoder
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.procedure import ImageLearningProcedure
from umeta.recipes.learn import learn
from umeta.recipes.named import get_recipe
from umeta.recipes.request import resolve


@pytest.fixture
def net():
    return Conv4(Conv4Config(3, 16, 8, signed=True), Rng.from_seed(0).torch()).eval()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (200, 3, 16, 16), np.uint8)


def test_vectors_are_directions_at_length_one_along_their_principal_components(net, images):
    encoder = LearnedEncoder.of_run(net, images, Path("run"))
    found = embed_all(encoder, images)
    directions = F.normalize(embed_all(net, images), dim=1)
    centered = directions - directions.mean(0)
    first = torch.linalg.svd(centered, full_matrices=False).Vh[0]
    assert torch.allclose(found.norm(dim=1), torch.ones(200), atol=1e-5)
    raw = (directions - encoder.mean) @ encoder.projection
    assert abs(torch.corrcoef(torch.stack([raw[:, 0], centered @ first]))[0, 1]) > 0.999
    assert torch.allclose(F.normalize(raw, dim=1), found, atol=1e-5)


def test_it_goes_to_disk_and_comes_back(net, images):
    encoder = LearnedEncoder.of_run(net, images, Path("run"))
    again = restore_encoder("learned", encoder.describe(), encoder.state_dict())
    assert torch.allclose(embed_all(again, images), embed_all(encoder, images), atol=1e-5)


def test_a_network_that_sees_images_together_is_refused(images):
    together = Conv4(Conv4Config.adapted(3, 16), Rng.from_seed(0).torch())
    with pytest.raises(InputError, match=r"elsewhere has no embedding, and no network that sees one image at a time; give a run"):
        LearnedEncoder.of_run(together, images, Path("elsewhere"))


def photos(path, seed, n=400):
    np.savez(path, images=np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), np.uint8))
    return str(path)


@pytest.fixture
def first(tmp_path):
    learn(resolve(photos(tmp_path / "pool.npz", 0), replace(get_recipe("default"), n_way=16), steps=1), tmp_path / "first")
    return tmp_path / "first"


def on(run, **changes):
    return replace(get_recipe("cactus-pairs"), embedding=str(run), n_partitions=1, **changes)


def test_a_run_clusters_what_another_has_learned(tmp_path, first):
    learn(resolve(str(tmp_path / "pool.npz"), on(first), steps=1), tmp_path / "second")
    embedding = Embedding.read(tmp_path / "second" / "embedding")
    assert embedding.method == "learned" and embedding.encoder is not None
    earlier = ImageLearningProcedure.load(first).procedure.encoder.state_dict()
    kept = load_file(tmp_path / "second" / "embedding" / "tensors.safetensors")
    assert all(torch.equal(kept[f"encoder.net.{key}"], value) for key, value in earlier.items())
    papers = read_json(tmp_path / "second" / "manifest.json")["papers"]
    assert {"hsu2019cactus", "chen2020simclr"} <= set(papers) and len(set(papers)) == len(papers), "its own and the earlier run's, once"


@pytest.mark.parametrize(
    ("recipe", "prefix"), [("cactus-pairs", "net."), ("cactus-maml", "model.net."), ("cactus-protomaml", "model.net.")]
)
def test_practice_begins_at_the_weights_of_the_earlier_run(tmp_path, first, recipe, prefix):
    earlier = dict(ImageLearningProcedure.load(first).procedure.encoder.named_parameters())
    for start, near in (("embedding", True), ("random", False)):
        settings = replace(get_recipe(recipe), embedding=str(first), n_partitions=1, start=start)
        learn(resolve(str(tmp_path / "pool.npz"), settings, steps=1, seed=1), tmp_path / start)
        learned = load_file(tmp_path / start / "procedure" / "tensors.safetensors")
        fits = [
            learned[f"{prefix}{name}"].shape == value.shape and torch.allclose(learned[f"{prefix}{name}"], value, atol=3e-3)
            for name, value in earlier.items()
            if name.startswith("convs")
        ]
        assert len(fits) == 4 and all(fits) == near


def test_an_embedding_without_such_a_network_cannot_begin_practice(tmp_path, first):
    source = str(tmp_path / "pool.npz")
    learn(resolve(source, replace(on("pixels"), n_partitions=1), steps=1), tmp_path / "pixels")
    with pytest.raises(InputError, match=r"pixels is not by a network that learners practice; give --embedding deepcluster or a run"):
        learn(resolve(source, on(tmp_path / "pixels", start="embedding"), steps=1), tmp_path / "second")


def test_a_run_on_other_images_or_with_labels_is_refused(tmp_path, first):
    pool, other = str(tmp_path / "pool.npz"), photos(tmp_path / "other.npz", 1)
    with pytest.raises(InputError, match=r"learned from 16x16 images of 3 channels, these are 20x20 of 3; give --image-size 16"):
        learn(resolve(pool, on(first, image_size=20), steps=1), tmp_path / "second")
    with pytest.raises(InputError, match="first learned from other images; give a run on this source, under the same protocol"):
        learn(resolve(other, on(first), steps=1), tmp_path / "third")
    manifest = first / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"meta_train": 0', '"meta_train": 7'))
    with pytest.raises(InputError, match=r"first has seen 7 labels, so clusters of what it learned would pass them on"):
        learn(resolve(pool, on(first), steps=1), tmp_path / "fourth")
