"""CARML in one page: the meta-learner's own trajectories propose its next tasks (Jabri et al. 2019, arXiv:1912.04226)."""

from umeta.benchmarks.goals import true_tasks
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.carml import Carml
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.maml import Maml
from umeta.core.loop import Pace, train
from umeta.core.rng import Rng
from umeta.recipes.control.score import N_QUERY, measure_returns

rng = Rng.from_seed(0)

# 1. No skills are found first: a mixture is fitted to what the learner does, and each component is a task; in turn with practice.
carml = Carml(Maml(PointNav(), InnerLoop(n_steps=2, n_episode=10)), n_skills=16, n_between=10)
state = carml.init(rng.fork("init"))
state = train(state, lambda now, i: carml.step(now, rng.fork("step", i)), Pace(seconds=45))
print("components, center in units of the half side:", state.modules["mixture"].center.round(decimals=2).tolist())

# 2. Forty goals that people chose. True rewards are read here, and only here.
goals = true_tasks("point-goals").tasks.sample_batch(rng.fork("test"), 40)
returns = measure_returns(N_QUERY)(carml.export(state), goals, rng.fork("adapt")).mean(1)
print("return after 0, 20, 40, ... episodes:", returns.round(1).tolist())
