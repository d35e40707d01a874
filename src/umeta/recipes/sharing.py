"""Knows which runs several processes can share, and what the others see of the folder that process 0 writes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umeta.core.errors import InputError
from umeta.core.parallel import N_SHARES, Team, check_shares
from umeta.recipes.request import Request

SHARED_LEARNERS = ("protonets", "maml", "in-context")
LINKED = ("cache", "embedding", "partition")
COPIED = ("config.json", "progress.json", "manifest.json")


def check_shared(request: Request, team: Team) -> None:
    """Raise `InputError` if the result of a run would depend on how many processes share it."""
    if team.size == 1:
        return
    if request.recipe.learner not in SHARED_LEARNERS:
        raise InputError(
            f"{request.recipe.name} has no step that {team.size} processes could share; "
            "give a recipe of ProtoNets or of gradient learners, or start one process"
        )
    check_shares(*divisible(request), team.size)


def divisible(request: Request) -> tuple[int, str]:
    """Return into how many parts a step of a run is divided at most, and what they are."""
    return (request.recipe.meta_batch_size, "tasks") if request.recipe.learner == "maml" else (N_SHARES, "shares")


def fitting(request: Request, most: int) -> int:
    """Return the largest number of processes, up to `most`, that can share a run."""
    if request.recipe.learner not in SHARED_LEARNERS:
        return 1
    n, _ = divisible(request)
    return max(number for number in range(1, most + 1) if n % number == 0)


@contextmanager
def mirrored(path: Path, team: Team) -> Iterator[Path]:
    """Wait until process 0 has prepared the run, and give this process a folder of its own with the same contents, for as long as it works.

    What is large is linked, for reading; what this process writes goes away with the folder.
    """
    team.wait()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "run"
        own.mkdir()
        for name in LINKED:
            if (path / name).is_dir():
                (own / name).symlink_to((path / name).absolute())
        for name in COPIED:
            if (path / name).is_file():
                shutil.copyfile(path / name, own / name)
        for made in (path / "checkpoint").glob("*-?????????"):
            shutil.copytree(made, own / "checkpoint" / made.name)
        yield own
