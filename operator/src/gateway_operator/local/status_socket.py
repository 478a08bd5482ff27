"""Lets `discord-gateway status` ask the running `up` how things stand: HTTP on a unix socket of the state directory.

Read-only, and reachable by the owner of the directory alone, so it asks for no secret.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import web

STATUS_PATH = "/v1/status"

ANSWER_TIMEOUT = 5.0
"""Seconds the operator has to answer; its loop is never busy for long."""


class NotRunningError(Exception):
    """No operator answers on the socket."""


@asynccontextmanager
async def serving_status(path: Path, report: Callable[[], str | None]) -> AsyncIterator[None]:
    """Serve what `report` returns, a JSON text, or 503 while it is None. Raises OSError."""

    async def answer(_request: web.Request) -> web.Response:
        text = report()
        if text is None:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="The operator has only just started.\n")
        return web.Response(text=text, content_type="application/json")

    application = web.Application()
    application.router.add_get(STATUS_PATH, answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()


async def fetch_status(path: Path) -> str | None:
    """The running operator's report as JSON text, or None before it has one. Raises NotRunningError."""
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(path)), timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
            ) as session,
            # Where to is settled by the socket; the host's name is a formality of HTTP.
            session.get(f"http://operator{STATUS_PATH}") as response,
        ):
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return None
            response.raise_for_status()
            return await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotRunningError(str(error)) from error
