"""The outer loop: when it ends, what it saves, and that a resumed run is the run that was never stopped."""

import math
import time

import pytest
import torch
from torch import nn

from umeta.core.errors import DivergedError, InterruptedRunError
from umeta.core.loop import Pace, Position, meta_train, train
from umeta.core.rng import Rng
from umeta.core.state import ModuleState


class Line:
    """A meta-learner that regresses the numbers that `Numbers` proposes."""

    def init(self, rng):
        net = nn.Linear(3, 1)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.normal_(generator=rng.torch())
        return ModuleState({"net": net}, {"adam": torch.optim.Adam(net.parameters(), 0.1)})

    def step(self, state, tasks, rng):
        noise = 0.1 * torch.randn(tasks.shape[0], 1, generator=rng.torch())
        loss = (state.modules["net"](tasks) + noise - tasks.sum(1, keepdim=True)).square().mean()
        state.optimizers["adam"].zero_grad()
        loss.backward()
        state.optimizers["adam"].step()
        return state, {"loss": loss.item()}

    def export(self, state):
        return {name: value.clone() for name, value in state.tensors().items()}


class Numbers:
    def sample_batch(self, rng, n_tasks):
        return torch.randn(n_tasks, 3, generator=rng.torch())


class Recorder:
    """An observer that saves every few steps and asks to stop at one."""

    def __init__(self, every=0, stop_at=None):
        self.every, self.stop_at, self.seen, self.saved = every, stop_at, [], []

    def on_step(self, position, metrics):
        self.seen.append((position, metrics["loss"]))

    def wants_checkpoint(self, position):
        return bool(self.every) and position.step % self.every == 0

    def save(self, position, state):
        self.saved.append((position, {name: value.clone() for name, value in state.tensors().items()}))

    def wants_stop(self):
        return self.seen[-1][0].step == self.stop_at


def run(n_steps=12, **options):
    return meta_train(Line(), Numbers(), meta_batch_size=4, pace=Pace(n_steps), rng=Rng.from_seed(3), **options)


class Counting:
    """A train state without tensors that remembers how it was annealed."""

    def __init__(self):
        self.annealed = []

    def tensors(self):
        return {}

    def load_tensors(self, tensors):
        pass

    def anneal(self, progress):
        self.annealed.append(progress)


# Pace


def test_a_pace_is_steps_or_seconds_and_never_both():
    assert Pace(n_steps=4).progress(1, 99.0) == 0.25
    assert Pace(seconds=8.0).progress(99, 2.0) == 0.25
    assert Pace(n_steps=4).progress(9, 0.0) == Pace(seconds=8.0).progress(0, 9.0) == 1.0
    assert Pace(n_steps=0).progress(0, 0.0) == Pace(seconds=0.0).progress(0, 0.0) == 1.0
    for arguments in ({}, {"n_steps": 1, "seconds": 1.0}):
        with pytest.raises(ValueError, match="either n_steps or seconds"):
            Pace(**arguments)


def test_a_pace_in_seconds_counts_those_spent_before_a_resume():
    seen = Recorder()
    began = time.monotonic()
    train(Counting(), lambda state, index: (state, {"loss": 0.0}), Pace(seconds=3.0), start=Position(7, 2.95, 0.9), observer=seen)
    assert time.monotonic() - began < 1.0
    assert seen.seen[0][0].step == 8
    assert len(seen.seen) > 3
    assert 3.0 <= seen.seen[-1][0].elapsed_s < 4.0


# train


def test_every_step_is_annealed_at_its_own_share_and_indexed_once():
    state, steps = Counting(), []
    train(state, lambda current, index: (steps.append(index) or current, {"loss": 0.0}), Pace(n_steps=4))
    assert steps == [0, 1, 2, 3]
    assert state.annealed == [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_and_nothing_is_saved(bad):
    observer = Recorder(every=1)

    def step(state, index):
        return state, {"loss": bad if index == 2 else 1.0}

    with pytest.raises(DivergedError, match=r"at step 3; a checkpoint saved before is kept"):
        train(Counting(), step, Pace(n_steps=9), observer=observer)
    assert [position.step for position, _ in observer.saved] == [1, 2]


def test_a_stop_saves_and_says_where():
    observer = Recorder(stop_at=5)
    with pytest.raises(InterruptedRunError, match="stopped at step 5") as caught:
        run(observer=observer)
    assert [position.step for position, _ in observer.saved] == [5]
    assert caught.value.exit_code == 130


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_a_stopped_and_resumed_run_is_bit_for_bit_the_uninterrupted_one(stop_at):
    straight = run()
    observer = Recorder(stop_at=stop_at)
    with pytest.raises(InterruptedRunError):
        run(observer=observer)
    position, tensors = observer.saved[-1]
    state = Line().init(Rng.from_seed(99))
    state.load_tensors(tensors)
    resumed = run(state=state, start=position)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_step_i_draws_its_tasks_and_its_numbers_from_streams_of_its_own():
    streams = []

    class Tasks:
        def sample_batch(self, rng, n_tasks):
            streams.append(rng)
            return n_tasks

    class Learner:
        def init(self, rng):
            streams.append(rng)
            return Counting()

        def step(self, state, tasks, rng):
            assert tasks == 4
            streams.append(rng)
            return state, {"loss": 0.0}

        def export(self, state):
            return "shipped"

    rng = Rng.from_seed(0)
    assert meta_train(Learner(), Tasks(), meta_batch_size=4, pace=Pace(2), rng=rng) == "shipped"
    assert streams == [rng.fork("init"), *(rng.fork(name, index) for index in range(2) for name in ("tasks", "step"))]


def test_a_finished_run_resumes_to_itself():
    observer = Recorder(every=12)
    straight = run(observer=observer)
    position, tensors = observer.saved[-1]
    state = Line().init(Rng.from_seed(99))
    state.load_tensors(tensors)
    again = Recorder()
    assert all(torch.equal(value, straight[name]) for name, value in run(state=state, start=position, observer=again).items())
    assert again.seen == []


def test_practice_learns_and_another_seed_gives_another_run():
    observer = Recorder()
    run(200, observer=observer)
    losses = [loss for _, loss in observer.seen]
    assert sum(losses[-20:]) < 0.1 * sum(losses[:20])
    other = meta_train(Line(), Numbers(), meta_batch_size=4, pace=Pace(12), rng=Rng.from_seed(4))
    assert not torch.equal(other["net.weight"], run()["net.weight"])
