"""Threads that share a batch, against one call that has all of it."""

from dataclasses import replace

import pytest
import torch

from umeta.core.parallel import Team
from umeta.images.nets.conv4 import BatchNorm, Conv4Config, patch_moments
from umeta.images.nets.net import build
from umeta.images.nets.shared import shared_conv, shared_linear, shared_scale

N = 17


@pytest.fixture
def images(rng):
    return torch.randn(N, 3, 4, 5, generator=rng.fork("images").torch()) * torch.tensor([1.0, 20.0, 0.1]).view(3, 1, 1) + 5


@pytest.fixture
def slope(images, rng):
    return torch.randn(images.shape, generator=rng.fork("slope").torch())


def shared_by(in_team, size, work):
    """Return what the processes of a team make of `work(team)`, and what one makes of it."""
    return in_team(size, lambda team: work(replace(team, n_rows=N))), work(Team(exact=True, n_rows=N))


@pytest.mark.parametrize("scale", [True, False])
def test_normalization_has_result_gradients_and_statistics_of_one_process(images, slope, scale, in_team):
    def normed(team):
        norm, own = BatchNorm(3, stored=True, scale=scale), images[team.span()].clone().requires_grad_()
        norm.team = team
        if scale:
            norm.weight.data.copy_(torch.tensor([0.5, 2.0, -1.0]))
        result = norm(own)
        (result * slope[team.span()]).sum().backward()
        return [result.detach(), own.grad], [norm.bias.grad, norm.mean, norm.var, *([norm.weight.grad] if scale else [])]

    shared, (of_rows, of_all) = shared_by(in_team, 4, normed)
    (plain, plain_slope), plain_of_all = normed(Team(n_rows=N))
    assert torch.allclose(of_rows[0], plain, atol=1e-5)
    assert torch.allclose(of_rows[1], plain_slope, atol=1e-5)
    assert all(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-4) for ours, theirs in zip(of_all, plain_of_all, strict=True))
    for number, rows in enumerate(of_rows):
        assert torch.equal(torch.cat([own[number] for own, _ in shared]), rows)
    assert all(torch.equal(ours, ones) for _, every in shared for ours, ones in zip(every, of_all, strict=True))


def test_normalization_beside_a_way_around_it_leaves_the_slope_of_that_way_alone(images, slope, in_team):
    def around(team):
        norm, own = BatchNorm(3, stored=True), images[team.span()].clone().requires_grad_()
        norm.team = team
        ((own + norm(own)) * slope[team.span()]).sum().backward()
        return own.grad

    shared, rows = shared_by(in_team, 4, around)
    assert torch.allclose(rows, around(Team(n_rows=N)), atol=1e-5)
    assert torch.equal(torch.cat(shared), rows)


def test_convolution_linear_map_and_scale_have_the_gradients_of_all_images(images, slope, in_team, rng):
    conv, linear = torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Linear(60, 4, bias=False)

    def worked(team):
        own = images[team.span()].clone().requires_grad_()
        weights = [weight.detach().clone().requires_grad_() for weight in (conv.weight, conv.bias)]
        mapped = torch.nn.Linear(60, 4, bias=False)
        mapped.load_state_dict(linear.state_dict())
        weights += [torch.tensor([0.5, 2.0, -1.0], requires_grad=True), torch.zeros(3, requires_grad=True)]
        result = (shared_conv(own, *weights[:2], conv, team) + shared_scale(own, *weights[2:], team)) * slope[team.span()]
        (result.sum() + shared_linear(own.flatten(1), mapped, team).sum()).backward()
        return own.grad, [*(weight.grad for weight in weights), mapped.weight.grad]

    shared, (rows, of_all) = shared_by(in_team, 2, worked)
    plain, plain_of_all = worked(Team(n_rows=N))
    assert torch.allclose(rows, plain, atol=1e-5)
    assert all(torch.allclose(ours, theirs, rtol=1e-4, atol=1e-3) for ours, theirs in zip(of_all, plain_of_all, strict=True))
    assert torch.equal(torch.cat([own for own, _ in shared]), rows)
    assert all(torch.equal(ours, ones) for _, every in shared for ours, ones in zip(every, of_all, strict=True))


def test_in_half_precision_a_network_has_the_same_bits_for_any_number_of_processes_and_gradients_as_good_as_alone(in_team, rng):
    images = torch.rand(N, 1, 12, 12, generator=rng.fork("drawings").torch()).round_()
    slope = torch.randn(N, Conv4Config(1, 12, 8).n_dim, generator=rng.fork("slope").torch())

    def worked(team, *, half=True):
        net = build(Conv4Config(1, 12, 8), rng.torch()).train()
        if team.exact:
            for module in net.modules():
                module.team = team
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            embedded = net(images[team.span()])
        embedded.float().backward(slope[team.span()])
        return embedded.detach(), [*(weight.grad for weight in net.parameters()), *net.buffers()]

    shared, (rows, of_all) = shared_by(in_team, 4, worked)
    assert rows.dtype == torch.bfloat16
    assert torch.equal(torch.cat([own for own, _ in shared]), rows)
    assert all(torch.equal(ours, ones) for _, every in shared for ours, ones in zip(every, of_all, strict=True))
    full, alone = worked(Team(n_rows=N), half=False)[1], worked(Team(n_rows=N))[1]
    off, off_alone = (torch.cat([(a - b).flatten() for a, b in zip(one, full, strict=True)]).norm() for one in (of_all, alone))
    assert off < 1.2 * off_alone


def test_moments_of_patches_are_those_of_all_images_also_on_even_ground(images, in_team):
    conv = torch.nn.Conv2d(3, 2, 3)
    images = 1000 + images
    shared, (mean, covariance, n) = shared_by(in_team, 8, lambda team: patch_moments(images[team.span()], conv, team))
    patches = torch.nn.functional.unfold(images.double(), 3).transpose(0, 1).flatten(1)
    assert n == patches.shape[1]
    assert torch.allclose(mean.double(), patches.mean(1), rtol=1e-6)
    assert torch.allclose(covariance.double(), patches.cov(correction=0), rtol=1e-4, atol=1e-3)
    for own_mean, own_covariance, own_n in shared:
        assert own_n == n
        assert torch.equal(own_mean, mean)
        assert torch.equal(own_covariance, covariance)
