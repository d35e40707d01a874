"""Knows the tour of the control half: find skills without a reward, practice on them, then follow rewards that people wrote."""

from pathlib import Path

import torch

from umeta.benchmarks.goals import toward
from umeta.cli.say import say
from umeta.cli.work import listening, reporting
from umeta.control.learners.shipped import load_procedure, save_agent
from umeta.control.picture import film, write_video
from umeta.core.rng import Rng
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.control.score import ControlQuestion, score_control

GOAL = (0.3, -0.35)
N_TASKS = 20


def run_control_demo(out: Path, budget_s: float, seed: int, began: float) -> int:
    """Learn to move a point, score it on goals beside training from scratch, and film it on its way to one of them."""
    say("a point in a square, no reward: it finds things to do that can be told apart, and practices to learn each of them fast")
    request = ControlRequest.of("env:PointNav-v0", "uml-diayn", budget_s=budget_s, seed=seed)
    with listening() as stop, reporting() as reporter:
        manifest = learn_control(request, out, overwrite=True, reporter=reporter, stop=stop, began=began)
    say(f"learned {manifest['recipe']} in {manifest['elapsed_s']:.0f} s without a reward; what it can do: {out / 'skills.png'}\n")
    with reporting() as reporter:
        report = score_control(out, ControlQuestion("point-goals", N_TASKS, baselines=True, oracle_steps=60), reporter)
    say(f"{N_TASKS} goals that people chose; mean return ± 95 % interval over goals, 0 is best")
    say(report.table() + "\n")
    agent = load_procedure(out).adapt(toward(GOAL), Rng.from_seed(seed))
    save_agent(out / "agent", agent)
    pictures, path = film(agent, Rng.from_seed(seed))
    video = out / "agent.gif"
    write_video(pictures, video)
    off = float((path[-1] - torch.tensor(GOAL)).norm())
    say(f"one more goal, at {GOAL[0]}, {GOAL[1]}: the adapted agent ends {off:.2f} from it; a film: {video}")
    say("\nnow with a reward of your own:")
    say("  echo 'def reward(observation, action, reached): return reached[..., 0]' > my_task.py")
    say(f"  umeta adapt {out} --reward my_task.py:reward --episodes 60 --out agent")
    say("  umeta rollout agent --video out.gif")
    return 0
