"""ResNet-12, networks without batches, networks on vectors, and how each is rebuilt from its description."""

import json

import pytest
import torch

from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.nets.net import build, describe_net, restore_net
from umeta.images.nets.perceptron import MlpConfig
from umeta.images.nets.resnet12 import ResNet12Config


def draw(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


CONFIGS = [Conv4Config(1, 28, 4, normalization="layer"), ResNet12Config(3, 20, (2, 3, 4, 5)), MlpConfig(6, widths=(4, 3), stored=False)]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_network_is_rebuilt_from_its_description(config):
    again = restore_net(json.loads(json.dumps(describe_net(config))))
    assert again == config
    net = build(again, torch.Generator()).eval()
    assert net(draw(2, config.channels, config.side, config.side)).shape == (2, config.n_dim)


def test_a_description_without_a_type_is_a_conv4s():
    assert restore_net({"channels": 1, "side": 28, "width": 8}) == Conv4Config(1, 28, 8)


def test_parameters_of_resnet12_by_count():
    net = build(ResNet12Config(3, 84), torch.Generator())
    convolutions, width = 0, 3
    for filters in (64, 160, 320, 640):
        convolutions += 9 * width * filters + 2 * 9 * filters**2 + width * filters
        width = filters
    assert sum(value.numel() for value in net.parameters()) == convolutions + 4 * 2 * (64 + 160 + 320 + 640)


def test_a_residual_block_adds_its_shortcut():
    net = build(ResNet12Config(1, 16, (2, 2, 2, 2)), torch.Generator()).eval()
    block = net.blocks[0]
    with torch.no_grad():
        block.convs[2].weight.zero_()
    images = draw(3, 1, 16, 16)
    shortcut = block.norms[3](block.convs[3](images))
    torch.testing.assert_close(block(images), torch.nn.functional.max_pool2d(torch.nn.functional.leaky_relu(shortcut, 0.1), 2))


@pytest.mark.parametrize(("normalization", "together"), [("batch", True), ("layer", False), ("none", False)])
def test_only_batches_let_images_meet(normalization, together):
    config = Conv4Config(1, 28, 4, "stride", stored=False, normalization=normalization)
    net, images = Conv4(config, torch.Generator()), draw(5, 1, 28, 28)
    assert config.together == together
    alone = torch.cat([net(image[None]) for image in images])
    assert torch.allclose(alone, net(images), atol=1e-5) != together


def test_layer_normalization_is_that_of_torch():
    net, maps = Conv4(Conv4Config(1, 28, 4, normalization="layer"), torch.Generator()), 3 * draw(2, 4, 7, 7) + 1
    torch.testing.assert_close(net.norms[0](maps), torch.nn.functional.layer_norm(maps, (4, 7, 7)))
