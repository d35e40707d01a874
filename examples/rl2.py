"""RL2 in one page: a memory that lasts over episodes explores, and then knows (Duan et al. 2016, arXiv:1611.02779).

It practices on the 25 goals of a grid themselves, so that it can be compared with the best that any memory could do. 570 steps, which take
100 CPU-seconds, come to 13.8 over three episodes; this is half of that.
"""

import numpy as np
import torch

from umeta.benchmarks.goals import true_tasks
from umeta.control.learners.rl2 import Rl2
from umeta.control.nets.recurrent import run_trial
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.theory.memory import search_bound

rng = Rng.from_seed(0)
truth = true_tasks("grid-goals")
process = truth.make_process()  # a 5x5 grid, ten steps an episode; a step that ends in the goal pays 1

# 1. Practice: trials of three episodes; the memory is never reset in between.
learner = Rl2(process, n_episode=3)
procedure = meta_train(learner, truth.tasks, meta_batch_size=160, pace=Pace(n_steps=280), rng=rng.fork("meta"))

# 2. New trials on all 25 goals, rewards shown.
net = procedure.net
shown = torch.ones(25, 64, 3, dtype=torch.bool)
trial = run_trial(process, net, truth.spread, net.empty(25, 64), shown, rng.fork("test"))
returns = trial.reward.sum(-1).mean((0, 1))
distance = np.array([row + column for row, column in process.cells])
print("return in episode 1, 2, 3: " + ", ".join(f"{value:.2f}" for value in returns))
print(f"together {returns.sum():.2f}; no memory has more than {search_bound(distance, process.horizon, 3):.2f}")
