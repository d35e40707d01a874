"""The page of a run in an environment: goals that are learned and filmed, and what it says where there is no arena."""

import base64
import io
import shutil

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from umeta.control.envs.point_nav.types import HORIZON
from umeta.control.envs.point_nav.viewer import SIDE
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.web.arena import Arena
from umeta.web.server import make_app


@pytest.fixture(scope="module")
def arena(control_run):
    return TestClient(make_app(control_run), base_url="http://127.0.0.1:8000")


def test_a_goal_is_learned_and_filmed(arena):
    answer = arena.post("/api/goal", json={"x": 0.2, "y": -0.1})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["episodes"] == 5 * 2
    assert content["return_before"] < 0 and content["return_after"] < 0 and 0 <= content["distance"] < 1
    kind, film = content["film"].split(",")
    assert kind == "data:image/gif;base64"
    with Image.open(io.BytesIO(base64.b64decode(film))) as video:
        assert video.size == (SIDE, SIDE) and HORIZON / 2 < video.n_frames <= HORIZON + 1
    assert arena.post("/api/goal", json={"x": 0.2, "y": -0.1}).json() == content
    other = arena.post("/api/goal", json={"x": -0.5, "y": 0.5}).json()
    assert other["return_before"] < content["return_before"], "a corner is farther from the middle, where hardly trained points stay"


@pytest.mark.parametrize("goal", [{"x": 0.51, "y": 0}, {"x": 0, "y": -7}, {"x": "a", "y": 0}, {"x": 0}, {}])
def test_goals_that_there_are_not(arena, goal):
    answer = arena.post("/api/goal", json=goal)
    assert answer.status_code == 422 and answer.json()["detail"]
    if goal.get("x") == 0.51:
        assert answer.json()["detail"] == "the goal lies outside of the arena; x goes from -0.5 to 0.5 and y from -0.5 to 0.5"


def test_what_is_no_number_is_outside(arena):
    answer = arena.post("/api/goal", content=b'{"x": NaN, "y": 0}', headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_the_page_its_pictures_and_what_it_is_about(arena, control_run):
    about = arena.get("/api").json()
    assert (about["process"], about["recipe"], about["arena"], about["skills"]) == (
        "PointNav-v0",
        "uml-diayn",
        [-0.5, 0.5, -0.5, 0.5],
        True,
    )
    assert arena.get("/api/skills").content == (control_run / "skills.png").read_bytes()
    with Image.open(io.BytesIO(arena.get("/api/arena").content)) as image:
        assert image.size == (SIDE, SIDE)
    page = arena.get("/")
    assert "Give it a goal" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("/arena.js", "/arena.css", "/page.css", "/server.js"):
        assert arena.get(path).status_code == 200
    assert arena.get("/api/sessions").status_code == 404
    assert len(arena.get("/api/openapi.json").json()["paths"]) == 4
    assert arena.get("/api", headers={"host": "evil.example"}).status_code == 403


def test_without_an_arena_there_are_the_skills_only(tmp_path):
    learn_control(ControlRequest.of("env:Grid-v0", "uml-random", steps=1), tmp_path / "grid")
    (tmp_path / "grid" / "skills.png").unlink()
    client = TestClient(make_app(tmp_path / "grid"), base_url="http://127.0.0.1:8000")
    assert client.get("/api").json()["arena"] is None
    for answer in (client.post("/api/goal", json={"x": 0, "y": 0}), client.get("/api/arena")):
        assert answer.status_code == 404 and "no arena to click into" in answer.json()["detail"]
    assert client.get("/api/skills").status_code == 404


def test_a_run_that_was_altered_is_not_served(control_run, tmp_path):
    shutil.copytree(control_run, tmp_path / "point")
    weights = tmp_path / "point" / "procedure" / "tensors.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(Exception, match="was altered"):
        Arena.of(tmp_path / "point")
