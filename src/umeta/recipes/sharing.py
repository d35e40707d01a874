"""Knows which runs several processes can share, and what the others see of the folder that process 0 writes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umeta.core.errors import InputError
from umeta.core.parallel import Team, check_shares
from umeta.recipes.request import Request

LINKED = ("cache", "embedding", "partition")
COPIED = ("config.json", "progress.json", "manifest.json")


def check_shared(request: Request, team: Team) -> None:
    """Raise `InputError` if the result of a run would depend on how many processes share it."""
    if team.size == 1:
        return
    if request.recipe.learner != "maml":
        raise InputError(
            f"{request.recipe.name} normalizes the tasks of a step together, so {team.size} processes cannot share a step; "
            "give a recipe of gradient learners, such as --recipe cactus-maml, or start one process"
        )
    if request.steps is None:
        raise InputError(f"{team.size} processes have no common clock; give --steps instead of --budget")
    check_shares(request.recipe.meta_batch_size, team.size)


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
        for checkpoint in (path / "checkpoint").glob("meta_train-?????????"):
            shutil.copytree(checkpoint, own / "checkpoint" / checkpoint.name)
        yield own
