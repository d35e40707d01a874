import csv
import json
import math
from dataclasses import replace

import pytest

from umeta.evaluation.report import Report, Row
from umeta.paper.entry import Entry
from umeta.paper.layout import Cell, Page, line_of, spread, verdict
from umeta.paper.published import Published
from umeta.paper.scored import Scored, Terms

KNN = Entry("acai-knn", "nearest neighbor, ACAI", "cactus-protonets", "cactus", embedding="acai", method="acai knn")
OURS = Entry("default", "umeta, default", "default", "cactus")
TERMS = Terms("omniglot", 600.0, None, 1000)
KNOWN = Published({"5w1s": 57.46, "5w5s": 81.16}, "cactus", "cactus")


def scored(row, seed, accuracies=(0.6, 0.8), **more):
    rows = [Row("x", 5, k_shot, 5, accuracy, 0.01, 1000, False) for k_shot, accuracy in zip((1, 5), accuracies, strict=True)]
    report = Report("omniglot", "cactus", seed, 0, {"meta_train": 0}, {}, tuple(rows))
    content = {"learn_s": 600.0, "score_s": 60.0, "threads": 2, "n_partitions": 0, "purity": None, "nmi": None, "settings": {}}
    return Scored(row, seed, more.pop("terms", TERMS), report, **(content | more))


def cells(*pairs):
    return [Cell(kind, ours, 1.0, known) for kind, ours, known in pairs]


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ((57.46, 81.16), "at or above"),
        ((60.0, 79.17), "within 2 points"),
        ((60.0, 79.16), "within 2 points"),
        ((60.0, 79.1), "below by 2.1 (5w5s)"),
        ((50.0, 79.1), "below by 7.5 (5w1s)"),
    ],
)
def test_the_verdict_is_that_of_the_kind_where_ours_stands_worst(ours, expected):
    found = cells(("5w1s", ours[0], 57.46), ("5w5s", ours[1], 81.16))
    assert verdict(found, "cactus", KNOWN) == expected


def test_a_verdict_over_another_protocol_says_so_and_without_numbers_there_is_none():
    found = cells(("5w1s", 60.0, 57.46))
    assert verdict(found, "umtra", KNOWN) == "at or above; other protocol: cactus"
    assert verdict(cells(("5w1s", 60.0, None)), "cactus", KNOWN) == verdict(found, "cactus", None) == "nothing published"


def test_the_interval_is_over_seeds_where_there_are_several():
    assert spread([(60.0, 0.7)]) == (60.0, 0.7)
    accuracy, half = spread([(60.0, 0.7), (62.0, 0.7), (64.0, 0.7)])
    assert accuracy == 62.0
    assert half == pytest.approx(4.303 * 2 / math.sqrt(3), abs=1e-3)  # Student's t, two degrees of freedom


def test_a_line_has_ours_beside_the_published_and_all_that_it_takes_to_read_it():
    runs = [scored("acai-knn", 1, (0.62, 0.8), learn_s=300.0, purity=0.3, nmi=0.6, n_partitions=1, threads=1), scored("acai-knn", 0)]
    line = line_of(KNN, runs, KNOWN)
    assert [(cell.kind, round(cell.accuracy, 6), cell.published) for cell in line.cells] == [("5w1s", 61.0, 57.46), ("5w5s", 80.0, 81.16)]
    assert line.cells[0].text == "61.00 ±12.71 / 57.46"
    assert (line.verdict, line.seeds, line.minutes, line.threads) == ("within 2 points", (0, 1), 7.5, (1, 2))
    assert (line.purity, line.nmi, line.n_query, line.n_tasks) == (0.3, 0.6, 5, 1000)


def test_the_page_is_written_as_markdown_csv_and_json(tmp_path):
    runs = [scored("acai-knn", 0, purity=0.25, nmi=0.5, n_partitions=100)]
    page = Page.lay_out("omniglot", [OURS, KNN], runs, {"bigan-knn": "no embedding 'bigan'"}, {"default, seed 0": "it diverged"})
    page.write(tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "60.00 ±1.00 / 57.46 | 80.00 ±1.00 / 81.16 | within 2 points | cactus, 5 | 0 | no | 100 | 0.25 | 0.50 |" in text
    assert "| 1000 | 1 | 10 min | 10.0 x 2 |" in text
    command = "umeta bench paper --benchmark omniglot --rows acai-knn --budget-per-row 10m --seeds 1 --tasks 1000"
    for told in (f"```\n{command}\n```\n", "Hsu, Levine, Finn 2019", "- no embedding 'bigan': bigan-knn", "- default, seed 0: it diverged"):
        assert told in text
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [(row["kind"], row["accuracy"], row["published"], row["source"]) for row in rows] == [
        ("5w1s", "60.000", "57.46", "cactus"),
        ("5w5s", "80.000", "81.16", "cactus"),
    ]
    assert (rows[0]["budget_s"], rows[0]["steps"]) == ("600.0", "")
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["lines"][0]["cells"][0] == {"kind": "5w1s", "accuracy": 60.0, "ci95": 1.0, "published": 57.46}
    assert content["commands"] == [command] and content["lines"][0]["terms"]["budget_s"] == 600.0
    assert content["sources"].keys() == {"cactus"} and content["lacking"] == {"bigan-knn": "no embedding 'bigan'"}


def test_rows_keep_the_order_of_the_table_and_those_without_scores_are_left_out():
    page = Page.lay_out("omniglot", [KNN, OURS, replace(OURS, name="psco")], [scored("default", 0), scored("acai-knn", 0)], {}, {})
    assert [line.row for line in page.lines] == ["acai-knn", "default"]
    assert "other protocol: not stated" in page.lines[1].verdict


def test_a_page_without_published_numbers_has_no_list_of_sources():
    page = Page.lay_out("glyphs", [OURS], [scored("default", 0, terms=Terms("glyphs", None, 3, 10))], {}, {})
    assert "Published numbers" not in page.markdown() and "| 3 steps a stage |" in page.markdown()


def test_rows_of_several_budgets_stand_in_one_table_each_with_its_own():
    long = Terms("omniglot", 2700.0, None, 300, 1, embedding_share=0.2)
    runs = [
        scored("default", 0),
        scored("acai-knn", 0),
        scored("acai-knn", 1),
        scored("default", 1, terms=long),
        scored("default", 2, terms=long),
    ]
    page = Page.lay_out("omniglot", [KNN, OURS], runs, {}, {})
    assert [(line.row, line.terms, line.seeds) for line in page.lines] == [
        ("acai-knn", TERMS, (0, 1)),
        ("default", TERMS, (0,)),
        ("default", long, (1, 2)),
    ]
    start = "umeta bench paper --benchmark omniglot --rows"
    assert page.commands() == [
        f"{start} acai-knn --budget-per-row 10m --seeds 2 --tasks 1000",
        f"{start} default --budget-per-row 10m --seeds 1 --tasks 1000",
        f"{start} default --budget-per-row 45m --embedding-share 0.2 --seeds 3 --tasks 300 --threads 1",
    ]
    assert "| 45 min |" in page.markdown() and "minutes a row" not in page.markdown()
