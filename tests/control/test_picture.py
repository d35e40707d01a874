"""Videos, pictures of skills, and shares of the state space."""

import pytest
import torch
from PIL import Image

from umeta.control.coverage import coverage
from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav, point_walls
from umeta.control.nets.policy import make_policy
from umeta.control.picture import draw_skills, frames, write_video
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.discovery import SkillDiscovery
from umeta.control.trajectory import Trajectories, rollout
from umeta.core.errors import InputError


@pytest.mark.parametrize("process", [point_walls(), Grid(horizon=4)], ids=lambda one: one.name)
def test_a_gif_has_a_frame_for_each_observation(rng, tmp_path, process):
    policy = make_policy(process.observation.n, process.action)
    path = rollout(process, policy, policy.init(rng), 1, 1, rng).reached[0, 0][:5]
    write_video(frames(process, path), tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as film:
        assert film.format == "GIF" and film.n_frames > 1


def test_videos_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    picture = Image.new("RGB", (8, 8))
    with pytest.raises(InputError, match=r"a \.gif, or a \.mp4"):
        write_video([picture], tmp_path / "out.avi")
    with pytest.raises(InputError, match="needs ffmpeg"):
        write_video([picture], tmp_path / "out.mp4")
    with pytest.raises(InputError, match="there is no folder"):
        write_video([picture], tmp_path / "none" / "out.gif")


@pytest.mark.parametrize("process", [PointNav(horizon=4), Grid(horizon=4)], ids=lambda one: one.name)
def test_a_sheet_of_skills_is_a_picture(rng, tmp_path, process):
    discovery = SkillDiscovery(process, Diayn(3))
    draw_skills(discovery.export(discovery.init(rng)), 3, rng, tmp_path / "skills.png")
    with Image.open(tmp_path / "skills.png") as sheet:
        assert min(sheet.size) > 100


def test_coverage_by_hand():
    at = torch.tensor([[-0.5, -0.5], [0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]).reshape(1, 1, 4, 2)
    alive = torch.tensor([[[True, True, True, False]]])
    assert coverage(PointNav(), Trajectories(at, at, at, alive)) == 2 / 400
    cells = torch.eye(25)[[3, 3, 4, 9]].reshape(1, 1, 4, 25)
    assert coverage(Grid(), Trajectories(cells, cells, cells, alive)) == 2 / 25
