"""Threads that share a batch, against one call that has all of it."""

import pytest
import torch

from umeta.images.nets.conv4 import BatchNorm, patch_moments


@pytest.fixture
def images(rng):
    return torch.randn(7, 3, 4, 5, generator=rng.fork("images").torch()) * torch.tensor([1.0, 20.0, 0.1]).view(3, 1, 1) + 5


@pytest.mark.parametrize("scale", [True, False])
def test_result_gradients_and_stored_statistics_are_those_of_one_process(images, scale, in_team, rng):
    slope = torch.randn(images.shape, generator=rng.fork("slope").torch())
    weight = torch.tensor([0.5, 2.0, -1.0])

    def normed():
        norm = BatchNorm(3, stored=True, scale=scale)
        if scale:
            norm.weight.data.copy_(weight)
        return norm

    whole, every = normed(), images.clone().requires_grad_()
    expected = whole(every)
    (expected * slope).sum().backward()

    def work(team):
        norm, own = normed(), images[team.span(7)].clone().requires_grad_()
        norm.team = team
        result = norm(own)
        (result * slope[team.span(7)]).sum().backward()
        return result.detach(), own.grad, norm

    results, slopes, norms = zip(*in_team(3, work), strict=True)
    assert torch.allclose(torch.cat(results), expected, atol=1e-5)
    assert torch.allclose(torch.cat(slopes), every.grad, atol=1e-5)
    assert torch.allclose(sum(norm.bias.grad for norm in norms), whole.bias.grad, atol=1e-4)
    if scale:
        assert torch.allclose(sum(norm.weight.grad for norm in norms), whole.weight.grad, atol=1e-4)
    for norm in norms:
        assert torch.allclose(norm.mean, whole.mean, rtol=1e-6)
        assert torch.allclose(norm.var, whole.var, rtol=1e-6)


def test_moments_of_patches_are_those_of_all_images(images, in_team):
    conv = torch.nn.Conv2d(3, 2, 3, padding=1)
    mean, covariance, n = patch_moments(images, conv)
    for own_mean, own_covariance, own_n in in_team(2, lambda team: patch_moments(images[team.span(7)], conv, team)):
        assert own_n == n
        assert torch.allclose(own_mean, mean, rtol=1e-5)
        assert torch.allclose(own_covariance, covariance, rtol=1e-4, atol=1e-3)
