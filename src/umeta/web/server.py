"""Knows the API behind the page: which requests there are, what they answer, and how they fail."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import uvicorn
from fastapi import FastAPI, Form, HTTPException, Query, Response, UploadFile
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.types import ASGIApp

from umeta.core.errors import InputError
from umeta.images.pixels import BadImageError, OversizedImageError, decode_stream
from umeta.recipes.route import is_control_run
from umeta.web.application import begin_application, end_application
from umeta.web.arena import Arena, arena_api
from umeta.web.examples import SETS, example_set
from umeta.web.guard import MAX_BODY, Guard, check_binding, is_loopback
from umeta.web.lesson import MAX_CLASSES, MAX_EXAMPLES, MAX_NAME, Lesson, Lessons, Teacher

MAX_IMAGES = 64
MAX_SUGGEST = 256
MAX_MEGAPIXELS_AT_ONCE = 200
NOT_AN_IMAGE = "this is not an image that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF or PNM)"
T = TypeVar("T")
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class ExampleState(BaseModel):
    """One example."""

    id: str
    class_: str = Field(alias="class")


class SessionState(BaseModel):
    """All that was taught in a session."""

    id: str
    revision: int
    classes: list[str]
    examples: list[ExampleState]
    can_undo: bool


class Prediction(BaseModel):
    """What is seen in one image; only `error` for one that cannot be read.

    `probabilities` are given that it is one of the classes. `chance` is how often an image of none of them would be as near; `none` says
    that this is too often to believe the label.
    """

    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    chance: float | None = None
    none: bool | None = None
    error: str | None = None


class Predictions(BaseModel):
    """One answer per image, in the order in which they came."""

    revision: int
    predictions: list[Prediction]


class Suggestions(BaseModel):
    """Which of the images to label next, the most useful first."""

    order: list[int]


class NewClass(BaseModel):
    """A class to be named."""

    name: Name


class Start(BaseModel):
    """A set of examples to start with."""

    name: Literal["Digits", "Greek letters", "Georgian letters", "Signs"]


def make_app(run: Path, host: str = "127.0.0.1", token: str | None = None) -> ASGIApp:
    """Return the guarded application for a finished run.

    Args:
        run: The run folder; read once, never written.
        host: The address that it will be bound to.
        token: What requests to the API must bring; needed for an address that others reach.
    """
    check_binding(host, token)
    app = arena_api(Arena.of(run)) if is_control_run(run) else api(Teacher.of(run))
    return Guard(app, host, token)


def serve(run: Path, host: str, port: int, token: str | None, say: Callable[[str], None]) -> None:
    """Serve until somebody presses Ctrl-C; no request is logged."""
    app = make_app(run, host, token)
    shown = f"[{host}]" if ":" in host else host
    say(f"teach it at http://{shown}:{port}/{f'#token={token}' if token else ''} (Ctrl-C ends)")
    if not is_loopback(host):
        say("images and the token travel unencrypted; use it in a network that you trust, or behind HTTPS")
    config = uvicorn.Config(app, host, port, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run()


def api(teacher: Teacher) -> FastAPI:
    """Return the application without its guard."""
    app = begin_application("Teach a learning procedure with a few images.")
    prepare = teacher.procedure.preparation.pixels
    lessons, instance = Lessons(teacher), secrets.token_urlsafe(9)
    worker = ThreadPoolExecutor(1, "lesson")  # one at a time: nothing in a session needs a lock, and the processor is busy anyway

    async def work(function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(worker, partial(function, *arguments))

    async def change(session: str, function: Callable[[Lesson], object]) -> dict[str, Any]:
        lesson = lessons.find(session)
        await work(function, lesson)
        return {"id": session, **lesson.told()}

    @app.get("/api")
    async def about() -> dict[str, Any]:
        """Say what this server is: the run, how drawings must look, the limits, the sets of examples."""
        preparation, style = teacher.procedure.preparation, teacher.style
        return {
            "instance": instance,
            "run": teacher.run,
            "recipe": teacher.procedure.recipe,
            "side": preparation.side,
            "channels": preparation.channels,
            "style": asdict(style) if style else None,
            "sets": list(SETS),
            "limits": {"images": MAX_IMAGES, "suggest": MAX_SUGGEST, "bytes": MAX_BODY, "classes": MAX_CLASSES, "examples": MAX_EXAMPLES},
        }

    @app.post("/api/sessions", status_code=201)
    async def begin() -> SessionState:
        """Open a session."""
        key, lesson = lessons.begin()
        return SessionState(id=key, **lesson.told())

    @app.get("/api/sessions/{session}")
    async def state(session: str) -> SessionState:
        """Return all that was taught in a session."""
        return SessionState(id=session, **lessons.find(session).told())

    @app.delete("/api/sessions/{session}", status_code=204)
    async def end(session: str) -> None:
        """Forget a session."""
        lessons.end(session)

    @app.post("/api/sessions/{session}/classes")
    async def name_class(session: str, new: NewClass) -> SessionState:
        """Name a class; it may have no example yet."""
        return SessionState(**await change(session, lambda lesson: lesson.name(new.name)))

    @app.delete("/api/sessions/{session}/classes")
    async def drop_class(session: str, name: str) -> SessionState:
        """Remove a class with its examples."""
        return SessionState(**await change(session, lambda lesson: lesson.drop_class(name)))

    @app.post("/api/sessions/{session}/examples")
    async def add(session: str, names: Annotated[list[Name], Form()], images: list[UploadFile]) -> SessionState:
        """Add images as examples, all of one named class, or each of its own: one name, or as many as images. All or none are added."""
        lessons.find(session)
        if len(names) not in (1, len(images)):
            raise InputError(f"{len(images)} images came with {len(names)} names; give one name, or one for each image")
        found = await work(_decode, _few(images, MAX_IMAGES), prepare)
        bad = [str(index + 1) for index, one in enumerate(found) if isinstance(one, str)]
        if bad:
            where = f" (number {', '.join(bad)} of {len(images)})" if len(images) > 1 else ""
            raise HTTPException(415, f"{NOT_AN_IMAGE}{where}; nothing was added")
        named = [(names[min(index, len(names) - 1)], one) for index, one in enumerate(found) if not isinstance(one, str)]
        return SessionState(**await change(session, lambda lesson: lesson.add(named)))

    @app.post("/api/sessions/{session}/start")
    async def start(session: str, chosen: Start) -> SessionState:
        """Add a set of examples, one per class."""
        invert = teacher.style is not None and not teacher.style.bright

        def give(lesson: Lesson) -> None:
            lesson.add([(name, 255 - image if invert else image) for name, image in example_set(chosen.name)])

        return SessionState(**await change(session, give))

    @app.get("/api/sessions/{session}/examples/{example}", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    async def picture(session: str, example: str) -> Response:
        """Return an example as the procedure sees it."""
        return Response(lessons.find(session).example(example).png(), media_type="image/png")

    @app.delete("/api/sessions/{session}/examples/{example}")
    async def drop(session: str, example: str) -> SessionState:
        """Remove an example."""
        return SessionState(**await change(session, lambda lesson: lesson.drop(example)))

    @app.post("/api/sessions/{session}/undo")
    async def undo(session: str) -> SessionState:
        """Take back the last change."""
        return SessionState(**await change(session, Lesson.undo))

    @app.post("/api/sessions/{session}/predict", response_model_exclude_none=True)
    async def predict(session: str, images: list[UploadFile]) -> Predictions:
        """Say what is in images; one that cannot be read is named and the others go on."""
        lesson = lessons.find(session)
        found = await work(_decode, _few(images, MAX_IMAGES), prepare)
        readable = _readable(found)
        answers = iter(await work(lesson.predict, readable))
        told = [Prediction(error=one) if isinstance(one, str) else Prediction(**next(answers)) for one in found]
        return Predictions(revision=lesson.revision, predictions=told)

    @app.post("/api/sessions/{session}/suggest")
    async def suggest(session: str, images: list[UploadFile], n: Annotated[int, Query(ge=1, le=MAX_SUGGEST)] = 8) -> Suggestions:
        """Say which images to label next; one that cannot be read is never among them."""
        lesson = lessons.find(session)
        found = await work(_decode, _few(images, MAX_SUGGEST), prepare)
        places = [index for index, one in enumerate(found) if not isinstance(one, str)]
        order = await work(lesson.suggest, _readable(found), n)
        return Suggestions(order=[places[index] for index in order])

    @app.get("/api/sessions/{session}/export", response_class=Response, responses={200: {"content": {"application/zip": {}}}})
    async def export(session: str) -> Response:
        """Return the classifier as a zip, for `umeta predict` and `umeta.load_classifier`."""
        content = await work(lessons.find(session).export)
        return Response(content, media_type="application/zip", headers={"content-disposition": 'attachment; filename="classifier.zip"'})

    return end_application(app, "index.html")


def _few(images: Sequence[UploadFile], most: int) -> Sequence[UploadFile]:
    if len(images) > most:
        raise InputError(f"{len(images)} images came; send up to {most} at a time")
    return images


def _decode(images: Sequence[UploadFile], prepare: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> list[NDArray[np.uint8] | str]:
    """Return small pixels, or why there are none; only one image at a time is held in full, and a single one raises the error itself."""
    found: list[NDArray[np.uint8] | str] = []
    n_pixels = 0
    for image in images:
        try:
            pixels = decode_stream(image.file)
        except OversizedImageError as error:
            if len(images) == 1:
                raise
            found.append(str(error))
        except BadImageError:
            found.append(NOT_AN_IMAGE)
        else:
            found.append(prepare(pixels))
            n_pixels += pixels.shape[0] * pixels.shape[1]
            if n_pixels > MAX_MEGAPIXELS_AT_ONCE * 1_000_000:
                raise OversizedImageError(f"the images together have over {MAX_MEGAPIXELS_AT_ONCE} megapixels; send fewer at a time")
    return found


def _readable(found: Sequence[NDArray[np.uint8] | str]) -> list[NDArray[np.uint8]]:
    readable = [one for one in found if not isinstance(one, str)]
    if not readable:
        raise BadImageError(NOT_AN_IMAGE)
    return readable
