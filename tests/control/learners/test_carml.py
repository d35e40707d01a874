"""CARML: a mixture by hand, and tasks that follow what the learner does."""

import pytest
import torch

from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.carml import Carml
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.maml import Maml
from umeta.control.skills.state_mixture import LEAST_STD, StateMixture


def test_a_mixture_finds_groups_of_trajectories_and_leaves_out_what_comes_after_an_end(rng):
    places = torch.tensor([[-0.8, 0.0], [0.8, 0.0], [0.0, 0.8]])
    feature = places.repeat(10, 1)[:, None] + 0.05 * torch.randn(30, 6, 2, generator=rng.torch())
    alive = torch.ones(30, 6, dtype=torch.bool)
    feature[:, 5], alive[:, 5] = 100.0, False
    mixture = StateMixture(3, 2)
    mixture.fit(feature, alive, rng, 10)
    distance = torch.cdist(places, mixture.center)
    assert distance.min(1).values.max() < 0.05 and len(distance.argmin(1).unique()) == 3
    assert mixture.std.max() < 0.1 and mixture.std.min() >= LEAST_STD
    assert mixture.log_weight.exp().tolist() == pytest.approx([1 / 3] * 3, abs=1e-3)
    assert mixture.information.item() == pytest.approx(torch.tensor(3.0).log().item(), abs=1e-3)


def test_a_trajectory_belongs_by_all_of_its_states(rng):
    mixture = StateMixture(2, 1)
    mixture.center.copy_(torch.tensor([[0.0], [1.0]]))
    mixture.std.fill_(1.0)
    member = mixture.member(torch.tensor([[[0.0], [0.0]], [[0.0], [1.0]]]), torch.ones(2, 2, dtype=torch.bool))
    assert member[:, 0].tolist() == pytest.approx([torch.tensor(1.0).sigmoid().item(), 0.5])


def test_tasks_are_renewed_from_the_learners_own_trajectories(rng):
    process = PointNav(horizon=6)
    learner = Carml(Maml(process, InnerLoop(n_episode=2), n_adapt_episodes=2), 4, n_between=2, meta_batch_size=3, n_episode=2)
    state, seen = learner.init(rng), []
    for index in range(3):
        state, metrics = learner.step(state, rng.fork("step", index))
        seen.append(state.modules["mixture"].center.clone())
        assert metrics["information"] > 0
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    fresh = learner.init(rng)
    fresh.load_tensors(state.tensors())
    assert int(fresh.modules["mixture"].age) == 3
    tasks = learner.tasks(fresh).sample_batch(rng, 4)
    reached = fresh.modules["mixture"].center[tasks.parameter.argmax(-1)][:, None, None] / 2
    own = tasks.family(tasks.parameter, reached, reached, reached)
    others = tasks.family(tasks.parameter.roll(1, 0), reached, reached, reached)
    assert (own > others).all()
