"""Knows what `umeta bench` is called with; the work itself is imported only when it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Paper:
    """Make the tables of the papers again: rows trained and scored, ours beside the published numbers; goes on where it stopped."""

    example: ClassVar[str] = "umeta bench paper --benchmark omniglot --rows acai-* --budget-per-row 10m --seeds 1 --out tables/"
    benchmark: Annotated[Literal["omniglot", "mnist", "mini-imagenet", "celeba", "glyphs"], arg(metavar="NAME")]
    """Whose table: omniglot, mnist, mini-imagenet, celeba; or glyphs, which is built in and has no published numbers."""
    rows: Annotated[tuple[str, ...], arg(metavar="GLOB...", help_behavior_hint="")] = ()
    """Only rows whose names fit, such as acai-* or umtra; --dry-run lists the names."""
    budget_per_row: Annotated[str | None, arg(metavar="TIME", help_behavior_hint="")] = None
    """Time to learn for a row and a seed, its embedding included, which is trained once for all rows. Without --steps: 10m."""
    embedding_share: Annotated[float, arg(metavar="P")] = 0.5
    """Share of a budget that is for the embedding."""
    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Steps of every trained stage, instead of a budget; exactly repeatable."""
    seeds: Annotated[int, arg(metavar="N")] = 3
    """Runs of each row, with seeds 0, 1, ..."""
    tasks: Annotated[int, arg(metavar="N")] = 1000
    """Tasks of each kind that are scored."""
    shots: Annotated[tuple[int, ...], arg(metavar="K...", help_behavior_hint="")] = ()
    """Support images a class of the tasks that are scored; without it the benchmark's. Published of mini-imagenet are 1 5 20 50."""
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Threads, of each worker where Ray starts several; without it as many as torch takes, under Ray as OMP_NUM_THREADS says."""
    engine: Literal["local", "ray"] = "local"
    """Where rows are made: one after the other in this process, or side by side by workers that Ray starts."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Of Ray: how many rows at once; default as many as there are processors for."""
    address: Annotated[str | None, arg(metavar="HOST:PORT", help_behavior_hint="")] = None
    """Of Ray: a cluster that this machine is part of; default one of its own on this machine, for as long as the command takes."""
    out: Annotated[Path, arg(metavar="FOLDER")] = Path("tables")
    """The table, its runs and its scores go to FOLDER/NAME; rows that are scored there are kept, each with its budget, and stay in it."""
    overwrite: bool = False
    """Make rows anew that were scored there with another budget, share, steps, tasks, shots or threads."""
    dry_run: bool = False
    """Say which rows there are and the time that each will take, and stop."""
    json: bool = False
    """Print the table as one JSON object."""

    def run(self) -> int:
        """Do it."""
        from umeta.cli.bench_work import run_paper

        return run_paper(self)


@dataclass(frozen=True)
class Bench:
    """Measure: `umeta bench NAME [OPTION...]`; `umeta bench NAME --help` has the options of one."""

    example: ClassVar[str] = "umeta bench --list"
    parts: ClassVar[dict[str, type[Paper]]] = {"paper": Paper}
    name: Annotated[Positional[str | None], arg(metavar="NAME", help_behavior_hint="")] = None
    """Which benchmark; all that follows is its own."""
    options: Annotated[Positional[tuple[str, ...]], arg(metavar="OPTION...", help_behavior_hint="")] = ()
    """Of that benchmark."""
    list: bool = False
    """Say which there are, a line each."""

    @classmethod
    def parse(cls, arguments: Sequence[str], config: Any) -> "Bench | Paper":
        """Return what was asked for; what follows the name of a benchmark is left to it to read."""
        import tyro

        name, *rest = arguments or ["--help"]
        if name in cls.parts:
            return tyro.cli(cls.parts[name], prog=f"umeta bench {name}", args=rest, config=config)
        if name.startswith("-"):
            return tyro.cli(cls, prog="umeta bench", args=[name, *rest], config=config)
        return cls(name, tuple(rest))

    def run(self) -> int:
        """Do it."""
        from umeta.cli.bench_work import run_bench

        return run_bench(self)
