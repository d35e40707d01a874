"""The four-block network: shapes, normalization against torch's own, and queries that do not meet."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from umeta.images.nets import conv4
from umeta.images.nets.conv4 import BatchNorm, Conv4, Conv4Config, patch_moments


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, channels=1, side=28, seed=1):
    return torch.rand(n, channels, side, side, generator=generator(seed))


@pytest.mark.parametrize("downsample", ["pool", "stride"])
@pytest.mark.parametrize(("side", "grid"), [(8, 1), (20, 1), (28, 1), (31, 1), (32, 2), (84, 5)])
def test_shapes(downsample, side, grid):
    config = Conv4Config(3, side, 4, downsample)
    assert config.n_dim == (4 * grid * grid if downsample == "pool" else 4)
    assert Conv4(config, generator()).eval()(images(2, 3, side)).shape == (2, config.n_dim)


@pytest.mark.parametrize(
    ("downsample", "side", "grid"),
    [("stem", 28, 1), ("stem", 31, 2), ("stem", 84, 5), ("stem", 2, 1), ("coarse", 84, 2), ("coarse", 64, 2), ("coarse", 2, 1)],
)
def test_shapes_of_a_strided_stem(downsample, side, grid):
    config = Conv4Config(1, side, 4, downsample)
    assert config.n_dim == 4 * grid * grid
    assert Conv4(config, generator()).eval()(images(2, 1, side)).shape == (2, config.n_dim)


@pytest.mark.parametrize(("downsample", "grid"), [("pool", 3), ("stem", 3), ("coarse", 1), ("stride", None)])
def test_a_signed_end_keeps_the_last_map_and_both_signs(downsample, grid):
    config = Conv4Config(1, 28, 8, downsample, signed=True)
    out = Conv4(config, generator())(images(20))
    assert out.shape == (20, config.n_dim) == (20, 8 * grid * grid if grid else 8)
    assert 0.2 < (out < 0).float().mean() < 0.8
    assert (Conv4(Conv4Config(1, 28, 8, downsample), generator())(images(20)) >= 0).all()


def test_parameters_by_count():
    def count(config):
        return sum(parameter.numel() for parameter in Conv4(config, generator()).parameters())

    assert count(Conv4Config(1, 28, 64)) == 9 * 64 + 3 * 9 * 64 * 64 + 4 * 2 * 64
    assert count(Conv4Config(1, 28, 64, "stride", stored=False, scale=False)) == 9 * 64 + 3 * 9 * 64 * 64 + 4 * 64


def test_weights_follow_from_the_generator_and_have_xavier_spread():
    first, again, other = (Conv4(Conv4Config(1, 28, 64), generator(seed)).convs[1].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    bound = (6 / (2 * 64 * 9)) ** 0.5
    assert 0.99 * bound < first.abs().max() <= bound
    assert first.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_stored_statistics_are_those_of_torch():
    ours, theirs = BatchNorm(3, stored=True), nn.BatchNorm2d(3)
    with torch.no_grad():
        for own, their in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
            own.copy_(torch.randn(3, generator=generator()))
            their.copy_(own)
    for seed in (1, 2):
        torch.testing.assert_close(ours(images(4, 3, 5, seed)), theirs(images(4, 3, 5, seed)))
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.var, theirs.running_var)
    ours.eval(), theirs.eval()
    kept = ours.mean.clone()
    torch.testing.assert_close(ours(images(4, 3, 5, 3)), theirs(images(4, 3, 5, 3)))
    assert torch.equal(ours.mean, kept)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("downsample", ["pool", "stem", "coarse"])
def test_the_folded_first_block_has_the_values_gradients_and_averages_of_the_plain_one(channels, downsample, monkeypatch):
    monkeypatch.setattr(conv4, "PATCHES_AT_ONCE", 4)
    folded, plain = (Conv4(Conv4Config(channels, 20, 5, downsample), generator()).double() for _ in range(2))
    with torch.no_grad():
        for net in (folded, plain):
            net.norms[0].weight.copy_(torch.tensor([1.0, -0.5, 2.0, 0.1, -1.0]))
            net.norms[0].bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5, 0.2]))
    batch, target = images(10, channels, 20).double(), torch.randn(10, 20, generator=generator(2)).double()
    for net, given in ((folded, batch), (plain, batch.clone().requires_grad_())):
        ((net(given) - target[:, : net.config.n_dim]) ** 2).sum().backward()
    assert plain.convs[0].weight.grad.abs().max() > 0.1
    for one, other in zip(folded.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for one, other in zip(folded.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_patch_moments_are_those_of_the_patches_laid_out():
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)
    batch = images(5, 2, 7)
    patches = nn.functional.unfold(batch, 3, padding=1, stride=2).transpose(1, 2).flatten(0, 1)
    mean, covariance, n = patch_moments(batch, conv)
    assert n == len(patches) == 5 * 16
    torch.testing.assert_close(mean, patches.mean(0))
    torch.testing.assert_close(covariance, patches.T.cov(correction=0))


def test_batch_statistics_are_those_of_torch_in_either_mode():
    ours, theirs = BatchNorm(3, stored=False), nn.BatchNorm2d(3, track_running_stats=False)
    wanted = theirs(images(4, 3, 5))
    torch.testing.assert_close(ours(images(4, 3, 5)), wanted)
    torch.testing.assert_close(ours.eval()(images(4, 3, 5)), wanted)
    assert list(ours.state_dict()) == ["weight", "bias"]


def test_reference_statistics_equal_those_of_the_reference_alone():
    norm = BatchNorm(3, stored=False)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    support, query = images(4, 3, 5, 1), 3 + images(2, 3, 5, 2)
    together = norm(torch.cat([support, query]), 4)
    torch.testing.assert_close(together[:4], norm(support))
    mean, var = support.mean((0, 2, 3)), support.var((0, 2, 3), unbiased=False)
    by_hand = (query - mean.view(3, 1, 1)) / (var.view(3, 1, 1) + 1e-5).sqrt() * norm.weight.view(3, 1, 1) + norm.bias.view(3, 1, 1)
    torch.testing.assert_close(together[4:], by_hand)


def test_with_a_reference_one_image_never_depends_on_another_and_without_it_does():
    net = Conv4(Conv4Config(1, 28, 8, "stride", stored=False), generator())
    support, queries = images(5), images(4, seed=2)
    together = net(torch.cat([support, queries]), 5)[5:]
    alone = torch.cat([net(torch.cat([support, query[None]]), 5)[5:] for query in queries])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (net(queries) - net(queries[:2].repeat(2, 1, 1, 1)))[:2].abs().max() > 0.01


@pytest.mark.parametrize("n_reference", [None, 3])
def test_vmap_over_weights_equals_a_loop(n_reference):
    config = Conv4Config(1, 28, 4, "stride", stored=False)
    nets = [Conv4(config, generator(seed)) for seed in range(3)]
    stacked = {name: torch.stack([dict(net.named_parameters())[name] for net in nets]) for name, _ in nets[0].named_parameters()}
    batch = torch.stack([images(5, seed=seed) for seed in range(3)])
    together = vmap(lambda weights, x: functional_call(nets[0], weights, (x, n_reference)))(stacked, batch)
    torch.testing.assert_close(
        together, torch.stack([net(x, n_reference) for net, x in zip(nets, batch, strict=True)]), atol=1e-5, rtol=1e-4
    )


def test_second_derivatives_under_vmap_agree_with_finite_differences():
    """With `F.batch_norm` they silently do not: vmap's rule for its backward takes the statistics for constants."""
    norm = BatchNorm(2, stored=False).double()
    batch, target = (torch.randn(3, 4, 2, 3, 3, generator=generator(seed), dtype=torch.float64) for seed in (1, 2))

    def step(scale):
        def one(images, wanted):
            def loss(weight):
                return (norm(weight * images + images.square()) - wanted).square().mean()

            return loss(scale - grad(loss)(scale))

        return vmap(one)(batch, target).mean()

    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(step, (scale,))


def test_one_place_alone_is_normalized_to_the_shift():
    norm = BatchNorm(2, stored=False)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([0.5, -1.0]))
    assert norm(torch.rand(1, 2, 1, 1, generator=generator())).flatten().tolist() == [0.5, -1.0]


def test_the_once_differentiable_kernel_gives_the_same_values_and_first_derivatives_under_vmap() -> None:
    images = torch.rand(3, 6, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    norm = BatchNorm(4, stored=False)

    def slope(batch: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda x: (norm(x) ** 3).sum())(batch)

    slow, slow_slope = torch.func.vmap(norm)(images), torch.func.vmap(slope)(images)
    norm.once_differentiable = True
    assert torch.allclose(torch.func.vmap(norm)(images), slow, atol=1e-5)
    assert torch.allclose(torch.func.vmap(slope)(images), slow_slope, atol=1e-4)
    assert torch.isfinite(norm(torch.ones(1, 4, 1, 1))).all()


@pytest.mark.parametrize("downsample", ["pool", "stem", "coarse", "stride"])
def test_in_use_it_is_convolutions_normalized_by_stored_statistics(rng, downsample):
    net = Conv4(Conv4Config(1, 28, 8, downsample, signed=downsample == "pool"), rng.torch())
    images = torch.rand(40, 1, 28, 28, generator=rng.fork("images").torch())
    for _ in range(3):
        net(images)
    net.eval()
    out = images
    for block, (conv, norm) in enumerate(zip(net.convs, net.norms, strict=True)):
        out = norm(conv(out))
        if not net.config.ends_signed(block):
            out = out.relu()
        if net.config.pools(block) and out.shape[-1] > 1:
            out = nn.functional.max_pool2d(out, 2)
    wanted = out.mean((2, 3)) if downsample == "stride" else out.flatten(1)
    assert torch.allclose(net(images), wanted, atol=1e-5)
    assert not torch.allclose(net.train()(images), wanted, atol=1e-2)


def test_a_coarse_network_looks_at_84_pixels_as_a_stem_does_at_42():
    maps = {}
    for downsample, side in (("coarse", 84), ("stem", 42)):
        net, seen = Conv4(Conv4Config(3, side, 4, downsample), generator()), []
        for norm in net.norms[1:]:
            norm.register_forward_hook(lambda _norm, _given, out, seen=seen: seen.append(out.shape[-1]))
        net(images(2, 3, side))
        maps[downsample] = seen
    assert maps == {"stem": [21, 10, 5], "coarse": [21, 10, 5]}


def test_a_halved_network_sees_the_mean_of_four_pixels():
    large, small = Conv4Config(3, 85, 4, "stride", halved=True, flat=True), Conv4Config(3, 42, 4, "stride", flat=True)
    seen = images(3, 3, 85)
    means = seen[:, :, :84, :84].unflatten(2, (42, 2)).unflatten(4, (42, 2)).mean((3, 5))
    assert large.n_dim == small.n_dim == 4 * 9
    torch.testing.assert_close(Conv4(large, generator())(seen), Conv4(small, generator())(means))


@pytest.mark.parametrize(
    ("channels", "side", "coarse", "halved"), [(1, 28, True, False), (3, 63, True, False), (3, 64, True, True), (3, 84, False, False)]
)
def test_weights_move_on_large_images_only_where_those_are_halved_or_asked_for_whole(channels, side, coarse, halved):
    config = Conv4Config.adapted(channels, side, coarse=coarse)
    assert (config.halved, config.flat) == (halved, channels == 3)
