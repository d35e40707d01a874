"""Environments of gymnasium: shapes and seeds, and every way in which one can misbehave."""

import builtins
import time
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from umeta.control.envs.catalog import make_process
from umeta.control.envs.gymnasium_process import GymnasiumProcess
from umeta.control.nets.policy import make_policy
from umeta.control.process import Box, Discrete
from umeta.control.trajectory import rollout
from umeta.core.errors import InputError, UmetaError


class Line(gymnasium.Env):
    """A number that the action is added to; its own reward must never be seen."""

    observation_space = spaces.Box(-10, 10, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, trouble="", at=2, end=1000):
        self.trouble, self.at, self.end = trouble, at, end

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.n = float(self.np_random.random()), 0
        if self.trouble == "unseeded":
            self.place = time.perf_counter_ns() % 1000 / 1000
        return np.float32([self.place]), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.n += 1
        self.place += float(action[0])
        if self.n == self.at and self.trouble == "raises":
            raise ValueError("wheel came off")
        if self.n == self.at and self.trouble == "hangs":
            time.sleep(5)
        if self.n == self.at and self.trouble == "nan":
            self.place = float("nan")
        return np.float32([self.place]), float("inf"), self.n >= self.end, False, {}


class Counter(gymnasium.Env):
    observation_space = spaces.Discrete(3, start=1)
    action_space = spaces.Discrete(2, start=5)

    def reset(self, *, seed=None, options=None):
        self.place = 1
        return self.place, {}

    def step(self, action):
        assert action in (5, 6)
        self.place = 1 + (self.place - 1 + action - 5) % 3
        return self.place, 0.0, False, False, {}


class Spaces(Line):
    def __init__(self, space):
        super().__init__()
        self.observation_space = space


def line(**changes):
    options = {key: changes.pop(key) for key in ("trouble", "at", "end") if key in changes}
    return GymnasiumProcess("Line", lambda: Line(**options), **{"horizon": 5, **changes})


def run(process, rng, n_task=2, n_episode=3):
    policy = make_policy(process.observation.n, process.action)
    return rollout(process, policy, policy.init(rng), n_task, n_episode, rng)


def test_steps_add_up_episodes_differ_and_a_stream_repeats_them(rng):
    process = line()
    episodes = run(process, rng)
    moved = process.action.clip(episodes.action)
    torch.testing.assert_close(episodes.observation + moved, episodes.reached)
    assert len(episodes.observation[:, :, 0].unique()) == 6
    again = run(process, rng)
    assert torch.equal(again.reached, episodes.reached)
    assert episodes.alive.all() and process.n_failed == 0


def test_an_episode_ends_where_the_environment_ends_it_and_stays_there(rng):
    episodes = run(line(end=3), rng)
    assert episodes.alive.sum(-1).unique().tolist() == [3]
    assert torch.equal(episodes.reached[..., 2, :], episodes.reached[..., 4, :])


def test_choices_and_discrete_observations(rng):
    process = GymnasiumProcess("Counter", Counter, horizon=4)
    assert process.action == Discrete(2) and process.observation == Box((0.0,) * 3, (1.0,) * 3)
    running = process.start(1, 1, rng)
    assert running.observation.tolist() == [[[1, 0, 0]]]
    assert running.step(torch.tensor([[1]]))[0].tolist() == [[[0, 1, 0]]]
    assert running.step(torch.tensor([[0]]))[0].tolist() == [[[0, 1, 0]]]


@pytest.mark.parametrize("trouble", ["raises", "nan", "hangs"])
def test_an_episode_ends_where_its_environment_misbehaves_and_is_counted(rng, trouble):
    process = line(trouble=trouble, timeout_s=0.05)
    episodes = run(process, rng, 1, 2)
    assert episodes.alive.tolist() == [[[True, True, False, False, False]] * 2]
    assert torch.isfinite(episodes.reached).all()
    assert process.n_failed == 2


def test_too_many_failures_stop_with_the_reason(rng):
    with pytest.raises(UmetaError, match=r"Line: 17 of 20 episodes ended .*ValueError: wheel came off.*mend it"):
        run(line(trouble="raises"), rng, 4, 5)


def test_a_reset_that_cannot_be_repeated_is_warned_about():
    with pytest.warns(UserWarning, match="begins differently with the same seed"):
        line(trouble="unseeded")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line()


def test_features_are_chosen_and_scaled():
    process = line(feature=(0,), unit=2.0)
    assert process.feature(torch.tensor([[3.0]])).tolist() == [[1.5]]
    with pytest.raises(InputError, match="no feature 4"):
        line(feature=(4,))


@pytest.mark.parametrize("space", [spaces.Dict({"a": spaces.Discrete(2)}), spaces.Tuple([spaces.Discrete(2)]), spaces.MultiBinary(3)])
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(InputError, match=f"observation space is {type(space).__name__}, and only Box and Discrete"):
        GymnasiumProcess("Odd", lambda: Spaces(space))


def test_unknown_names_have_neighbors():
    with pytest.raises(InputError, match="no environment 'HalfCheeta-v5'; did you mean HalfCheetah-v5"):
        make_process("HalfCheeta-v5")
    with pytest.raises(InputError, match="did you mean PointNav-v0"):
        make_process("PointNaf-v0")
    with pytest.raises(InputError, match=r"importing no_such_module failed: ModuleNotFoundError: .*; the module must be installed"):
        make_process("no_such_module:X-v0")


def test_a_module_registers_the_environment_that_is_asked_for(tmp_path, monkeypatch):
    text = "import gymnasium\n\ngymnasium.register('Registered-v0', 'gymnasium.envs.classic_control:PendulumEnv', max_episode_steps=7)\n"
    (tmp_path / "that_registers.py").write_text(text)
    (tmp_path / "that_breaks.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    process = make_process("that_registers:Registered-v0")
    assert process.name == "that_registers:Registered-v0" and process.horizon == 7
    with pytest.raises(InputError, match=r"no environment 'that_registers:Registred-v0'; did you mean Registered-v0"):
        make_process("that_registers:Registred-v0")
    with pytest.raises(InputError, match=r"importing that_breaks failed: ZeroDivisionError"):
        make_process("that_breaks:X-v0")


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    plain = builtins.__import__

    def without(name, *rest, **more):
        if name == "gymnasium":
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"there are PointNav-v0, .*pip install 'umeta\[control\]'"):
        make_process("HalfCheetah-v5")


def test_the_cheetah_can_be_used_and_its_feature_is_its_velocity(rng):
    pytest.importorskip("mujoco")
    process = make_process("HalfCheetah-v5")
    assert (process.observation.n, process.action.n, process.horizon, process.n_feature) == (17, 6, 100, 1)
    env, other = process._make(), process._make()
    assert env.unwrapped.model is other.unwrapped.model and env.unwrapped.data is not other.unwrapped.data
    env.reset(seed=0)
    seen = env.step(np.ones(6, np.float32))[0]
    assert process.feature(torch.tensor(seen)).item() == pytest.approx(env.unwrapped.data.qvel[0] / 2)
