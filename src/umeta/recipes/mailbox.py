"""Knows how the workers of a run on Ray talk with the command that started them."""

import time
from typing import Any

EXCHANGE_S = 0.5


class Mailbox:
    """What the workers tell the command that started them, and what it asks of them; lives in a process of its own."""

    def __init__(self) -> None:
        self._said: list[tuple[Any, ...]] = []
        self._stop = self._begun = False
        self._failure: Exception | None = None

    def begin(self) -> bool:
        """Note that process 0 begins; returns whether one has begun before, so that there may be a run to go on with."""
        before, self._begun = self._begun, True
        return before

    def post(self, said: list[tuple[Any, ...]]) -> bool:
        """Leave what a reporter is to say; returns whether somebody asked to stop."""
        self._said += said
        return self._stop

    def take(self, stop: bool) -> list[tuple[Any, ...]]:
        """Take what was left, and pass on the wish to stop."""
        said, self._said, self._stop = self._said, [], stop
        return said

    def end(self, failure: Exception) -> None:
        """Note the failure that ends the run for good; of several the first."""
        self._failure = self._failure or failure

    def failure(self) -> Exception | None:
        """Return that failure, if there is one."""
        return self._failure


class Voice:
    """A reporter in a worker that is heard where the command was given, and that hears there whether to stop."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox, self._stop = mailbox, False
        self._said: list[tuple[Any, ...]] = []
        self._latest: tuple[Any, ...] = ()
        self._last = time.monotonic()

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._latest = ()
        self._said.append(("stage", name))

    def update(self, done: float, text: str = "") -> None:
        """Move the bar, as often as somebody looks."""
        self._latest = ("update", done, text)
        self.stop()

    def note(self, text: str) -> None:
        """Say one thing."""
        self._said.append(("note", text))

    def stop(self) -> bool:
        """Whether somebody asked to stop; asks now and then."""
        if time.monotonic() - self._last >= EXCHANGE_S:
            self.speak()
        return self._stop

    def speak(self) -> None:
        """Pass on what was said."""
        import ray

        self._stop = ray.get(self._mailbox.post.remote([*self._said, *([self._latest] if self._latest else [])]))
        self._said, self._latest, self._last = [], (), time.monotonic()
