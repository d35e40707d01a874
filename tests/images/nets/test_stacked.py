"""The stacked network against the plain one with each task's weights, and its patches against torch's own."""

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.nets.stacked import _Overlap, _Patches, stacked_conv4


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 7), (7, 4), (1, 1), (2, 3)])
def test_patches_are_those_of_torch_and_overlap_is_their_transpose(height, width):
    maps = draw(2, height, width, 3)
    found = _Patches.apply(maps)
    wanted = F.unfold(maps.movedim(-1, 1), 3, padding=1, stride=2).view(2, 3, 9, *found.shape[1:3])
    torch.testing.assert_close(found.view(*found.shape[:3], 9, 3), wanted.permute(0, 3, 4, 2, 1))
    other = draw(*found.shape, seed=1)
    torch.testing.assert_close((_Overlap.apply(other, height, width) * maps).sum(), (other * found).sum())


def test_first_and_second_derivatives_agree_with_finite_differences():
    maps = draw(1, 5, 4, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _Patches.apply(x).square(), [maps])
    assert torch.autograd.gradgradcheck(lambda x: _Patches.apply(x) ** 3, [maps])


@pytest.mark.parametrize("side", [28, 21, 5])
@pytest.mark.parametrize("n_reference", [None, 4])
@pytest.mark.parametrize("normalization", ["batch", "layer", "none"])
@pytest.mark.parametrize(("flat", "halved"), [(False, False), (True, False), (True, True)])
def test_each_task_is_embedded_by_its_own_weights(flat, halved, normalization, n_reference, side):
    config = Conv4Config(2, side, 5, "stride", stored=False, flat=flat, halved=halved, normalization=normalization)
    net = Conv4(config, torch.Generator()).double()
    weights = {name: value + 0.3 * draw(3, *value.shape, seed=len(name)) for name, value in net.named_parameters()}
    images = draw(3, 7, 2, side, side).sigmoid()
    found = stacked_conv4(config, weights, images, n_reference)
    for task in range(3):
        own = {name: value[task] for name, value in weights.items()}
        torch.testing.assert_close(found[task], functional_call(net, own, (images[task], n_reference)))
    assert found.shape[2] == config.n_dim
    assert (found[0] - found[1]).abs().max() > 1e-2
