"""Lets other commands ask the running `up`: HTTP on a unix socket of the state directory.

Reachable by the owner of the directory alone, so it asks for no secret.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway_operator.core.reshard_order import ReshardAnswer, ReshardOrder, ReshardPreview

STATUS_PATH = "/v1/status"
RESTART_PATH = "/v1/restart"
RESHARD_PATH = "/v1/reshard"

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


class Reshards(Protocol):
    """Takes what is asked of a reshard, or tells what one would do."""

    def take(self, order: ReshardOrder) -> ReshardAnswer: ...

    def preview(self, to: int | None) -> ReshardPreview: ...


@asynccontextmanager
async def serving_status(
    path: Path,
    report: Callable[[], str | None],
    restart: Callable[[RestartRequest], RestartAnswer] | None = None,
    reshards: Reshards | None = None,
) -> AsyncIterator[None]:
    """Serve what `report` returns, a JSON text, or 503 while it is None; `restart` and `reshards`. Raises OSError."""

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
    if reshards is not None:
        _add_reshards(application, reshards)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()


def _add_reshards(application: web.Application, reshards: Reshards) -> None:
    async def take(request: web.Request) -> web.Response:
        try:
            order = ReshardOrder.model_validate_json(await request.read())
        except ValidationError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Not a request to reshard.\n")
        return web.Response(text=reshards.take(order).model_dump_json(), content_type="application/json")

    async def preview(request: web.Request) -> web.Response:
        try:
            to = ReshardOrder.model_validate(dict(request.query)).to
        except ValidationError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Not a number of shards.\n")
        return web.Response(text=reshards.preview(to).model_dump_json(), content_type="application/json")

    application.router.add_post(RESHARD_PATH, take)
    application.router.add_get(RESHARD_PATH, preview)


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


async def ask_reshard(path: Path, order: ReshardOrder) -> ReshardAnswer:
    """Ask the running operator for a reshard, or for another course of the one that runs. Raises NotRunningError."""
    async with _asked("POST", path, RESHARD_PATH, order.model_dump_json()) as response:
        response.raise_for_status()
        return ReshardAnswer.model_validate_json(await response.read())


async def fetch_preview(path: Path, to: int | None) -> ReshardPreview:
    """What a reshard to so many shards would do, or one to the number that is wanted. Raises NotRunningError."""
    async with _asked("GET", path, RESHARD_PATH if to is None else f"{RESHARD_PATH}?to={to}") as response:
        response.raise_for_status()
        return ReshardPreview.model_validate_json(await response.read())


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
