"""What the settings of a recipe mean."""

import pytest

from umeta.recipes.named import get_recipe
from umeta.recipes.parts import make_net
from umeta.recipes.request import Plan


@pytest.mark.parametrize(("channels", "n_dim"), [(1, 32), (3, 32 * 3 * 3)])
def test_where_something_is_counts_in_photos_and_not_in_drawings(channels, n_dim):
    plan = Plan(100, channels, 42, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample="pool")
    assert make_net(get_recipe("cactus-maml"), plan).n_dim == n_dim


@pytest.mark.parametrize(("downsample", "n_dim"), [("coarse", 32 * 3 * 3), ("pool", 32 * 6 * 6)])
def test_maml_halves_large_photos_unless_the_budget_is_long(downsample, n_dim):
    plan = Plan(100, 3, 84, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample=downsample)
    assert make_net(get_recipe("cactus-maml"), plan).n_dim == n_dim
