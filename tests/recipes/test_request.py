from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.recipes.budget import seconds, written
from umeta.recipes.named import RECIPES, get_recipe
from umeta.recipes.pacing import Stages
from umeta.recipes.papers import BIBTEX, papers_used
from umeta.recipes.parts import make_learner
from umeta.recipes.recipe import Recipe
from umeta.recipes.request import Plan, cautions, image_sizes, read_source, resolve, typical_difference


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
    plan = Plan.fit(resolve("photos", "cactus-protonets"), pool(n))
    assert (plan.n_clusters, plan.n_way, plan.n_query) == (n_clusters, n_way, n_query)


def test_all_clusters_are_classes_where_that_many_were_asked_for_and_the_pool_allows_them():
    recipe = replace(get_recipe("cactus-protonets"), n_clusters=10, n_way=10)
    for n, expected in ((50_000, (10, 10, 15)), (200, (10, 10, 5)), (100, (8, 4, 5))):
        plan = Plan.fit(resolve("photos", recipe), pool(n))
        assert (plan.n_clusters, plan.n_way, plan.n_query) == expected


@pytest.mark.parametrize(("source", "n_way"), [("omniglot", 20), ("mnist", 10), ("mini-imagenet", 5), ("celeba", 2), ("photos", 20)])
def test_practice_has_no_more_classes_than_the_benchmark_is_scored_on(source, n_way):
    assert Plan.fit(resolve(source, "cactus-maml"), pool(38_400)).n_way == n_way
    assert Plan.fit(resolve(source, replace(get_recipe("cactus-maml"), n_way=2)), pool(38_400)).n_way == 2
    assert Plan.fit(resolve(source, "protoclr"), noise(60)).n_way == 50, "instances are no classes of the benchmark"


def test_a_pool_that_is_too_small():
    with pytest.raises(InputError, match="47 distinct images, but tasks need at least 48"):
        Plan.fit(resolve("photos", "cactus-protonets"), pool(47))


def test_an_oracle_shrinks_to_its_classes():
    labels = np.repeat([0, 1, 2], [12, 9, 30])[None]
    plan = Plan.fit(resolve("photos", "oracle-protonets"), pool(51), labels)
    assert (plan.n_clusters, plan.n_way, plan.n_query) == (0, 3, 8)


def test_resolve_fills_in_what_was_not_said():
    request = resolve("photos")
    assert (request.budget_s, request.steps, request.protocol, request.recipe.name) == (1200, None, None, "default")
    assert resolve("glyphs", steps=3).protocol == "scripts"
    assert resolve("glyphs", steps=3).budget_s is None


def test_nothing_is_changed_where_vectors_are_practiced_on_unless_asked_for():
    recipe = get_recipe("cactus-protonets")
    assert resolve("photos", recipe).recipe.augment == "affine"
    assert resolve("photos", replace(recipe, practice_on="embedding")).recipe.augment == "none"
    assert resolve("photos", replace(recipe, practice_on="embedding", augment="shifts")).recipe.augment == "shifts"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("default", {}, "recipes that cluster an embedding; default has none"),
        ("psco", {}, "recipes that cluster an embedding; psco has none"),
        ("cactus-maml", {"net": "resnet12"}, "leave out --net and --normalization"),
        ("cactus-maml", {"normalization": "layer"}, "leave out --net and --normalization"),
    ],
)
def test_what_cannot_practice_on_an_embedding_says_so(name, changes, message):
    with pytest.raises(InputError, match=message):
        resolve("photos", replace(get_recipe(name), practice_on="embedding", **changes))


def test_every_recipe_is_named_as_it_is_called_and_cites_known_papers():
    for name, make in RECIPES.items():
        recipe = make()
        assert recipe.name == name
        assert recipe.summary and make.__doc__
        assert set(recipe.papers) <= set(BIBTEX)


def test_papers_are_those_that_were_used():
    def keys(source, embedding, recipe: str | Recipe = "cactus-maml"):
        return set(papers_used(resolve(source, recipe, protocol="x"), embedding))

    assert keys("photos", "acai") == {"hsu2019cactus", "berthelot2018acai", "finn2017maml", "johnson2019faiss"}
    assert keys("photos", "pixels") == {"hsu2019cactus", "coates2012kmeans", "finn2017maml", "johnson2019faiss"}
    assert keys("photos", "contrast") == keys("photos", "pixels")
    resnet = replace(get_recipe("cactus-maml"), net="resnet12")
    assert keys("photos", "external", resnet) == {"hsu2019cactus", "finn2017maml", "lee2019metaoptnet", "johnson2019faiss"}
    begun = replace(get_recipe("cactus-maml"), embedding="deepcluster", start="embedding")
    assert "ye2022unicorn" in keys("photos", "deepcluster", begun)
    assert "ye2022unicorn" not in keys("photos", "deepcluster", replace(begun, start="random"))
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


def strokes(n, side=28):
    return SimpleNamespace(
        images=np.stack([np.pad(np.full((1, 8, 8), 255, np.uint8), ((0, 0), (i % 20, side - 8 - i % 20), (0, side - 8))) for i in range(n)])
    )


def noise(n, channels=3, side=28):
    return SimpleNamespace(images=np.random.default_rng(0).integers(0, 255, (n, channels, side, side), np.uint8))


def test_what_the_default_leaves_open_is_chosen_from_the_images():
    plan = Plan.fit(resolve("photos"), strokes(2000))
    assert (plan.augment, plan.n_turns, plan.n_way, plan.n_clusters, plan.downsample) == ("drawings", 4, 256, 0, "pool")
    for photos in (noise(2000), noise(2000, channels=1)):
        plan = Plan.fit(resolve("photos"), photos)
        assert (plan.augment, plan.n_turns) == ("photos", 1)
    assert "each in 4 orientations, 256-way tasks with 1 query a class, views as of drawings" in Plan.fit(resolve("x"), strokes(99)).told()


def test_what_was_given_is_not_chosen():
    recipe = replace(get_recipe("default"), augment="affine", downsample="stride")
    plan = Plan.fit(resolve("photos", recipe), noise(99))
    assert (plan.augment, plan.downsample) == ("affine", "stride")


@pytest.mark.parametrize(
    ("budget_s", "side", "expected"),
    [
        *[(599, 28, "stem"), (600, 28, "pool"), (2399, 56, "stem"), (2400, 56, "pool"), (None, 56, "pool"), (599, 63, "stem")],
        *[(599, 64, "coarse"), (21_599, 84, "coarse"), (21_600, 84, "pool"), (None, 84, "coarse")],
    ],
)
def test_a_short_budget_takes_the_faster_network(budget_s, side, expected):
    request = resolve("photos", budget_s=budget_s, steps=None if budget_s else 5)
    assert Plan.fit(request, strokes(500, side)).downsample == expected


def test_a_pool_smaller_than_a_task_of_instances():
    assert Plan.fit(resolve("photos"), noise(100)).n_way == 100
    assert Plan.fit(resolve("photos"), strokes(40)).n_way == 160
    with pytest.raises(InputError, match="15 distinct images, but tasks in which each is a class need at least 16"):
        Plan.fit(resolve("photos"), noise(15))


def test_only_recipes_that_turn_have_turns_and_the_queue_is_no_longer_than_the_pool():
    turns = {name: Plan.fit(resolve("photos", name), strokes(400)).n_turns for name in ("default", "protoclr", "psco", "in-context")}
    assert turns == {"default": 4, "protoclr": 1, "psco": 4, "in-context": 4}
    for images, n_queue, n_shots in ((strokes(400), 1600, 1), (strokes(5000), 16384, 1), (noise(400), 400, 4)):
        learner = make_learner(get_recipe("psco"), Plan.fit(resolve("photos", "psco"), images))
        assert (learner.n_queue, learner.n_shots, learner.lr) == (n_queue, n_shots, 2e-3)


def test_protoclr_is_as_published():
    plan = Plan.fit(resolve("photos", "protoclr"), noise(400))
    learner = make_learner(get_recipe("protoclr"), plan)
    assert (plan.n_way, plan.n_query, learner.metric.kind, learner.lr, learner.n_splits) == (50, 3, "euclidean", 1e-3, 1)
    assert (learner.objective, learner.average, learner.net.signed, get_recipe("protoclr").clean_support) == ("episode", 0.0, False, True)


def test_umtra_practices_on_images_and_their_views():
    recipe = get_recipe("umtra")
    plan = Plan.fit(resolve("photos", "umtra"), strokes(400))
    assert (plan.n_way, plan.n_turns, plan.augment, recipe.clean_support, recipe.k_shot) == (20, 1, "drawings", True, 1)
    for norm in ("batch", "stored"):
        learner = make_learner(replace(recipe, norm=norm), plan)
        assert (learner.n_way, learner.inner.statistics, learner.inner.first_order) == (20, norm, False)


def test_random_labels_of_aal_shrink_to_the_images_there_are():
    assert Plan.fit(resolve("photos", "aal-protonets"), strokes(400)).n_way == 20
    assert Plan.fit(resolve("photos", "aal-maml"), strokes(64)).n_way == 12


def test_images_that_are_nearly_all_the_same_are_refused():
    one = noise(1).images
    wobble = np.random.default_rng(1).integers(0, 3, (100, *one.shape[1:]), np.uint8)
    with pytest.raises(InputError, match="nothing to tell apart"):
        Plan.fit(resolve("photos"), SimpleNamespace(images=one // 2 + wobble))
    apart = np.concatenate([np.zeros((20, 3, 8, 8), np.uint8), np.full((20, 3, 8, 8), 51, np.uint8)])
    assert typical_difference(apart) == pytest.approx(0.2)


def test_a_budget_too_short_to_be_of_use_is_told():
    recipe = "default"
    for side, budget_s, told in ((28, 29, True), (28, 31, False), (84, 200, True), (84, 300, False)):
        request = resolve("photos", recipe, budget_s=budget_s)
        assert bool(cautions(request, Plan.fit(request, noise(99, side=side)))) is told
    request = resolve("photos", recipe, steps=1)
    assert cautions(request, Plan.fit(request, noise(99))) == []


def test_a_length_of_time_is_written_as_it_is_read():
    assert [written(one) for one in (300.0, 90.0, 7.5, 7200.0)] == ["5m", "90s", "7.5s", "120m"]
    assert all(seconds(written(one)) == one for one in (300.0, 90.0, 7.5, 7200.0))


def test_the_last_stage_ends_early_enough_for_what_follows(tmp_path):
    run = SimpleNamespace(elapsed_s=20.0, remember=lambda key, make: make())
    stages = Stages(resolve("x", budget_s=100.0), run, None, None, closing_s=1.0)
    assert stages.pace("meta_train", None, 9.0).seconds == 70.0
    assert stages.pace("embedding", 0.5).seconds == 30.0
    assert Stages(resolve("x", steps=3), run, None, None).pace("meta_train", None, 9.0).n_steps == 3


def test_a_misspelled_benchmark_is_asked_about_unless_it_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="source 'mini-imagnet' does not exist: did you mean 'mini-imagenet'"):
        read_source(resolve("mini-imagnet"))
    with pytest.raises(InputError, match="source 'photos' does not exist; give a folder of images"):
        read_source(resolve("photos"))
    Path("glyph").mkdir()
    with pytest.raises(InputError, match="no images found in glyph"):
        read_source(resolve("glyph"))


def test_an_oracle_of_many_labelings_takes_its_numbers_from_the_roomiest():
    labels = np.stack([np.repeat([0, 1, -1], [40, 3, 8]), np.repeat([-1, 1, 0], [20, 12, 19])])
    plan = Plan.fit(resolve("photos", "oracle-protonets"), pool(51), labels)
    assert (plan.n_way, plan.n_query) == (2, 11)


@pytest.mark.parametrize(
    ("recipe", "length", "sizes"),
    [
        ("default", {"budget_s": 60.0}, {"image_size": None, "color_size": 84}),
        ("default", {"steps": 5}, {"image_size": None, "color_size": 84}),
        ("cactus-maml", {"budget_s": 6 * 3600.0}, {"image_size": None, "color_size": 84}),
    ],
)
def test_photos_are_seen_at_the_size_of_the_papers_whatever_the_budget(recipe, length, sizes):
    assert image_sizes(resolve("x", recipe, **length)) == sizes


def test_an_encoder_of_others_sees_photos_at_its_usual_size_where_nobody_practices():
    outside = replace(get_recipe("encoder-prototypes"), embedding="hf:somebody/something")
    assert image_sizes(resolve("photos", outside)) == {"image_size": None, "kept_up_to": 224, "color_size": 224}
    clustered = replace(get_recipe("cactus-protonets"), embedding="hf:somebody/something")
    assert image_sizes(resolve("photos", clustered)) == {"image_size": None, "color_size": 84}


def test_nobody_practices_on_a_frozen_encoder():
    plan = Plan.fit(resolve("photos", "encoder-prototypes"), noise(9))
    assert plan.told() == "9 color images of 28x28, no practice"


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("default", {}, "recipes that practice on images of clusters; default does not"),
        ("encoder-prototypes", {}, "encoder-prototypes does not"),
        ("cactus-maml", {"practice_on": "embedding"}, "cactus-maml with --on embedding does not"),
        ("cactus-maml", {"embedding": "deepcluster", "net": "resnet12"}, "leave out --net, --normalization and --width"),
        ("cactus-maml", {"embedding": "deepcluster", "width": 8}, "leave out --net, --normalization and --width"),
        ("cactus-maml", {}, "needs an embedding by a network that learners practice, and acai is none; give --embedding deepcluster"),
    ],
)
def test_what_cannot_begin_at_an_embedding_says_so(name, changes, message):
    with pytest.raises(InputError, match=message):
        resolve("photos", replace(get_recipe(name), start="embedding", **changes))


def test_practice_on_all_pairs_is_not_bound_to_the_ways_of_a_benchmark():
    assert (get_recipe("cactus-pairs").n_way, get_recipe("cactus-protonets").n_way) == (20, 20)
    ways = {
        name: Plan.fit(resolve("celeba", name, protocol="packed10k"), pool(9000)).n_way for name in ("cactus-pairs", "cactus-protonets")
    }
    assert ways == {"cactus-pairs": 20, "cactus-protonets": 2}
