from dataclasses import fields

import pytest

from umeta.core.errors import InputError
from umeta.paper import entry as entries
from umeta.paper.entry import SHEETS, Entry, Sheet, available, by_lack, entries_of
from umeta.paper.published import published, sources
from umeta.recipes.recipe import Recipe


def test_every_embedding_has_its_six_rows_and_its_partitions_are_made_in_three_ways():
    names = [one.name for one in entries_of("omniglot")]
    assert len(names) == len(set(names))
    for embedding in ("bigan", "acai", "deepcluster", "infogan", "pixels"):
        for method in ("knn", "linear", "mlp", "cluster-matching", "cactus-maml", "cactus-protonets", "cactus-pairs"):
            assert f"{embedding}-{method}" in names
    assert {f"acai-{learner}{how}" for learner in ("cactus-maml", "cactus-protonets") for how in ("", "-hyperplanes", "-random")} <= {
        *names
    }
    assert {
        "scratch",
        "umtra",
        "aal-protonets",
        "aal-maml",
        "lasium-maml",
        "lasium-protonets",
        "protoclr",
        "psco",
        "default",
        "oracle-maml",
    } <= {*names}


@pytest.mark.parametrize("benchmark", SHEETS)
def test_whatever_was_published_is_of_a_row_that_there_is(benchmark):
    names = {one.name for one in entries_of(benchmark)}
    assert published(benchmark).keys() <= names
    for row in published(benchmark).values():
        assert row.source in sources()
        assert all(0 < value < 100 for value in row.accuracy.values())


def test_a_baseline_shares_the_run_of_its_embedding_and_a_learner_has_its_own():
    knn, maml = entries_of("omniglot", ["acai-knn", "acai-cactus-maml"])
    assert (knn.run, maml.run) == ("embedding-acai", "acai-cactus-maml")
    assert knn.embedder() == maml.embedder()
    assert knn.embedder().setting().embedding_share == 1.0
    assert maml.setting("there").embedding == "there" and maml.setting().embedding == "acai"


def test_seeds_are_not_repeated_where_nothing_depends_on_them():
    rows = entries_of("omniglot", ["pixels-knn", "acai-knn", "pixels-cactus-maml", "default"])
    assert [len(one.seeds(3)) for one in rows] == [3, 1, 3, 3]


def test_rows_are_chosen_by_patterns_in_the_order_of_the_table():
    assert [one.name for one in entries_of("omniglot", ["default", "acai-cactus-*s"])] == [
        "acai-cactus-protonets",
        "acai-cactus-pairs",
        "acai-cactus-maml-hyperplanes",
        "acai-cactus-protonets-hyperplanes",
        "acai-cactus-pairs-hyperplanes",
        "default",
    ]
    with pytest.raises(InputError, match="--rows defualt: no row of the omniglot table is called that; did you mean 'default'"):
        entries_of("omniglot", ["defualt"])
    with pytest.raises(InputError, match="unknown table 'omnigloot'"):
        entries_of("omnigloot")


def test_what_this_version_lacks_is_said():
    assert Entry("x", "X", "cactus-mamml", "cactus").lacks("omniglot") == "no recipe 'cactus-mamml'"
    assert Entry("x", "X", "cactus-maml", "cactus", {"slices": 3}).lacks("omniglot") == "no setting 'slices'"
    assert Entry("x", "X", "cactus-maml", "cactus", {"norm": "layer"}).lacks("omniglot") == "no norm 'layer'"
    assert Entry("x", "X", "cactus-maml", "cactus", embedding="word2vec").lacks("omniglot") == "no embedding 'word2vec'"
    assert Entry("x", "X", "cactus-maml", "cactus", {"norm": "stored"}, "acai").lacks("omniglot") is None


def test_rows_that_cannot_be_made_are_left_out_unless_they_were_named(monkeypatch):
    sheet = Sheet("scripts", ("pixels",), "pixels", {}, (("later", "of a later version", "scripts", None),))
    monkeypatch.setattr(entries, "PARTITIONS", {})
    monkeypatch.setitem(SHEETS, "glyphs", sheet)
    found, lacking = available("glyphs")
    assert lacking == {"later": "no recipe 'later'"} and "later" not in {one.name for one in found} and len(found) > 5
    for globs in (["later"], ["pixels-knn", "later"], ["lat*"]):
        with pytest.raises(InputError, match="row later cannot be made by this version of umeta: no recipe 'later'"):
            available("glyphs", globs)


def test_rows_that_lack_the_same_are_told_together():
    assert by_lack({"a": "no x", "b": "no y", "c": "no x"}) == {"no x": "a, c", "no y": "b"}


def test_the_changes_of_rows_are_settings():
    known = {one.name for one in fields(Recipe)} | {"partition"}
    for benchmark in SHEETS:
        assert all({*one.changes} <= known for one in entries_of(benchmark))
