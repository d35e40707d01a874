"""Knows what a controlled process and a distribution of rewards must keep, as functions that raise `AssertionError` where they do not."""

import torch
from torch import Tensor

from umeta.control.process import EVERY, Box, ControlledProcess
from umeta.control.reward import RewardTasks
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.core.task import TaskDistribution

N_TASK, N_EPISODE = 2, 3


def check_process(process: ControlledProcess, *, n_step: int = 20) -> None:
    """Check a process without a reward: shapes, finite observations, and that episodes are pure functions of stream and actions.

    Args:
        process: What is checked.
        n_step: Steps to take, at most the horizon.

    Raises:
        AssertionError: Naming what is broken.
    """
    _assert(process.horizon >= 1, f"the horizon is {process.horizon}")
    _assert(not hasattr(process, "reward"), "a process has no reward; one is a function outside of it")
    rng = Rng.from_seed(0)
    action = _actions(process, min(n_step, process.horizon), rng.fork("action"))
    first, again = _run(process, action, rng), _run(process, action, rng)
    _assert(_equal(first, again), "the same stream and actions gave two different episodes")
    last = slice(N_TASK - 1, N_TASK)
    _assert(_equal(first[last], _run(process, action[last], rng, last)), "some tasks alone have other episodes than among all")
    box = process.observation
    low, high = first.reached.new_tensor(box.low) - 1e-6, first.reached.new_tensor(box.high) + 1e-6
    for seen in (first.observation, first.reached):
        _assert(bool(((seen >= low) & (seen <= high)).all()), "an observation leaves its bounds")
    if isinstance(process.action, Box):
        far = _run(process, action * 1e6, rng)
        _assert(_equal(far, _run(process, process.action.clip(action * 1e6), rng)), "actions beyond the bounds are not clipped")
    _assert(bool((first.alive[..., :-1] | ~first.alive[..., 1:]).all()), "an episode went on after its end")
    ended = ~first.alive[..., None].expand_as(first.reached)
    _assert(torch.equal(first.reached[ended], first.observation[ended]), "a copy whose episode has ended moved")
    feature = process.feature(first.reached)
    _assert(feature.shape == (*first.reached.shape[:-1], process.n_feature), f"features have shape {tuple(feature.shape)}")
    _assert(torch.equal(process.feature(first.reached[0]), feature[0]), "a feature depends on the others in its batch")


def check_reward_distribution(tasks: TaskDistribution[object], process: ControlledProcess, *, n_tasks: int = 5) -> None:
    """Check rewards: pure functions of their stream that differ between streams, finite, the same for one task as in a batch.

    Raises:
        AssertionError: Naming what is broken.
    """
    rng = Rng.from_seed(0)
    first, again, other = (tasks.sample_batch(stream, n_tasks) for stream in (rng, rng, rng.fork("other")))
    assert isinstance(first, RewardTasks) and isinstance(again, RewardTasks) and isinstance(other, RewardTasks)
    _assert(len(first) == n_tasks, f"sample_batch gave {len(first)} tasks, not {n_tasks}")
    run = _run(process, _actions(process, process.horizon, rng.fork("action")), rng)
    run = run[torch.zeros(n_tasks, dtype=torch.long)]
    raw = first.family(first.parameter, run.observation, run.action, run.reached)
    _assert(raw.shape == run.alive.shape, f"rewards have shape {tuple(raw.shape)}, not {tuple(run.alive.shape)}")
    rewards = first.rewards(process, run)
    _assert(bool(torch.isfinite(rewards).all()), "a reward is not finite")
    _assert(torch.equal(rewards, again.rewards(process, run)), "the same stream gave two different batches")
    _assert(not torch.equal(rewards, other.rewards(process, run)), "two streams gave the same batch")
    for index in range(n_tasks):
        alone = first[index].rewarded(process, run[index : index + 1])[0]
        _assert(bool(torch.allclose(alone, rewards[index], atol=1e-5)), "a task alone has another reward than in a batch")


def _actions(process: ControlledProcess, n_step: int, rng: Rng) -> Tensor:
    """Return random actions [n_task, n_episode, n_step, ...], those of a box within its bounds, of which infinite ones count as 1."""
    shape = (N_TASK, N_EPISODE, n_step)
    if not isinstance(process.action, Box):
        return torch.randint(process.action.n, shape, generator=rng.torch())
    low, high = (torch.tensor(bound).clamp(-1, 1) for bound in (process.action.low, process.action.high))
    return low + (high - low) * torch.rand(*shape, process.action.n, generator=rng.torch())


def _run(process: ControlledProcess, action: Tensor, rng: Rng, tasks: slice = EVERY) -> Trajectories:
    """Take actions from the start, and check each step's shape."""
    running = process.start(N_TASK, N_EPISODE, rng, tasks)
    seen, reached, alive = [running.observation], [], []
    goes_on = torch.ones(action.shape[:2], dtype=torch.bool)
    wanted = (*action.shape[:2], process.observation.n)
    _assert(tuple(seen[0].shape) == wanted, f"the first observation has shape {tuple(seen[0].shape)}, not {wanted}")
    for step in range(action.shape[2]):
        before = seen[-1].clone()
        after, still = running.step(action[:, :, step])
        _assert(torch.equal(before, seen[-1]), "a step wrote into the observation before it")
        _assert(tuple(after.shape) == wanted, f"an observation has shape {tuple(after.shape)}, not {wanted}")
        _assert(after.dtype == torch.float32 and bool(torch.isfinite(after).all()), "an observation is not finite float32")
        _assert(still.dtype == torch.bool and tuple(still.shape) == wanted[:2], "whether episodes go on is not one bool for each copy")
        _assert(torch.equal(after, running.observation), "a step returned something else than the observation that it left")
        reached.append(after)
        alive.append(goes_on)
        goes_on = goes_on & still
        seen.append(after)
    return Trajectories(torch.stack(seen[:-1], 2), action, torch.stack(reached, 2), torch.stack(alive, 2))


def _equal(first: Trajectories, second: Trajectories) -> bool:
    return torch.equal(first.reached, second.reached) and torch.equal(first.alive, second.alive)


def _assert(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
