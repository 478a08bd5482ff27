"""The operator's HTTP: health for the kubelet, metrics, and what the command asks of the leader.

Read-only, and without secrets: orders go through the resource, where RBAC decides who may give them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import ValidationError

from gateway_operator.control import Key
from gateway_operator.core.reshard_order import ReshardOrder, ReshardPreview
from gateway_operator.core.status_model import GatewayStatus

from .metrics import GatewayCollector

NAMES_SHOWN = 20
"""Of the gateways that are known, in the answer to one that is not."""

_SHUTDOWN_TIMEOUT = 1.0


class Gateways(Protocol):
    """The gateways that this replica runs."""

    def names(self) -> Sequence[Key]: ...

    def status(self, key: Key) -> GatewayStatus | None:
        """None before its first pass."""

    def preview(self, key: Key, to: int | None) -> ReshardPreview: ...


class Leadership(Protocol):
    """Whether this replica leads, and the pod that does; None if it does not know."""

    def leads(self) -> bool: ...

    def leader(self) -> str | None: ...


class _Led:
    """The statuses that are there, for the metrics."""

    def __init__(self, gateways: Gateways, leadership: Leadership) -> None:
        self._gateways = gateways
        self.leads = leadership.leads

    def statuses(self) -> Mapping[Key, GatewayStatus]:
        found = ((key, self._gateways.status(key)) for key in self._gateways.names())
        return {key: status for key, status in found if status is not None}


def application(
    gateways: Gateways, leadership: Leadership, registry: CollectorRegistry, problem: Callable[[], str | None]
) -> web.Application:
    """`problem`: what is wrong with the watchers, that only a new start of the process mends, or None.

    The gauges of the gateways are added to the registry.
    """
    registry.register(GatewayCollector(_Led(gateways, leadership)))
    app = web.Application()
    app.router.add_get("/healthz", _healthz(problem))
    app.router.add_get("/readyz", _readyz(leadership))
    app.router.add_get("/metrics", _metrics(registry))
    asked = _Asked(gateways, leadership)
    app.router.add_get("/v1/gateways", asked.names)
    app.router.add_get("/v1/gateways/{namespace}/{name}/status", asked.status)
    app.router.add_get("/v1/gateways/{namespace}/{name}/reshard", asked.preview)
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str | None, port: int) -> AsyncIterator[int]:
    """Serve on `host` (None: all addresses) and `port` (0: a free one); yields the port. Raises OSError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


_Handler = Callable[[web.Request], Awaitable[web.Response]]


def _healthz(problem: Callable[[], str | None]) -> _Handler:
    async def healthz(_request: web.Request) -> web.Response:
        # That it answers shows that the event loop runs.
        if (text := problem()) is not None:
            return _words(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return _words(HTTPStatus.OK, "ok")

    return healthz


def _readyz(leadership: Leadership) -> _Handler:
    async def readyz(_request: web.Request) -> web.Response:
        # A standby is ready too: it takes over within seconds, and an update of the operator waits for it.
        return _words(
            HTTPStatus.OK, "ready, leads" if leadership.leads() else f"ready, stands by: {_who_leads(leadership)}"
        )

    return readyz


def _metrics(registry: CollectorRegistry) -> _Handler:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return metrics


class _Asked:
    """What a person's command asks; 503 where another replica knows."""

    def __init__(self, gateways: Gateways, leadership: Leadership) -> None:
        self._gateways = gateways
        self._leadership = leadership

    async def names(self, _request: web.Request) -> web.Response:
        self._refuse_unless_leading()
        known = [{"namespace": namespace, "name": name} for namespace, name in sorted(self._gateways.names())]
        return web.json_response({"gateways": known})

    async def status(self, request: web.Request) -> web.Response:
        status = self._gateways.status(self._known(request))
        if status is None:
            return _words(HTTPStatus.SERVICE_UNAVAILABLE, "The operator has only just taken it up.")
        return web.Response(text=status.model_dump_json(by_alias=True), content_type="application/json")

    async def preview(self, request: web.Request) -> web.Response:
        key = self._known(request)
        try:
            to = ReshardOrder.model_validate({"to": request.query["to"]} if "to" in request.query else {}).to
        except ValidationError:
            return _words(HTTPStatus.BAD_REQUEST, "Not a number of shards.")
        if self._gateways.status(key) is None:
            return _words(HTTPStatus.SERVICE_UNAVAILABLE, "The operator has only just taken it up.")
        return web.Response(text=self._gateways.preview(key, to).model_dump_json(), content_type="application/json")

    def _known(self, request: web.Request) -> Key:
        """The gateway that is asked for; raises the answer to one that is not known."""
        self._refuse_unless_leading()
        key = (request.match_info["namespace"], request.match_info["name"])
        names = sorted(self._gateways.names())
        if key not in names:
            shown = ", ".join("/".join(known) for known in names[:NAMES_SHOWN])
            more = ", …" if len(names) > NAMES_SHOWN else ""
            raise web.HTTPNotFound(text=f"No gateway {'/'.join(key)} runs here; known: {shown or 'none'}{more}.\n")
        return key

    def _refuse_unless_leading(self) -> None:
        if not self._leadership.leads():
            text = f"This replica does not lead: {_who_leads(self._leadership)}.\n"
            raise web.HTTPServiceUnavailable(text=text)


def _who_leads(leadership: Leadership) -> str:
    leader = leadership.leader()
    return "which one does stands in the Lease" if leader is None else f"{leader} leads"


def _words(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
