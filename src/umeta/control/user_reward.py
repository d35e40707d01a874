"""Knows how a reward in a user's file becomes a `RewardFn`, and whose fault it is where it does not work."""

import importlib.util
import traceback
from pathlib import Path

import torch
from torch import Tensor

from umeta.control.reward import RewardFn
from umeta.core.errors import InputError

FORM = "my_task.py:reward, a file and the name of a function in it"


def load_reward(place: str) -> RewardFn:
    """Return the function that `FILE.py:NAME` names, checked at every call.

    The file is run, as by `python FILE.py`. The function is called with batches, `reward(observation, action, reached)`, and must return
    one finite number each, as a tensor or an array, see `RewardFn`.

    Raises:
        InputError: No such file or function, or the file does not run; the message has file and line. The function that is returned raises
            it too, where the user's raises, or gives what is no reward.
    """
    file, _, name = place.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier():
        raise InputError(f"--reward {place!r} names no function; write {FORM}")
    if not path.is_file():
        raise InputError(f"{path} does not exist; write {FORM}")
    spec = importlib.util.spec_from_file_location(f"umeta_reward_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file; write {FORM}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{_place(path, error)}: the file does not run, {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{path} has no function {name!r}; write {FORM}")
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 1)

    def checked(observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
        try:
            given = function(observation, action, reached)
        except Exception as error:
            raise InputError(f"{_place(path, error, line)}: {name} raised {type(error).__name__}: {error}") from error
        try:
            reward = torch.as_tensor(given, dtype=torch.float32, device=reached.device)
        except Exception as error:
            told = "None" if given is None else f"{type(given).__name__} {given!r:.40}"
            raise InputError(f"{path}:{line}: {name} returned {told}, not a tensor of one number each") from error
        wanted = list(reached.shape[:-1])
        if list(reward.shape) != wanted:
            raise InputError(
                f"{path}:{line}: {name} returned shape {list(reward.shape)} for {wanted} steps; return one number for each, "
                "computed along the last axis, such as -reached.norm(dim=-1)"
            )
        if not bool(torch.isfinite(reward).all()):
            n_bad = int((~torch.isfinite(reward)).sum())
            raise InputError(f"{path}:{line}: {name} returned NaN or infinity for {n_bad} of {reward.numel()} steps; return finite numbers")
        return reward.detach()

    return checked


def _place(path: Path, error: BaseException, otherwise: int = 1) -> str:
    """Return `FILE:LINE` of the last line of the user's file that was being run."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{path}:{error.lineno}"
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"{path}:{own[-1] if own else otherwise}"
