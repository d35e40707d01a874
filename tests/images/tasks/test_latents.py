"""Views drawn from near a code: how far a move goes, and that nothing but the stream decides it."""

import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.latents import LatentViews
from umeta.testing import check_task_distribution

RNG = Rng.from_seed(5)


class Identity:
    """An autoencoder whose code is the image itself."""

    def __call__(self, images):
        return images.flatten(1)

    def decode(self, codes):
        return codes.view(-1, 1, 4, 4)


IMAGES = torch.rand(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("amount", "spread"), [(None, 0.5), (0.1, 0.1), (0.0, 0.0)])
def test_noise_has_the_asked_spread(amount, spread):
    moved = LatentViews(Identity(), "noise", amount)(IMAGES, RNG) - IMAGES
    assert moved.std().item() == pytest.approx(spread, rel=0.05, abs=1e-7)
    assert abs(moved.mean().item()) < 0.02


@pytest.mark.parametrize(("amount", "share"), [(None, 0.2), (0.6, 0.6)])
def test_a_mix_goes_part_of_the_way_to_another_image(amount, share):
    images = torch.eye(16).view(16, 1, 4, 4)
    for number in range(20):
        mixed = LatentViews(Identity(), "mix", amount)(images, RNG.fork("mix", number)).flatten(1)
        assert torch.allclose(mixed.diagonal(), torch.full((16,), 1 - share)), "an image is never mixed with itself"
        assert torch.allclose((mixed - (1 - share) * torch.eye(16)).amax(1), torch.full((16,), share))
    assert torch.equal(LatentViews(Identity(), "mix")(images[:1], RNG), images[:1])


@pytest.mark.parametrize("move", ["noise", "mix"])
def test_tasks_of_generated_images_keep_the_contract(tiny_pool, move):
    class Tiny(Identity):
        def decode(self, codes):
            return codes.view(-1, 1, 28, 28).clamp(0, 1)

    tasks = InstanceTasks(tiny_pool, 6, LatentViews(Tiny(), move), n_query=2)
    check_task_distribution(tasks)
    images = tasks.sample_batch(RNG, 2).images()
    assert images.shape == (2, 6, 3, 1, 28, 28) and not torch.equal(images[:, :, 0], images[:, :, 1])
