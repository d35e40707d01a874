"""Knows how long a table will take: what each row learns for, what its embedding adds once, and what scoring adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umeta.benchmarks.benchmark import get_benchmark
from umeta.evaluation.report import align
from umeta.images.nets.conv4 import COARSE_SIDE
from umeta.paper.entry import Entry, by_lack
from umeta.paper.scored import Terms
from umeta.paper.tabulate import Table
from umeta.recipes.request import PHOTO_SIDE

# Seconds for 1000 tasks of the four Omniglot kinds on one core, by what is scored; roughly, from a few rows. Other tables go by images.
SCORING_S = {"classical": 100.0, "embedding": 200.0, "gradient": 1200.0, "scratch": 300.0}
OMNIGLOT_IMAGES = 5 * (6 + 10) + 20 * (6 + 10)
OMNIGLOT_SIDE, DRAWN = 28, ("omniglot", "mnist", "glyphs")


@dataclass(frozen=True)
class Expected:
    """What is to come for a row, over all seeds.

    Attributes:
        row: Its name.
        title: What the table calls it.
        to_do: Seeds that are not scored.
        learn_s: Seconds to learn; 0 where steps are counted.
        embedding_s: Seconds for its embedding, where no row before it trains that.
        score_s: Seconds to score, roughly.
    """

    row: str
    title: str
    to_do: int
    learn_s: float
    embedding_s: float
    score_s: float


def forecast(table: Table, entries: Sequence[Entry], n_seeds: int) -> list[Expected]:
    """Return what each row will take, scored rows and finished embeddings taken off; nothing is written."""
    trained: set[tuple[str, int]] = set()
    found = []
    for entry in entries:
        missing = [seed for seed in entry.seeds(n_seeds) if table.kept(entry, seed) is None]
        learn_s, shared_s = table.seconds(entry)
        first = [seed for seed in missing if entry.embedding is not None and (entry.embedding, seed) not in trained]
        trained |= {(entry.embedding, seed) for seed in first if entry.embedding is not None}
        first = [seed for seed in first if not table.embedded(entry, seed)]
        to_learn = [seed for seed in missing if not table.finished(entry, seed)]
        score_s = len(missing) * scoring_s(table.terms, entry)
        found.append(Expected(entry.name, entry.title, len(missing), len(to_learn) * learn_s, len(first) * shared_s, score_s))
    return found


def scoring_s(terms: Terms, entry: Entry) -> float:
    """Return about how long a row takes to score, by the images that its tasks hold and their area."""
    benchmark = get_benchmark(terms.benchmark)
    n_query = benchmark.n_query(entry.protocol)
    images = sum(n_way * (k_shot + n_query) for n_way in benchmark.ways for k_shot in terms.shots or benchmark.shots)
    side = entry.changes.get("image_size") or (OMNIGLOT_SIDE if terms.benchmark in DRAWN else PHOTO_SIDE)
    if side >= COARSE_SIDE:
        side //= 2  # in short budgets; the first block halves twice
    kind = "gradient" if "maml" in entry.recipe or entry.recipe == "umtra" else "embedding"
    if entry.method is not None:
        kind = "scratch" if entry.method == "from scratch" else "classical"
    return SCORING_S[kind] * images / OMNIGLOT_IMAGES * (side / OMNIGLOT_SIDE) ** 2 * terms.n_tasks / 1000


def told(terms: Terms, expected: Sequence[Expected], lacking: Mapping[str, str]) -> str:
    """Return the forecast as text."""
    lines = [["row", "what", "runs", "learning", "embedding", "scoring, about"]]
    counted = terms.steps is not None
    for row in expected:
        learning = [f"{terms.steps} steps", ""] if counted else [_minutes(row.learn_s), _minutes(row.embedding_s)]
        lines.append([row.row, row.title, str(row.to_do), *(learning if row.to_do else ["", ""]), _minutes(row.score_s)])
    width = max(len(line[1]) for line in lines)
    table = align([[line[0], line[1].ljust(width), *line[2:]] for line in lines])
    known_s = sum(row.learn_s + row.embedding_s for row in expected)
    scoring_s = sum(row.score_s for row in expected)
    whole = [f"{_hours(known_s)} to learn" if not counted else "learning: by steps", f"about {_hours(scoring_s)} to score on one core"]
    left_out = [f"left out, for this version of umeta has {lack}: {names}" for lack, names in by_lack(lacking).items()]
    return "\n".join([table, f"{len(expected)} rows, {sum(row.to_do for row in expected)} runs: {', '.join(whole)}", *left_out])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds else ""


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
