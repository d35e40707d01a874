"""A report comes back from JSON, and reads rightly as CSV and text."""

import csv
import json

from umeta.evaluation.report import Report, Row, align

ROWS = (
    Row("cactus", 5, 1, 15, 0.5, 0.01, 3, True, curve=((0.2, 0.0), (0.5, 0.01)), per_task=(0.4, 0.5, 0.6)),
    Row("cactus", 20, 1, 15, 0.25, 0.02, 2, True, overlap=4, per_task=(0.2, 0.3)),
    Row("knn", 5, 1, 15, 0.3125, 0.015, 3, False, labels_seen=7, per_task=(0.3, 0.3, 0.3375)),
)
REPORT = Report("omniglot", "vinyals", 3, 0, {"training": 0, "selection": 0}, {"meta_test_classes": 10}, ROWS)


def test_json_round_trip():
    assert Report.from_json(json.loads(json.dumps(REPORT.to_json(with_tasks=True)))) == REPORT


def test_short_json_leaves_out_tasks_and_flat_curves():
    content = REPORT.to_json()
    assert not any("per_task" in row for row in content["results"])
    assert ["curve" in row for row in content["results"]] == [True, False, False]
    assert content["labels_seen"] == {"training": 0, "selection": 0}
    assert REPORT.rows == ROWS


def test_csv_has_one_line_per_adaptation_step(tmp_path):
    REPORT.write_csv(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["n_way"], row["step"], row["accuracy"], row["ci95"]) for row in rows] == [
        ("cactus", "5", "0", "0.200000", "0.000000"),
        ("cactus", "5", "1", "0.500000", "0.010000"),
        ("cactus", "20", "0", "0.250000", "0.020000"),
        ("knn", "5", "0", "0.312500", "0.015000"),
    ]
    assert [(row["transductive"], row["labels_seen"], row["overlap"], row["n_tasks"]) for row in rows[1:]] == [
        ("True", "0", "0", "3"),
        ("True", "0", "4", "2"),
        ("False", "7", "0", "3"),
    ]


def test_golden_table():
    assert REPORT.table().splitlines() == [
        "method  5-way 1-shot  20-way 1-shot  labels  tasks  transductive",
        "cactus   50.00 ±1.00    25.00 ±2.00       0    2/3           yes",
        "knn      31.25 ±1.50              -       7      3            no",
    ]


def test_align_by_hand():
    assert align([["a", "bbb"], ["cc", "d"]]) == "a   bbb\ncc    d"
