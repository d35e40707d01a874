from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.images.augment import VIEWS, RandomViews, binomial_blur, mix_stroke, spline_basis, turn_colors

RNG = Rng.from_seed(0)
STILL = RandomViews(rotation_deg=0, scale=0, shear=0, shift=0)


def drawing() -> torch.Tensor:
    image = torch.zeros(1, 28, 28)
    image[:, 8:20, 12:15] = 1.0
    return image


def test_no_amount_changes_nothing() -> None:
    images = torch.rand(4, 3, 28, 28, generator=RNG.torch())
    assert torch.allclose(STILL(images, RNG), images, atol=1e-5)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_is_a_pure_function_of_stream_and_place(name: str, channels: int) -> None:
    images = drawing().expand(40, channels, -1, -1) * torch.linspace(0.5, 1, channels).view(-1, 1, 1)
    views = VIEWS[name]
    first, again, other = (views(images, rng) for rng in (RNG, RNG, RNG.fork("other")))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(not torch.equal(first[0], first[index]) for index in range(1, 40))
    assert torch.allclose(views(images[:20], RNG), first[:20], atol=1e-6)
    assert first.min() >= 0 and first.max() <= 1 + 1e-6


def test_values_stay_in_range_and_ink_stays_on_the_page() -> None:
    images = drawing().expand(50, -1, -1, -1)
    changed = RandomViews()(images, RNG)
    assert changed.min() >= 0 and changed.max() <= 1 + 1e-6
    ink = changed.sum((1, 2, 3)) / images.sum((1, 2, 3))
    assert ink.min() > 0.5 and ink.max() < 1.6


def test_a_shift_moves_the_drawing_by_at_most_its_share_of_the_side() -> None:
    images = drawing().expand(50, -1, -1, -1)
    moved = RandomViews(rotation_deg=0, scale=0, shear=0, shift=0.1)(images, RNG)
    place = torch.arange(28.0)
    center = (moved.sum((1, 2)) * place).sum(-1) / moved.sum((1, 2, 3))
    assert (center - 13).abs().max() <= 2.8 + 0.01
    assert (center - 13).abs().max() > 1.0


def test_a_crop_shows_part_of_the_image_larger_and_all_parts_come_up() -> None:
    ramp = torch.linspace(0, 1, 28).expand(400, 1, 28, 28)
    views = replace(STILL, crop=0.25)(ramp, RNG)
    span = (views[..., -1] - views[..., 0]).mean((1, 2))
    assert span.min() > 0.45 and span.max() > 0.95
    assert (span.square().mean() - 0.625).abs() < 0.05
    assert views[..., 0].min() < 0.03 and views[..., -1].max() > 0.97


def test_half_of_the_views_are_mirrored() -> None:
    ramp = torch.linspace(0, 1, 28).expand(400, 1, 28, 28)
    views = replace(STILL, flip=True)(ramp, RNG)
    mirrored = views[:, 0, 0, 0] > 0.5
    assert 0.4 < mirrored.float().mean() < 0.6
    assert torch.allclose(views[mirrored], ramp[mirrored].flip(-1), atol=1e-5)
    assert torch.allclose(views[~mirrored], ramp[~mirrored], atol=1e-5)


def test_a_warp_moves_points_smoothly_by_its_share_of_the_side() -> None:
    ramp = torch.linspace(0, 1, 28).expand(500, 1, 28, 28)
    moved = (replace(STILL, warp=0.05)(ramp, RNG) - ramp)[..., 4:-4, 8:-8]
    assert moved.std() == pytest.approx(0.05, rel=0.15)
    assert (moved[..., 1:, :] - moved[..., :-1, :]).std() < 0.02


def test_spline_basis_is_smooth_and_has_unit_sum_of_squares_on_average() -> None:
    basis = spline_basis(28, 6)
    assert basis.square().sum(1).mean().item() == pytest.approx(1, abs=1e-5)
    assert basis.sum(1).std() < 1e-5
    assert (basis[1:] - basis[:-1]).abs().max() < 0.2


def test_strokes_grow_and_shrink() -> None:
    images = drawing().expand(3, -1, -1, -1)
    thick, same, thin = mix_stroke(images, torch.tensor([1.0, 0.0, -1.0]))
    assert torch.equal(same, images[1])
    assert (thick.sum(), thin.sum()) == (14 * 5, 10 * 1)
    half = mix_stroke(images[:1], torch.tensor([0.5]))
    assert half.sum() == pytest.approx((12 * 3 + 14 * 5) / 2)


def test_color_turns_saturation_and_hue_and_leaves_gray_alone() -> None:
    color = torch.tensor([0.8, 0.3, 0.2]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    one, zero, turn = torch.ones(1), torch.zeros(1), torch.full((1,), 0.5)
    assert torch.allclose(turn_colors(color, one, zero), color, atol=1e-5)
    assert turn_colors(color, zero, turn).std(1).max() < 2e-3
    assert (turn_colors(color, one, turn) - color).abs().max() > 0.1
    gray = torch.full((1, 3, 2, 2), 0.4)
    assert torch.allclose(turn_colors(gray, 2 * one, turn), gray, atol=2e-3)


def test_the_asked_shares_of_views_are_gray_and_blurred() -> None:
    noise = torch.rand(400, 3, 8, 8, generator=RNG.torch())
    gray = replace(STILL, gray=0.3)(noise, RNG)
    assert ((gray.std(1).amax((1, 2)) < 0.01).float().mean() - 0.3).abs() < 0.07
    blurred = replace(STILL, blur=0.3)(noise, RNG)
    changed = (blurred - noise).abs().amax((1, 2, 3)) > 0.01
    assert (changed.float().mean() - 0.3).abs() < 0.07
    assert blurred[changed].std() < 0.6 * noise.std()


def test_dropped_pixels_are_ground_and_their_share_is_as_asked() -> None:
    bright = torch.full((200, 3, 8, 8), 0.3)
    bright[:, :, :2] = 0.9
    dark_views, light_views = (replace(STILL, drop=0.3)(images, RNG) for images in (bright, 1 - bright))
    dropped = (dark_views == 0).all(1)
    assert (dropped.float().mean() - 0.3).abs() < 0.02
    assert torch.equal(dropped, (light_views == 1).all(1))
    assert torch.allclose(dark_views.amax(1)[~dropped], bright[:, 0][~dropped], atol=1e-5)
    assert len({tuple(one.flatten().tolist()) for one in dropped}) == 200


@pytest.mark.parametrize(("channels", "side"), [(1, 5), (3, 28), (3, 1)])
def test_the_blur_is_the_binomial_filter_twice(channels: int, side: int) -> None:
    images = torch.rand(4, channels, side, side, generator=torch.Generator().manual_seed(0))
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]).div(16).expand(channels, 1, 3, 3)
    expected = images
    for _ in range(2):
        expected = F.conv2d(F.pad(expected, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
    assert torch.allclose(binomial_blur(images), expected, atol=1e-6)
