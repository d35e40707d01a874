"""Knows which failures are the user's to mend, and the exit code that each kind of failure has."""


class UmetaError(Exception):
    """A failure while running, told in one line: what, which file or value, and what to do."""

    exit_code = 1


class InputError(UmetaError, ValueError):
    """Bad usage or bad input: nothing was started, and the message says what would work; to Python a `ValueError`."""

    exit_code = 2


class ArtifactError(UmetaError):
    """A file that umeta wrote is missing, truncated, altered, or of another kind; the message names it."""


class DivergedError(UmetaError):
    """A loss became NaN or infinite; the last good checkpoint is untouched."""


class ProcessLostError(UmetaError):
    """Another of the processes that share a run is gone; the newest checkpoint is untouched."""


class InterruptedRunError(UmetaError):
    """A person or the system asked the run to stop; a checkpoint was saved."""

    exit_code = 130
