"""Unsupervised meta-reinforcement learning in one page (Gupta et al. 2018, arXiv:1806.04640): DIAYN's skills as rewards, MAML on them."""

import torch

from umeta.benchmarks.goals import true_tasks
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.maml import Maml
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.discovery import SkillDiscovery
from umeta.core.loop import Pace, meta_train, train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.recipes.control.score import measure_returns

torch.set_num_threads(1)
rng = Rng.from_seed(0)
process = PointNav()  # a point in a square; there is no reward in it

# 1. Skills: a policy that sees which of 16 skills to run, and a discriminator that guesses it from the position reached.
discovery = SkillDiscovery(process, Diayn(n_skills=16))
state = discovery.init(rng.fork("skills"))
state = train(state, lambda now, i: discovery.step(now, rng.fork("skill", i)), Pace(n_steps=80))
skills = discovery.export(state)
told = skills.measure(16, 20, rng.fork("measure"))
print(f"the skill is guessed right in {told['accuracy']:.0%} of states, by chance {told['chance']:.0%}; {told['information']:.2f} nats")

# 2. Practice: the reward of a task is the log of the discriminator's guess; two gradient steps of ten episodes each.
learner = Maml(process, InnerLoop(n_steps=2, n_episode=10))
procedure = meta_train(learner, skills.tasks, meta_batch_size=20, pace=Pace(n_steps=80), rng=rng.fork("meta"))

# 3. Goals that people chose. True rewards are read here, and only here.
goals = true_tasks("point-goals").tasks
scratch = GradientProcedure.from_scratch(process, InnerLoop(lr=1.0, n_steps=5), rng.fork("scratch"))
for name, one in (("uml-diayn", procedure), ("from scratch", scratch)):
    scores = evaluate(one, goals, measure_returns(20), n_tasks=40, rng=rng.fork("test"))
    print(f"{name}: mean return after 0, 20, ... 100 episodes: {', '.join(f'{value:.1f}' for value in scores.values.mean(1))}")
