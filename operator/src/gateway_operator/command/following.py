"""Follows what a running operator was asked for, a line a step, until it is done."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import click

from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import NotRunningError, fetch_status

from .cluster.choice import status_command
from .errors import EXIT_NOT_DONE, GatewayNotRunningError, UserError
from .running import understood

POLL = 0.5
"""Seconds between two looks at how far it is."""


class Step(NamedTuple):
    """How far it is. `waiting` is told again only when more of it changes than a number; `failed`: it was given up."""

    words: str
    waiting: str | None = None
    done: bool = False
    failed: bool = False


class NotDoneError(UserError):
    exit_code = EXIT_NOT_DONE


def follow(directory: StateDirectory, step: Callable[[GatewayStatus], Step], *, within: float, afterwards: str) -> None:
    """Say each step until the last; raises UserError at the deadline, or when it was given up."""
    asyncio.run(followed(lambda: _look(directory), step, within=within, afterwards=afterwards))


async def _look(directory: StateDirectory) -> GatewayStatus | None:
    try:
        text = await fetch_status(directory.status_socket)
    except NotRunningError:
        raise GatewayNotRunningError("`up` has ended before it was done: start it again, and it goes on") from None
    return None if text is None else understood(text)


async def followed(
    look: Callable[[], Awaitable[GatewayStatus | None]],
    step: Callable[[GatewayStatus], Step],
    *,
    within: float,
    afterwards: str,
) -> None:
    """The same of whatever `look` shows; None: nothing is to be seen at the moment."""
    said: tuple[str, str] | None = None
    last, status, deadline = "nothing seen", None, time.monotonic() + within
    while time.monotonic() < deadline:
        # First the pause: the status of the moment may still be that of before.
        await asyncio.sleep(POLL)
        if (seen := await look()) is None:
            continue
        status = seen
        now = step(status)
        if now.failed:
            raise NotDoneError(now.words)
        last = now.words if now.waiting is None else f"{now.words}, waiting: {now.waiting}"
        if said != (said := (now.words, re.sub(r"\d+", "", now.waiting or ""))):
            click.echo(last)
        if now.done:
            return
    why = status.condition("Degraded") if status is not None else None
    wrong = "it says nothing" if why is None else why.message
    raise NotDoneError(
        f"not done after {within:g} s ({last}): {wrong}",
        f"it goes on: see `{status_command()} -o wide`; {afterwards}",
    )
