from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.recipes.budget import seconds
from umeta.recipes.papers import BIBTEX, papers_used
from umeta.recipes.recipe import DEFAULT, RECIPES, Recipe, get_recipe
from umeta.recipes.request import Plan, resolve


def pool(n):
    return SimpleNamespace(images=np.broadcast_to(np.uint8(0), (n, 1, 28, 28)))


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("20m", 1200), ("2h", 7200), ("1.5m", 90), (" 5s ", 5)])
def test_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "1e3s", "-5s", "0m", "5 m", "5d", "5s5s", "\u0665\u0665"])
def test_no_seconds(text):
    with pytest.raises(InputError, match="20m"):
        seconds(text)


@pytest.mark.parametrize(
    ("n", "n_clusters", "n_way", "n_query"),
    [
        (16_000, 500, 20, 15),  # the recipe's own: 500 * 2 * 16
        (15_999, 499, 20, 15),  # one cluster fewer, the same tasks
        (1_280, 40, 20, 15),  # 40 clusters of 2 * 16 are just enough for 20 ways from twice as many
        (1_279, 106, 20, 5),  # fewer queries instead
        (240, 20, 10, 5),  # half as many ways as clusters
        (48, 4, 2, 5),  # the smallest
    ],
)
def test_a_small_pool_shrinks_the_tasks(n, n_clusters, n_way, n_query):
    plan = Plan.fit(get_recipe("cactus-protonets"), pool(n))
    assert (plan.n_clusters, plan.n_way, plan.n_query) == (n_clusters, n_way, n_query)


def test_a_pool_that_is_too_small():
    with pytest.raises(InputError, match="47 distinct images, but tasks need at least 48"):
        Plan.fit(get_recipe("cactus-protonets"), pool(47))


def test_an_oracle_shrinks_to_its_classes():
    labels = np.repeat([0, 1, 2], [12, 9, 30])
    plan = Plan.fit(get_recipe("oracle-protonets"), pool(51), labels)
    assert (plan.n_clusters, plan.n_way, plan.n_query) == (0, 3, 8)


def test_resolve_fills_in_what_was_not_said():
    request = resolve("photos")
    assert (request.budget_s, request.steps, request.protocol, request.recipe.name) == (1200, None, None, DEFAULT)
    assert resolve("glyphs", steps=3).protocol == "scripts"
    assert resolve("glyphs", steps=3).budget_s is None


def test_every_recipe_is_named_as_it_is_called_and_cites_known_papers():
    for name, make in RECIPES.items():
        recipe = make()
        assert recipe.name == name
        assert recipe.summary and make.__doc__
        assert set(recipe.papers) <= set(BIBTEX)
    assert get_recipe("default") == get_recipe(DEFAULT)


def test_papers_are_those_that_were_used():
    def keys(source, embedding, recipe: str | Recipe = "cactus-maml"):
        return set(papers_used(resolve(source, recipe, protocol="x"), embedding))

    assert keys("photos", "acai") == {"hsu2019cactus", "berthelot2018acai", "finn2017maml", "johnson2019faiss"}
    assert keys("photos", "pixels") == {"hsu2019cactus", "finn2017maml", "johnson2019faiss"}
    assert keys("omniglot", None, "oracle-maml") == {"finn2017maml", "lake2015omniglot"}


def test_bibtex_is_whole():
    for key, entry in BIBTEX.items():
        assert entry.startswith("@") and f"{{{key}," in entry.splitlines()[0]
        assert entry.count("{") == entry.count("}")
        assert "author" in entry and "title" in entry and "year" in entry


def test_an_unknown_embedding(tmp_path):
    recipe = get_recipe("default")
    from dataclasses import replace

    with pytest.raises(InputError, match="no embedding"):
        resolve("photos", replace(recipe, embedding=str(tmp_path)))
    Path(tmp_path, "embedding").mkdir()
    assert resolve("photos", replace(recipe, embedding=str(tmp_path))).recipe.embedding == str(tmp_path)
