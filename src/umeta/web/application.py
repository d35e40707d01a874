"""Knows what the servers of all runs have in common: how they fail, and that they send a page."""

from collections.abc import Callable
from importlib import metadata, resources

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from umeta.core.errors import InputError
from umeta.images.pixels import BadImageError, OversizedImageError
from umeta.web.lesson import NotYetError, UnknownError


class Problem(BaseModel):
    """What went wrong, in words."""

    detail: str


def begin_application(summary: str) -> FastAPI:
    """Return an application that has its document and its failures, and nothing to ask yet."""
    app = FastAPI(
        title="umeta",
        summary=summary,
        version=metadata.version("umeta"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses={code: {"model": Problem} for code in (401, 403, 404, 409, 413, 415, 422, 429)},
    )
    _add_failures(app)
    return app


def end_application(app: FastAPI, first: str) -> FastAPI:
    """Add what is answered where nothing else was asked: no under `/api`, else the page, of which `first` is sent first."""

    @app.api_route("/api/{_:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def nothing(_: str) -> None:
        raise UnknownError("there is nothing at this address; /api/openapi.json lists what there is")

    with resources.as_file(resources.files("umeta.web").joinpath("page")) as page:

        @app.get("/", include_in_schema=False)
        async def opened() -> FileResponse:
            return FileResponse(page / first)

        app.mount("/", StaticFiles(directory=page))
    return app


def _add_failures(app: FastAPI) -> None:
    """Turn failures into a status and words; nothing that was sent comes back in them."""

    def answer(status: int) -> Callable[[Request, Exception], JSONResponse]:
        return lambda request, error: JSONResponse({"detail": str(error)}, status)

    for kind, status in ((UnknownError, 404), (NotYetError, 409), (InputError, 422), (OversizedImageError, 413), (BadImageError, 415)):
        app.add_exception_handler(kind, answer(status))

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:2])
        return JSONResponse({"detail": f"{where or 'the request'}: {first['msg']}"}, 422)

    app.add_exception_handler(RequestValidationError, invalid)
