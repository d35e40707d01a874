"""Knows how progress looks: one line on a terminal, a plain line every half minute elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

EVERY_S = 30.0


class TerminalReporter:
    """A bar with share, current metric, time spent and time left, on standard error."""

    def __init__(self) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=1.0, text="", visible=False)
        self._progress.start()

    def stage(self, name: str) -> None:
        """Begin a new bar."""
        self._progress.reset(self._task, description=name, visible=True, text="")

    def update(self, done: float, text: str = "") -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, text=text)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class PlainReporter:
    """A line when a stage begins and one every 30 seconds, with share, metric and time left, on standard error."""

    def __init__(self) -> None:
        self._name = ""
        self._began = self._last = time.monotonic()

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._name = name
        self._began = self._last = time.monotonic()
        self.note(f"{name} ...")

    def update(self, done: float, text: str = "") -> None:
        """Print a line if the last one is 30 seconds old."""
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        left = (now - self._began) * (1 - done) / max(done, 1e-9)
        self.note(f"{self._name}: {100 * done:.0f} %  {text}  {_clock(now - self._began)} spent, {_clock(left)} left")

    def note(self, text: str) -> None:
        """Print a line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Nothing to take down."""


def make_reporter() -> TerminalReporter | PlainReporter:
    """Return a bar on a terminal, plain lines elsewhere."""
    return TerminalReporter() if sys.stderr.isatty() else PlainReporter()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
