"""All gateways of this replica during one term: which resources there are, and a runner for each.

Level-triggered as well: the resources are listed whenever one is said to have changed that is not known, and now and
then besides.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from gateway_operator.control import Key
from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import GatewayStatus

from .api import GATEWAY, Object
from .runner import Runner
from .running import Around

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RELIST = 30.0
"""Seconds after which resources are listed again, though none was said to be new."""

RETRY = 2.0

ATTEMPTS = 3
"""To read a gateway for the first time, until the next one's turn has come."""


class Gateways:
    """`namespaces`: those that are watched; none means all."""

    def __init__(self, around: Around, namespaces: Sequence[str]) -> None:
        self._around = around
        self._namespaces: Sequence[str | None] = tuple(namespaces) or (None,)
        self._runners: dict[Key, Runner] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._look = asyncio.Event()

    def names(self) -> Sequence[Key]:
        return tuple(self._runners)

    def status(self, key: Key) -> GatewayStatus | None:
        return self._runners[key].status()

    def preview(self, key: Key, to: int | None) -> ReshardPreview:
        return self._runners[key].preview(to)

    def note_change(self, key: Key) -> None:
        """A watch has told of this gateway's resource, which may be a new one."""
        if (runner := self._runners.get(key)) is not None:
            runner.note_change()
        else:
            self._look.set()

    def note_pods(self, key: Key) -> None:
        """A watch has told of its Deployments or pods."""
        if (runner := self._runners.get(key)) is not None:
            runner.note_pods()

    async def run(self) -> None:
        """Until cancelled. Whatever ends it ends the runners; pods go on alone."""
        try:
            while True:
                self._look.clear()
                delay = RELIST
                try:
                    await self._start_new()
                except OSError as error:
                    logger.warning("the gateways cannot be listed, which is tried again", problem=str(error))
                    delay = RETRY
                except Exception:
                    logger.exception("the gateways cannot be listed, which is tried again")
                    delay = RETRY
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._look.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _start_new(self) -> None:
        found = [one for namespace in self._namespaces for one in await self._around.api.find(GATEWAY, namespace)]
        # Of two with one token the one that runs goes on, and of two that do not it is the older that begins.
        for resource in sorted(found, key=_turn):
            key = (resource["metadata"]["namespace"], resource["metadata"]["name"])
            if key not in self._runners and "deletionTimestamp" not in resource["metadata"]:
                runner = self._runners[key] = Runner(key, self._around)
                await _tried(runner)
                self._tasks[key] = asyncio.create_task(self._run(key, runner))

    async def _run(self, key: Key, runner: Runner) -> None:
        try:
            await runner.run()
        except Exception:
            logger.exception("a gateway is given up for now, and taken up anew", gateway="/".join(key))
        finally:
            self._around.control.unregister(key, "the gateway is deleted, or led by another replica")
            self._runners.pop(key, None)
            self._tasks.pop(key, None)
            # One of that name may have been made anew meanwhile.
            self._look.set()


def _turn(resource: Object) -> tuple[bool, str]:
    never_ran = not (resource.get("status") or {}).get("active")
    return never_ran, str(resource["metadata"].get("creationTimestamp", ""))


async def _tried(runner: Runner) -> None:
    """Its first look, before the next one's, who would have its token if it stood aside for a moment's trouble."""
    for attempt in range(ATTEMPTS):
        try:
            await runner.look()
        except OSError as error:
            logger.warning("a gateway cannot be read yet, which is tried again", problem=str(error))
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(RETRY)
        except Exception:
            # Whatever is wrong with one must not keep the others waiting.
            logger.exception("a gateway cannot be read, which is tried again")
            return
        else:
            return
