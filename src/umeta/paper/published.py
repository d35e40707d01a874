"""Knows the numbers that the papers published, each with its source and protocol; they are read from one data file, `published.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umeta.artifacts.artifact import read_json

DATA = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Source:
    """Where numbers were read.

    Attributes:
        citation: The paper, and where its numbers stand.
        tasks: How many tasks it scored on, with how many queries.
        note: What else a reader needs to know.
        checked: Whether the numbers were read there, and not quoted from memory.
    """

    citation: str
    tasks: str
    note: str
    checked: bool


@dataclass(frozen=True)
class Published:
    """What was published for one row of a table.

    Attributes:
        accuracy: In percent by kind of task, such as "5w1s".
        protocol: Of umeta's, or "not stated".
        source: Key of its source.
        note: In what else it differs from our row; may be empty.
        method: Whose numbers they are, where our row has no counterpart; else empty.
    """

    accuracy: Mapping[str, float]
    protocol: str
    source: str
    note: str = ""
    method: str = ""


def sources() -> dict[str, Source]:
    """Return where the numbers come from, by key."""
    return {key: Source(**content) for key, content in read_json(DATA)["sources"].items()}


def published(benchmark: str) -> dict[str, Published]:
    """Return the published numbers of a benchmark by the name of our row; empty where none are known."""

    def read(row: Mapping[str, Any]) -> Published:
        return Published(row["accuracy"], row["protocol"], row["source"], row.get("note", ""), row.get("method", ""))

    return {row["row"]: read(row) for row in read_json(DATA)["rows"] if row["benchmark"] == benchmark}
