"""Knows what long work tells the person who waits for it."""

from typing import Protocol


class Reporter(Protocol):
    """Where progress goes: a bar on a terminal, plain lines in a log, nothing in a test."""

    def stage(self, name: str) -> None:
        """Say that a new stage of the work begins."""
        ...

    def update(self, done: float, text: str = "") -> None:
        """Say that a share `done` in `[0, 1]` of the stage is behind, with the current metric as text."""
        ...

    def note(self, text: str) -> None:
        """Say one thing that should stay on the screen."""
        ...


class Quiet:
    """The reporter that says nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: float, text: str = "") -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
