"""Watches the API by Kopf, and tells which gateway something has happened to. Nothing else is Kopf's here.

In a thread of its own: Kopf cancels whatever tasks it did not start itself when it ends, and it ends when a watch is
refused. Then it is started again; nobody waits for it meanwhile, as everything is also listed now and then.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import kopf
import structlog

from gateway_operator.control import Key
from gateway_operator.model import API_VERSION

from .names import FIELD_MANAGER, GATEWAY

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

START_AGAIN = 5.0
"""Seconds until Kopf is started again after it has ended."""

_CHILDREN = (("apps", "v1", "deployments"), ("v1", "pods"))

_GROUP, _VERSION = API_VERSION.split("/")


class _Backoffs:
    """Seconds between the attempts of one request: for ever, since the API server may be away for any time."""

    def __iter__(self) -> Iterator[float]:
        yield from (1.0, 2.0, 3.0)
        while True:
            yield 5.0


class Watched(Protocol):
    """Who is told of changes. What is read again is only what has changed: pods tell of themselves all the time."""

    def note_change(self, key: Key) -> None:
        """Something is new about the gateway's resource."""

    def note_pods(self, key: Key) -> None:
        """Something is new about its Deployments or pods."""


class Watching:
    """`watched` is told in the loop that `start` was called in."""

    def __init__(self, watched: Watched, namespaces: Sequence[str]) -> None:
        self._watched = watched
        self._namespaces = tuple(namespaces)
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._watch, name="watching", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def problem(self) -> str | None:
        """What only a new start of the process would mend, or None."""
        return None if self._loop is None or self._thread.is_alive() else "nothing is watched any more"

    def stop(self) -> None:
        """Ask it to end; the process does not wait for it."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                asyncio.run(self._kopf())
            except Exception as error:  # noqa: BLE001 -- whatever it was, watching has to go on
                logger.warning("watching has ended, and is started again", problem=str(error) or repr(error))
            self._stop.wait(START_AGAIN)

    async def _kopf(self) -> None:
        await kopf.operator(
            registry=self._registry(),
            settings=_settings(),
            standalone=True,
            # By itself it would look for the name of the user, and a container's has none.
            identity=cast("Any", FIELD_MANAGER),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)

        async def of_the_resource(namespace: str | None, name: str | None, **_: Any) -> None:
            self._tell(self._watched.note_change, (namespace or "", name or ""))

        async def of_a_child(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
            self._tell(self._watched.note_pods, (namespace or "", labels.get(GATEWAY, "")))

        kopf.on.event(_GROUP, _VERSION, "discordgateways", registry=registry)(of_the_resource)
        for kind in _CHILDREN:
            kopf.on.event(*kind, labels={GATEWAY: kopf.PRESENT}, registry=registry)(of_a_child)
        return registry

    def _tell(self, note: Callable[[Key], None], key: Key) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(note, key)


def _login(**given: Any) -> kopf.ConnectionInfo | None:
    """As the operator itself: by the service account in a pod, else by the user's kubeconfig."""
    return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)


def _settings() -> kopf.OperatorSettings:
    # What it does is told where it matters; its own lines are about every object.
    logging.getLogger("kopf").setLevel(logging.ERROR)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    for kind in _CHILDREN:
        settings.watching.label_selectors[kind] = GATEWAY
    settings.networking.error_backoffs = _Backoffs()
    settings.peering.standalone = True
    return settings
