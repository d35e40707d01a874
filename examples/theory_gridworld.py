"""Why unsupervised meta-learning works, on a 5x5 grid, exactly (Gupta, Eysenbach, Finn, Levine 2018, arXiv:1806.04640). Seconds."""

from pathlib import Path

import numpy as np

from umeta.core.rng import Rng
from umeta.theory.explorer import random_walk, uniform_goals
from umeta.theory.figure import draw_visits
from umeta.theory.minimax import minimax_explorer
from umeta.theory.mutual_information import mutual_information_skills
from umeta.theory.regret import measure_hitting_time, worst_case
from umeta.theory.tasks import ExplorerProcedure, minimax_tasks
from umeta.theory.visits import measure_visits
from umeta.theory.world import gridworld

rng = Rng.from_seed(0)

# 1. A process without a reward. Tomorrow somebody names a cell, and episodes that end there pay.
grid = gridworld(5, 5, horizon=10)
print(f"{grid.n_states} cells, {grid.n_actions} actions, horizon {grid.horizon}")

# 2. The explorer with the least worst-case regret, and the adversary who makes it necessary.
best = minimax_explorer(grid)
print(f"no explorer needs fewer than {best.bound:.3f} episodes for its worst cell; this one needs {best.value:.3f}")
print(f"the adversary's distribution over cells: from {best.adversary.min():.4f} to {best.adversary.max():.4f}")

# 3. Skills that tell most about themselves find the same explorer, without being told about goals at all.
skills = mutual_information_skills(grid, rng.fork("skills"))
for explorer in (skills.explorer, uniform_goals(grid), random_walk(grid)):
    print(f"{explorer.name}: {worst_case(explorer.marginal, grid.goals())[0]:.1f} episodes for the worst cell")

# 4. The numbers are what happens: run it until it hits the far corner, many times.
mean, ci95 = measure_hitting_time(grid, best.explorer, goal=24, n_trials=2000, rng=rng.fork("runs"))
print(f"as it was run: {mean:.1f} ±{ci95:.1f} episodes")

# 5. With noise the three part: each is best by its own regret.
noisy = gridworld(5, 5, horizon=10, slip=0.3)
for explorer in (minimax_explorer(noisy).explorer, mutual_information_skills(noisy, rng.fork("noisy"), n_starts=50).explorer):
    print(f"slip 0.3, {explorer.name}: {worst_case(explorer.marginal, noisy.goals())[0]:.1f} episodes for the worst cell")

# 6. The adversary's cells are tasks to practice on, and an explorer is a learning procedure.
task = minimax_tasks(grid, best).sample(rng.fork("task"))
behavior = ExplorerProcedure.from_skills(skills, grid.n_actions).adapt(task.support, rng.fork("adapt"))
print(
    f"after at most {task.n_support} episodes: return {task.query.run(behavior.policy, rng)[1].mean():.2f} on a cell drawn by the adversary"
)

# 7. A discoverer with 8 skills, at its best, on the same axes. Save what yours visited, and use `umeta theory visits`.
eight = uniform_goals(grid, [0, 4, 7, 12, 15, 18, 20, 24])
ends = grid.simulate(eight.policy, 400, rng.fork("visits"))[:, -1]
found = measure_visits(grid, ends, best.explorer.marginal)
print(f"8 skills end in {100 * found.coverage:.0f} % of the cells, {found.kl_uniform:.2f} nats from uniform")
Path("theory").mkdir(exist_ok=True)
np.save("theory/eight-skills.npy", ends)
print("figure:", draw_visits(grid, {"8 skills": found.marginal, "minimax (LP)": best.explorer.marginal}, Path("theory/visits.png")))
