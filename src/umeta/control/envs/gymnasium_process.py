"""Knows how an environment of gymnasium becomes a process without a reward, and what to do with one that misbehaves."""

import copy
import difflib
import importlib
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from umeta.control.process import EVERY, Box, Discrete, Space
from umeta.core.errors import InputError, UmetaError
from umeta.core.rng import Rng

PIP = "pip install 'umeta[control]'"
HORIZON = 200
STEP_TIMEOUT_S = 60.0
FAILURES_ALLOWED, SHARE_ALLOWED = 16, 0.05


@dataclass(frozen=True)
class Known:
    """What is known of an environment beside what it says itself.

    Attributes:
        options: For `gymnasium.make`.
        horizon: Steps in an episode.
        feature: Which components of the observation tell skills apart; None for all.
        unit: What they are divided by.
        one_model: Whether all copies can have one MuJoCo model, which no episode changes; it then stays in the processor's cache.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    horizon: int = HORIZON
    feature: tuple[int, ...] | None = None
    unit: float = 1.0
    one_model: bool = False


KNOWN: Mapping[str, Known] = {
    # The velocity along x, in 2 m/s.
    "HalfCheetah-v5": Known({}, 100, (8,), 2.0, one_model=True),
    # The position in the plane, in 2 m; episodes that end early would make every negative reward a reason to fall.
    "Ant-v5": Known(
        {
            "exclude_current_positions_from_observation": False,
            "include_cfrc_ext_in_observation": False,
            "terminate_when_unhealthy": False,
        },
        100,
        (0, 1),
        2.0,
        one_model=True,
    ),
}


class _HungError(Exception):
    """An environment did not return in time."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `_HungError` in the block once the time is over; only where the system has alarms, and in the main thread."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise _HungError

    previous = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, previous)


class GymnasiumProcess:
    """Any gymnasium environment with `Box` or `Discrete` spaces; its own reward is dropped.

    All copies live in this process and are stepped one after the other: for simulators of some ten microseconds a step, processes that are
    asked at every step are several times slower. An environment that raises, returns NaN or does not return within a minute ends its
    episode; past 16 such episodes, if they are more than one in twenty, the run stops.

    Attributes:
        name: What a user types after `env:`.
        observation: Flattened; one-hot where it is discrete.
        action: Flattened.
        horizon: Steps in an episode at most; the environment may end it earlier.
        n_failed: Episodes that ended because the environment misbehaved.

    Args:
        name: Its name.
        make: Returns a new environment; called once for each copy.
        horizon: Steps in an episode; None takes what is known of it, at most 200.
        feature: Components of the observation that tell skills apart; None for all.
        unit: What the features are divided by, so that they are of about the size 1.
        timeout_s: Seconds after which a step counts as hung.

    Raises:
        InputError: Other spaces, or an environment that cannot be made.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Any],
        *,
        horizon: int | None = None,
        feature: tuple[int, ...] | None = None,
        unit: float = 1.0,
        timeout_s: float = STEP_TIMEOUT_S,
    ) -> None:
        self.name, self._make, self._unit, self._timeout_s = name, make, unit, timeout_s
        self._free = [self._made()]
        env = self._free[0]
        limit = getattr(env.spec, "max_episode_steps", None) or HORIZON
        self.horizon = horizon or min(limit, HORIZON)
        self._action_space = env.action_space
        self.observation = _flat(name, "observation", env.observation_space)
        self._plain = len(env.observation_space.shape) == 1
        self._first_choice = int(env.observation_space.start) if hasattr(env.observation_space, "n") else None
        self.action = _space(name, "action", env.action_space)
        self._feature = feature
        wrong = [index for index in feature or () if not 0 <= index < self.observation.n]
        if wrong:
            raise InputError(f"{name} has {self.observation.n} observations, so there is no feature {wrong[0]}")
        self.n_failed = self._n_started = 0
        self._check_reset(env)

    @property
    def n_feature(self) -> int:
        """Number of features."""
        return self.observation.n if self._feature is None else len(self._feature)

    def feature(self, observation: Float[Tensor, "*batch n_observation"]) -> Float[Tensor, "*batch n_feature"]:
        """Return the features, in their unit."""
        chosen = observation if self._feature is None else observation[..., list(self._feature)]
        return chosen / self._unit

    def start(self, n_task: int, n_episode: int, rng: Rng, tasks: slice = EVERY) -> "RunningEnvironments":
        """Reset as many environments, each with a seed of its own."""
        chosen = range(n_task)[tasks]
        numbers = [task * n_episode + episode for task in chosen for episode in range(n_episode)]
        n = len(numbers)
        envs = [self._free.pop() if self._free else self._made() for _ in range(n)]
        self._n_started += n
        first = np.zeros((n, self.observation.n), np.float32)
        for index, (env, number) in enumerate(zip(envs, numbers, strict=True)):
            try:
                with _within(self._timeout_s):
                    first[index] = self.flat(env.reset(seed=rng.fork("reset", number).integer(2**31))[0])
            except Exception as error:
                raise UmetaError(f"{self.name}: reset failed: {_told(error)}; the environment must be able to begin an episode") from error
        if not np.isfinite(first).all():
            raise UmetaError(f"{self.name}: reset returned NaN or infinity; the environment must begin at a finite observation")
        return RunningEnvironments(self, envs, first, len(chosen), n_episode)

    def flat(self, seen: Any) -> Any:
        """Return an observation as a vector."""
        if self._first_choice is not None:
            return np.eye(self.observation.n, dtype=np.float32)[int(seen) - self._first_choice]
        return seen if self._plain else np.reshape(seen, -1)

    def acted(self, action: Shaped[Tensor, "n_task n_episode *action"]) -> Any:
        """Return actions as the environments want them, one after the other."""
        flat = self.action.clip(action).flatten(0, 1).cpu().numpy()
        if isinstance(self.action, Discrete):
            return [int(choice) + int(self._action_space.start) for choice in flat]
        return flat.astype(self._action_space.dtype).reshape(-1, *self._action_space.shape)

    def give_back(self, env: Any) -> None:
        """Take an environment that can be used again."""
        self._free.append(env)

    def count_failure(self, reason: str) -> None:
        """Count an episode that ended because its environment misbehaved; raises `UmetaError` past the limit."""
        self.n_failed += 1
        if self.n_failed > FAILURES_ALLOWED and self.n_failed > SHARE_ALLOWED * self._n_started:
            raise UmetaError(
                f"{self.name}: {self.n_failed} of {self._n_started} episodes ended because the environment misbehaved "
                f"(the last time: {reason}); mend it"
            )

    @property
    def timeout_s(self) -> float:
        """Seconds after which a step counts as hung."""
        return self._timeout_s

    def _made(self) -> Any:
        try:
            return self._make()
        except (InputError, ImportError):
            raise
        except Exception as error:
            raise InputError(f"{self.name} cannot be made: {_told(error)}") from error

    def _check_reset(self, env: Any) -> None:
        try:
            first, second = (self.flat(env.reset(seed=7)[0]) for _ in range(2))
        except Exception as error:
            raise InputError(f"{self.name} cannot be used: reset(seed=7) failed: {_told(error)}") from error
        if not np.array_equal(first, second):
            warnings.warn(
                f"{self.name}: reset(seed) begins differently with the same seed, so runs in it cannot be repeated exactly", stacklevel=3
            )


class RunningEnvironments:
    """Environments in motion.

    Args:
        process: Whose.
        envs: One for each copy.
        first: What is seen at the beginning, [n_task * n_episode, n_observation].
        n_task: Tasks.
        n_episode: Copies of each.
    """

    def __init__(self, process: GymnasiumProcess, envs: list[Any], first: Any, n_task: int, n_episode: int) -> None:
        self._process, self._envs, self._seen = process, envs, first
        self._shape = (n_task, n_episode)
        self._alive = np.ones(len(envs), bool)
        self._n_steps = 0

    @property
    def observation(self) -> Float[Tensor, "n_task n_episode n_observation"]:
        """What is seen now."""
        return torch.from_numpy(self._seen.copy()).reshape(*self._shape, -1)

    def step(
        self, action: Shaped[Tensor, "n_task n_episode *action"]
    ) -> tuple[Float[Tensor, "n_task n_episode n_observation"], Bool[Tensor, "n_task n_episode"]]:
        """Step every environment whose episode goes on; the others stay where they are."""
        process, actions = self._process, self._process.acted(action)
        before = self._seen.copy()
        waiting = np.flatnonzero(self._alive).tolist()
        while waiting:
            waiting = self._step_until_trouble(waiting, actions)
        for index in np.flatnonzero(~np.isfinite(self._seen).all(1)).tolist():
            self._seen[index] = before[index]
            self._drop(index, "it returned NaN or infinity")
        self._n_steps += 1
        if self._n_steps == process.horizon:
            for env in filter(None, self._envs):
                process.give_back(env)
            self._envs = [None] * len(self._envs)
        return self.observation, torch.from_numpy(self._alive.copy()).reshape(self._shape)

    def _step_until_trouble(self, waiting: list[int], actions: Any) -> list[int]:
        """Step environments until one raises or hangs; returns those that are still to be stepped."""
        process, seen, alive, position = self._process, self._seen, self._alive, 0
        try:
            with _within(process.timeout_s):
                for position, index in enumerate(waiting):  # noqa: B007
                    after, _, terminated, truncated, _ = self._envs[index].step(actions[index])
                    seen[index] = process.flat(after)
                    alive[index] = not (terminated or truncated)
        except _HungError:
            self._drop(waiting[position], f"a step took more than {process.timeout_s:g} s")
        except Exception as error:
            self._drop(waiting[position], _told(error))
        else:
            return []
        return waiting[position + 1 :]

    def _drop(self, index: int, reason: str) -> None:
        """End an episode whose environment misbehaved, and never use that one again."""
        self._alive[index] = False
        self._envs[index] = None
        self._process.count_failure(reason)


def _space(name: str, kind: str, space: Any) -> Space:
    if hasattr(space, "n") and hasattr(space, "start"):
        return Discrete(int(space.n))
    if type(space).__name__ == "Box":
        return Box(tuple(np.ravel(space.low).tolist()), tuple(np.ravel(space.high).tolist()))
    raise InputError(
        f"{name} cannot be used: its {kind} space is {type(space).__name__}, and only Box and Discrete are known; "
        "wrap it, for example with gymnasium.wrappers.FlattenObservation"
    )


def _flat(name: str, kind: str, space: Any) -> Box:
    known = _space(name, kind, space)
    return Box((0.0,) * known.n, (1.0,) * known.n) if isinstance(known, Discrete) else known


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def gymnasium_process(name: str, own_names: tuple[str, ...] = ()) -> GymnasiumProcess:
    """Return the process of an environment that gymnasium knows by name, or "module:name" where importing the module registers it.

    Args:
        name: Its name.
        own_names: Names that umeta has itself, for the message where there is no such environment.

    Raises:
        InputError: There is no such environment, an extra is missing, or it cannot be used.
    """
    near = difflib.get_close_matches(name, own_names, n=3, cutoff=0.5)
    try:
        import gymnasium
    except ImportError as error:
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(own_names)}"
        raise InputError(f"there is no environment {name!r}; {hint} (for those of gymnasium: {PIP})") from error
    known = KNOWN.get(name, Known())
    spec = _spec(gymnasium, name, own_names)
    horizon = min(spec.max_episode_steps or HORIZON, known.horizon)
    # The process itself counts steps and keeps the order of calls; wrappers that do so cost a tenth of a fast simulator's step.
    spec.max_episode_steps, spec.order_enforce, spec.disable_env_checker = None, False, True
    models: list[Any] = []

    def make() -> Any:
        env = _make(gymnasium, spec, known)
        if known.one_model and models:
            env.unwrapped.model = models[0]
            env.unwrapped.data = type(env.unwrapped.data)(models[0])
        elif known.one_model:
            models.append(env.unwrapped.model)
        return env

    try:
        return GymnasiumProcess(name, make, horizon=horizon, feature=known.feature, unit=known.unit)
    except ImportError as error:
        raise InputError(f"{name} cannot be made: {_told(error)}; {PIP}") from error


def _spec(gymnasium: Any, name: str, own_names: tuple[str, ...]) -> Any:
    module, _, own = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
    except Exception as error:
        raise InputError(
            f"{name} cannot be made: importing {module} failed: {_told(error)}; the module must be installed, or its folder in PYTHONPATH"
        ) from error
    try:
        return copy.deepcopy(gymnasium.spec(own))
    except gymnasium.error.Error as error:
        near = difflib.get_close_matches(name, [*own_names, *gymnasium.registry], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(own_names)}, and those of gymnasium"
        raise InputError(f"there is no environment {name!r}; {hint}") from error


@contextmanager
def without_compiler_warnings() -> Iterator[None]:
    """Keep MuJoCo from printing and logging what it thinks of the model, once for every copy."""
    try:
        import mujoco
    except ImportError:
        yield
        return
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)


def _make(gymnasium: Any, spec: Any, known: Known) -> Any:
    try:
        with without_compiler_warnings():
            return gymnasium.make(spec, **known.options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise InputError(f"{spec.id} needs a package that is not installed: {_told(error)}; {PIP}") from error
