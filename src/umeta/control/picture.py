"""Knows how episodes look: frames of one, and a sheet of what every skill does."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import Image
from torch import Tensor

from umeta.control.envs.grid import viewer as grid_viewer
from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav import viewer as point_viewer
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.procedure import Agent
from umeta.control.process import ControlledProcess
from umeta.control.skills.discovery import Skills
from umeta.core.errors import InputError, UmetaError
from umeta.core.rng import Rng

FRAMES_PER_S = 20
SHEET_EPISODES = 5


def draw(process: ControlledProcess, path: Tensor) -> Image.Image:
    """Return a picture of an episode so far, observations [n, n_observation]; raises `InputError` where the process has no picture."""
    if isinstance(process, PointNav):
        return point_viewer.draw(process, path)
    if isinstance(process, Grid):
        return grid_viewer.draw(process, path)
    raise InputError(f"there is no picture of {process.name}")


def film(agent: Agent, rng: Rng) -> tuple[list[Image.Image], Tensor]:
    """Return one picture for each step of an episode of an agent, and what it saw, [n, n_observation]."""
    episode = agent.run(1, rng)
    path = torch.cat([episode.observation[0, 0, :1], episode.reached[0, 0][episode.alive[0, 0]]])
    return frames(agent.process, path), path


def frames(process: ControlledProcess, path: Tensor) -> list[Image.Image]:
    """Return one picture for each observation of an episode, [n, n_observation]."""
    return [draw(process, path[: index + 1]) for index in range(len(path))]


def write_gif(pictures: Sequence[Image.Image], file: Path | BinaryIO) -> None:
    """Write frames as a GIF that begins again at its end."""
    colors = [picture.quantize(64) for picture in pictures]
    colors[0].save(file, "GIF", save_all=True, append_images=colors[1:], duration=1000 // FRAMES_PER_S, loop=0)


def write_video(pictures: Sequence[Image.Image], path: Path) -> None:
    """Write frames as a GIF, or by ffmpeg as an MP4.

    Raises:
        InputError: Another ending, or an MP4 where there is no ffmpeg.
        UmetaError: The file could not be written.
    """
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise InputError(f"{path}: a video is a .gif, or a .mp4 where ffmpeg is installed")
    ffmpeg = shutil.which("ffmpeg")
    if path.suffix.lower() == ".mp4" and ffmpeg is None:
        raise InputError(f"{path}: an .mp4 needs ffmpeg, which is not installed; write a .gif")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.absolute().parent}")
    if path.suffix.lower() == ".gif":
        write_gif(pictures, path)
        return
    with tempfile.TemporaryDirectory() as folder:
        for index, picture in enumerate(pictures):
            picture.save(Path(folder) / f"{index:06d}.png")
        even = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
        command = [ffmpeg or "", "-y", "-framerate", str(FRAMES_PER_S), "-i", f"{folder}/%06d.png", "-vf", even, "-pix_fmt", "yuv420p"]
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UmetaError(f"ffmpeg could not write {path}: {done.stderr.strip().splitlines()[-1]}; write a .gif")


def draw_skills(skills: Skills, n_skill: int, rng: Rng, path: Path) -> None:
    """Write a PNG with one panel for each skill: some of its episodes, in the plane of the two features that vary most.

    Where the process has a picture of its own the panels are the arena or the grid.
    """
    from matplotlib.figure import Figure

    skill = skills.objective.draw(skills.model, n_skill, rng.fork("skill"))
    order = skill.argmax(-1).argsort()
    episodes = skills.run(skill[order], SHEET_EPISODES, rng.fork("episodes"))
    plane, names = _plane(skills.process, torch.cat([episodes.observation[:, :, :1], episodes.reached], 2))
    flat = plane.numpy()
    low, high = flat.min((0, 1, 2)), flat.max((0, 1, 2))
    margin = 0.05 * (high - low) + 1e-6
    n_column = min(8, n_skill)
    n_row = -(-n_skill // n_column)
    figure = Figure(figsize=(1.6 * n_column, 1.7 * n_row + 0.3), layout="constrained")
    for index, own in enumerate(flat):
        axes = figure.add_subplot(n_row, n_column, index + 1)
        for way in own:
            axes.plot(way[:, 0], way[:, 1], linewidth=0.8, alpha=0.7)
        axes.scatter(own[:, -1, 0], own[:, -1, 1], s=8, zorder=3)
        if isinstance(skills.process, PointNav):
            for wall in skills.process.walls:
                ends = [(wall.at, wall.low), (wall.at, wall.high)]
                xs, ys = zip(*(end if wall.axis == 0 else end[::-1] for end in ends), strict=True)
                axes.plot([x / 0.5 for x in xs], [y / 0.5 for y in ys], color="black", linewidth=2)
        axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]), xticks=[], yticks=[])
        axes.set_title(f"skill {index}", fontsize=7)
    figure.supxlabel(f"{names[0]}; {SHEET_EPISODES} episodes of each skill", fontsize=7)
    figure.supylabel(names[1], fontsize=7)
    figure.savefig(path, dpi=110)


def _plane(process: ControlledProcess, observation: Tensor) -> tuple[Tensor, tuple[str, str]]:
    """Return positions in a plane for observations [..., n_observation], and the names of its axes."""
    if isinstance(process, Grid):
        cells = torch.tensor(process.cells, dtype=torch.float32)[observation.argmax(-1)]
        return torch.stack([cells[..., 1], -cells[..., 0]], -1), ("column", "row")
    feature = process.feature(observation)
    if process.n_feature == 2:
        return feature, ("feature 0", "feature 1")
    chosen = feature.flatten(0, -2).std(0).topk(min(2, process.n_feature)).indices.sort().values
    if process.n_feature == 1:
        return torch.cat([torch.zeros_like(feature), feature], -1), ("", "feature 0")
    return feature[..., chosen], (f"feature {int(chosen[0])}", f"feature {int(chosen[1])}")
