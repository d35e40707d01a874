"""Knows what a visitor sees of a run that learned in an environment: its skills, and how it learns to reach a place that was clicked."""

import asyncio
import base64
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Response
from PIL import Image
from pydantic import BaseModel

from umeta.artifacts.artifact import read_json
from umeta.benchmarks.goals import toward
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.procedure import ShippedProcedure
from umeta.control.learners.shipped import load_procedure
from umeta.control.picture import draw, film, write_gif
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.recipes.control.score import before_and_after
from umeta.web.application import begin_application, end_application
from umeta.web.lesson import UnknownError


class Goal(BaseModel):
    """A place in the arena."""

    x: float
    y: float


class Reached(BaseModel):
    """How the goal was learned: the mean return before and after, where one more episode ended, and a film of it as a `data:` address."""

    episodes: int
    return_before: float
    return_after: float
    distance: float
    film: str


@dataclass(frozen=True)
class Arena:
    """A run that visitors may give goals to.

    Attributes:
        run: Its name.
        recipe: Of the run.
        procedure: What learns a goal.
        skills: A PNG of what it found to do; None if it found nothing, as an oracle.
    """

    run: str
    recipe: str
    procedure: ShippedProcedure
    skills: bytes | None

    @classmethod
    def of(cls, run: Path) -> "Arena":
        """Read a finished run.

        Raises:
            UmetaError: It is unfinished, or was altered.
        """
        procedure, picture = load_procedure(run), run / "skills.png"
        recipe = read_json(run / "manifest.json")["recipe"]
        return cls(run.resolve().name, recipe, procedure, picture.read_bytes() if picture.is_file() else None)

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """Left, right, bottom and top of the plane in which a place can be clicked; None where the process is no point in a plane."""
        process = self.procedure.process
        if not isinstance(process, PointNav):
            return None
        (left, bottom), (right, top) = process.observation.low, process.observation.high
        return left, right, bottom, top

    def picture(self) -> bytes:
        """Return the arena before anything moves, as a PNG."""
        self._check()
        process, buffer = self.procedure.process, io.BytesIO()
        image: Image.Image = draw(process, process.start(1, 1, Rng.from_seed(0)).observation[0])
        image.save(buffer, "PNG")
        return buffer.getvalue()

    def reach(self, x: float, y: float) -> Reached:
        """Learn to reach a place, and film one more episode.

        Raises:
            InputError: The place is outside of the arena, or there is none.
        """
        left, right, bottom, top = self._check()
        if not (left <= x <= right and bottom <= y <= top):
            raise InputError(f"the goal lies outside of the arena; x goes from {left:g} to {right:g} and y from {bottom:g} to {top:g}")
        reward, rng = toward((x, y)), Rng.from_seed(0)
        episodes, before, after = before_and_after(self.procedure, reward, rng)
        pictures, path = film(self.procedure.adapt(reward, rng.fork("adapt")), rng.fork("film"))
        buffer = io.BytesIO()
        write_gif(pictures, buffer)
        uri = "data:image/gif;base64," + base64.b64encode(buffer.getvalue()).decode()
        distance = float((path[-1] - torch.tensor([x, y])).norm())
        return Reached(episodes=episodes, return_before=before, return_after=after, distance=distance, film=uri)

    def _check(self) -> tuple[float, float, float, float]:
        if self.bounds is None:
            raise UnknownError(f"{self.procedure.process.name} is no point in a plane, so there is no arena to click into")
        return self.bounds


def arena_api(arena: Arena) -> FastAPI:
    """Return the application without its guard."""
    app = begin_application("Watch a learning procedure reach a goal.")
    worker = ThreadPoolExecutor(1, "arena")  # one at a time: the processor is busy anyway

    @app.get("/api")
    async def about() -> dict[str, Any]:
        """Say what this server is: the run, its process, and whether there are skills and an arena to be seen."""
        process = arena.procedure.process
        return {
            "run": arena.run,
            "recipe": arena.recipe,
            "process": process.name,
            "horizon": process.horizon,
            "skills": arena.skills is not None,
            "arena": arena.bounds,
        }

    @app.get("/api/skills", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    async def skills() -> Response:
        """Return the picture of all skills."""
        if arena.skills is None:
            raise UnknownError(f"{arena.recipe} has no picture of skills")
        return Response(arena.skills, media_type="image/png")

    @app.get("/api/arena", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    async def picture() -> Response:
        """Return the arena before anything moves."""
        return Response(arena.picture(), media_type="image/png")

    @app.post("/api/goal")
    async def goal(wanted: Goal) -> Reached:
        """Learn to reach a place in the arena, and return a film of one more episode."""
        return await asyncio.get_running_loop().run_in_executor(worker, arena.reach, wanted.x, wanted.y)

    return end_application(app, "arena.html")
