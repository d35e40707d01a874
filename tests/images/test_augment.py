import torch

from umeta.core.rng import Rng
from umeta.images.augment import RandomAffine

RNG = Rng.from_seed(0)


def drawing() -> torch.Tensor:
    image = torch.zeros(1, 28, 28)
    image[:, 8:20, 12:15] = 1.0
    return image


def test_no_amount_changes_nothing() -> None:
    images = torch.rand(4, 3, 28, 28, generator=RNG.torch())
    still = RandomAffine(rotation_deg=0, scale=0, shear=0, shift=0)(images, RNG)
    assert torch.allclose(still, images, atol=1e-5)


def test_it_is_a_pure_function_of_its_stream_and_changes_every_image_in_its_own_way() -> None:
    images = drawing().expand(6, -1, -1, -1)
    first, again, other = (RandomAffine()(images, rng) for rng in (RNG, RNG, RNG.fork("other")))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(not torch.equal(first[0], first[index]) for index in range(1, 6))


def test_image_i_does_not_depend_on_how_many_follow() -> None:
    images = drawing().expand(6, -1, -1, -1)
    assert torch.equal(RandomAffine()(images, RNG)[:2], RandomAffine()(images[:2], RNG))


def test_values_stay_in_range_and_ink_stays_on_the_page() -> None:
    images = drawing().expand(50, -1, -1, -1)
    changed = RandomAffine()(images, RNG)
    assert changed.min() >= 0 and changed.max() <= 1 + 1e-6
    ink = changed.sum((1, 2, 3)) / images.sum((1, 2, 3))
    assert ink.min() > 0.5 and ink.max() < 1.6


def test_a_shift_moves_the_drawing_by_at_most_its_share_of_the_side() -> None:
    images = drawing().expand(50, -1, -1, -1)
    moved = RandomAffine(rotation_deg=0, scale=0, shear=0, shift=0.1)(images, RNG)
    place = torch.arange(28.0)
    center = (moved.sum((1, 2)) * place).sum(-1) / moved.sum((1, 2, 3))
    assert (center - 13).abs().max() <= 2.8 + 0.01
    assert (center - 13).abs().max() > 1.0
