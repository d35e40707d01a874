"""Knows where benchmarks are found, and what those that belong to the package print.

Small ones are scripts in the folder `benchmarks` of a source checkout, found by file: whatever is there is a benchmark, and the first
line of its docstring says what it measures. They time umeta against its peers, so they are not in an installed package.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import umeta
from umeta.benchmarks.benchmark import did_you_mean
from umeta.cli.bench import Bench, Paper
from umeta.cli.say import say, say_json
from umeta.cli.work import check_engine, listening, reporting
from umeta.core.errors import InputError, InterruptedRunError
from umeta.evaluation.report import align
from umeta.recipes.budget import seconds

CHECKOUT = Path(umeta.__file__).parents[2]
ABSENT = "the others are scripts of a source checkout, which this installation is not: unpack umeta's sources, and there `pip install -e .`"
USUAL_BUDGET = "10m"


def scripts(checkout: Path = CHECKOUT) -> dict[str, Path]:
    """Return the benchmark scripts of a source checkout by name; none where umeta is installed without its sources."""
    if not (checkout / "pyproject.toml").is_file():
        return {}
    return {path.stem: path for path in sorted((checkout / "benchmarks").glob("*.py")) if not path.stem.startswith("_")}


def summary(path: Path) -> str:
    """Return the first line of a script's docstring, without running it."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return told.splitlines()[0] if told else ""


def run_bench(verb: Bench) -> int:
    """List the benchmarks, or run one; returns its exit code."""
    found = scripts()
    if verb.list or verb.name is None:
        own = {name: (part.__doc__ or "").splitlines()[0] for name, part in Bench.parts.items()}
        told = own | {name: summary(path) for name, path in found.items()}
        width = max(map(len, told.values()))
        say(align([[name, f"  {text.ljust(width)}"] for name, text in told.items()]))
        if not found:
            say(ABSENT)
        return 0
    if verb.name not in found:
        hint = did_you_mean(verb.name, [*Bench.parts, *found]) or (" `umeta bench --list` has all" if found else f" {ABSENT}")
        raise InputError(f"there is no benchmark {verb.name!r}:{hint}")
    path = os.pathsep.join(filter(None, (str(CHECKOUT / "src"), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, str(found[verb.name]), *verb.options]
    sys.stdout.flush()
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False).returncode


def run_paper(verb: Paper) -> int:
    """Make a table, or with --dry-run say what it will take; returns 1 if a row failed."""
    from umeta.paper.entry import available, by_lack, entries_of
    from umeta.paper.layout import Page
    from umeta.paper.scored import Terms
    from umeta.paper.tabulate import Table, make_rows, one_by_one

    if verb.budget_per_row is not None and verb.steps is not None:
        raise InputError("give --budget-per-row or --steps, not both")
    least = {"--seeds": verb.seeds, "--tasks": verb.tasks, "--threads": verb.threads, "--steps": verb.steps}
    for flag, value in least.items():
        if value is not None and value < 1:
            raise InputError(f"{flag} must be at least 1")
    if any(shots < 1 for shots in verb.shots) or len(set(verb.shots)) != len(verb.shots):
        raise InputError(f"--shots must be different numbers of at least 1, got {' '.join(map(str, verb.shots))}")
    if not 0 < verb.embedding_share < 1:
        raise InputError(f"--embedding-share must lie between 0 and 1, got {verb.embedding_share:g}")
    check_engine(verb)
    budget_s = seconds(verb.budget_per_row or USUAL_BUDGET) if verb.steps is None else None
    entries, lacking = available(verb.benchmark, verb.rows)
    terms = Terms(verb.benchmark, budget_s, verb.steps, verb.tasks, verb.threads, verb.shots or None, verb.embedding_share)
    folder = verb.out / verb.benchmark
    if verb.dry_run:
        from umeta.paper.forecast import forecast, told

        expected = forecast(Table(folder, terms, overwrite=verb.overwrite), entries, verb.seeds)
        say_json({"rows": [vars(row) for row in expected], "lacking": lacking}) if verb.json else say(told(terms, expected, lacking))
        return 0
    page = Page(verb.benchmark, (), lacking, {})
    with listening() as stop, reporting() as reporter:
        for lack, names in by_lack(lacking).items():
            reporter.note(f"left out, for this version of umeta has {lack}: {names}")
        table = Table(folder, terms, reporter, stop, verb.overwrite)

        def write(failed: dict[str, str]) -> None:
            nonlocal page
            page = Page.lay_out(verb.benchmark, entries_of(verb.benchmark), table.scored(), lacking, failed)
            page.write(folder)

        try:
            if verb.engine == "ray":
                from umeta.paper.beside import side_by_side

                with side_by_side(folder, n_workers=verb.workers, n_threads=verb.threads, address=verb.address) as makes:
                    failed = make_rows(table, entries, verb.seeds, write, makes)
            else:
                failed = make_rows(table, entries, verb.seeds, write, one_by_one)
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{error}; what is done is saved in {folder}, go on with the same command") from error
    say_json(page.to_json()) if verb.json else say(page.markdown())
    if not verb.json:
        say(f"the table is in {folder}: table.md, table.csv, table.json")
    return 1 if failed else 0
