"""What the settings of a recipe mean."""

from dataclasses import replace

import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.recipes.named import get_recipe
from umeta.recipes.parts import make_learner, make_net
from umeta.recipes.request import Plan


@pytest.mark.parametrize(("channels", "n_dim"), [(1, 32), (3, 32 * 3 * 3)])
def test_where_something_is_counts_in_photos_and_not_in_drawings(channels, n_dim):
    plan = Plan(100, channels, 42, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample="pool")
    assert make_net(get_recipe("cactus-maml"), plan).n_dim == n_dim


@pytest.mark.parametrize(("downsample", "n_dim"), [("coarse", 32 * 3 * 3), ("pool", 32 * 6 * 6)])
def test_maml_halves_large_photos_unless_the_budget_is_long(downsample, n_dim):
    plan = Plan(100, 3, 84, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample=downsample)
    assert make_net(get_recipe("cactus-maml"), plan).n_dim == n_dim


@pytest.mark.parametrize("name", ["default", "cactus-pairs", "cactus-maml", "psco"])
def test_the_learning_rate_reaches_every_learner(name):
    plan = Plan(100, 3, 42, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="photos", downsample="pool")
    state = make_learner(replace(get_recipe(name), lr=0.125), plan).init(Rng.from_seed(0))
    assert state.optimizers["adam"].param_groups[0]["lr"] == 0.125


def test_maml_that_begins_at_a_network_has_its_form_and_vectors_of_one_length():
    plan = Plan(100, 3, 16, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample="pool")
    begin = Conv4(Conv4Config(3, 16, 8, "stem", signed=True), Rng.from_seed(1).torch())
    learner = make_learner(get_recipe("cactus-maml"), plan, begin)
    model = learner.init(Rng.from_seed(0)).modules["model"]
    assert model.net.config == replace(begin.config, stored=False)
    images = torch.rand(4, 3, 16, 16)
    vectors = model.embed_tasks({key: value[None] for key, value in model.named_parameters()}, images[None])[0]
    torch.testing.assert_close(vectors.norm(dim=1), torch.full((4,), 4.0))
    torch.testing.assert_close(model(images), model.head(vectors))
