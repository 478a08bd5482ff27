"""Lets other commands ask the running `up`: HTTP on a unix socket of the state directory.

Reachable by the owner of the directory alone, so it asks for no secret.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ValidationError

STATUS_PATH = "/v1/status"
RESTART_PATH = "/v1/restart"

ANSWER_TIMEOUT = 5.0
"""Seconds the operator has to answer; its loop is never busy for long."""


class NotRunningError(Exception):
    """No operator answers on the socket."""


class RestartRequest(BaseModel):
    """`replace_all`: replace also the pods whose settings have not changed."""

    replace_all: bool = True


class RestartAnswer(BaseModel):
    """The number of the restart, or the `problems` because of which nothing was done."""

    restarts: int = 0
    problems: tuple[str, ...] = ()


@asynccontextmanager
async def serving_status(
    path: Path,
    report: Callable[[], str | None],
    restart: Callable[[RestartRequest], RestartAnswer] | None = None,
) -> AsyncIterator[None]:
    """Serve what `report` returns, a JSON text, or 503 while it is None; and `restart`. Raises OSError."""

    async def answer(_request: web.Request) -> web.Response:
        text = report()
        if text is None:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="The operator has only just started.\n")
        return web.Response(text=text, content_type="application/json")

    async def answer_restart(request: web.Request) -> web.Response:
        try:
            asked = RestartRequest.model_validate_json(await request.read() or b"{}")
        except ValidationError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Not a request to restart.\n")
        assert restart is not None, "it has no route without"
        return web.Response(text=restart(asked).model_dump_json(), content_type="application/json")

    application = web.Application()
    application.router.add_get(STATUS_PATH, answer)
    if restart is not None:
        application.router.add_post(RESTART_PATH, answer_restart)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()


async def fetch_status(path: Path) -> str | None:
    """The running operator's report as JSON text, or None before it has one. Raises NotRunningError."""
    async with _asked("GET", path, STATUS_PATH) as response:
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return None
        response.raise_for_status()
        return await response.text()


async def ask_restart(path: Path, request: RestartRequest) -> RestartAnswer:
    """Ask the running operator for a restart of its pods. Raises NotRunningError."""
    async with _asked("POST", path, RESTART_PATH, request.model_dump_json()) as response:
        response.raise_for_status()
        return RestartAnswer.model_validate_json(await response.read())


@asynccontextmanager
async def _asked(
    method: str, socket: Path, path: str, body: str | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
            ) as session,
            # Where to is settled by the socket; the host's name is a formality of HTTP.
            session.request(method, f"http://operator{path}", data=body) as response,
        ):
            yield response
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotRunningError(str(error)) from error
