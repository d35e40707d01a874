"""Practice on rewards that nobody wrote, in one page: skills, their rewards, MAML, then goals that people chose.

Gupta, Eysenbach, Finn, Levine 2018 (arXiv:1806.04640); skills by Eysenbach et al. 2019 (arXiv:1802.06070).
"""

from umeta.benchmarks.goals import true_tasks
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.maml import Maml
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.discovery import SkillDiscovery
from umeta.core.loop import Pace, meta_train, train
from umeta.core.rng import Rng
from umeta.recipes.control.score import N_QUERY, measure_returns

rng = Rng.from_seed(0)
process = PointNav()  # a point in a square; there is no reward in it

# 1. Sixteen things to do that can be told apart by where they lead.
discovery = SkillDiscovery(process, Diayn(n_skills=16))
state = discovery.init(rng.fork("skills"))
state = train(state, lambda now, i: discovery.step(now, rng.fork("skill", i)), Pace(seconds=20))
skills = discovery.export(state)
print({name: round(value, 2) for name, value in skills.measure(16, 20, rng.fork("measure")).items()})

# 2. Each of them is a reward, and rewards are what is practiced on.
learner = Maml(process, InnerLoop(n_steps=2, n_episode=10))
procedure = meta_train(learner, skills.tasks, meta_batch_size=20, pace=Pace(seconds=25), rng=rng.fork("meta"))

# 3. Forty goals that people chose. True rewards are read here, and only here.
goals = true_tasks("point-goals").tasks.sample_batch(rng.fork("test"), 40)
returns = measure_returns(N_QUERY)(procedure, goals, rng.fork("adapt")).mean(1)
print("return after 0, 20, 40, ... episodes:", returns.round(1).tolist())
