"""/healthz, /readyz and /metrics. Readiness means "holds its sessions"; it says in words why not."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from shardpod.contract import Observed
from shardpod.worker import WorkerReport

from .metrics import WorkerCollector
from .observation import explain_reconnecting
from .peers import MAX_BODY_BYTES
from .pod_api import add_pod_api
from .workers import Workers

_SHUTDOWN_TIMEOUT = 1.0


class CannotListenError(OSError):
    """The endpoints' own port cannot be bound; the message names it."""


class HttpEndpoints:
    """Serves the endpoints on `host:port`; port 0 takes a free one, told by `address` after `start`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        secret: str,
        observe: Callable[[], Observed],
        report: Callable[[], WorkerReport | None],
        workers: Callable[[], Workers | None],
    ) -> None:
        self.address: str | None = None
        self._host = host
        self._port = port
        self._observe = observe
        self._registry = CollectorRegistry()
        self._registry.register(WorkerCollector(report, lambda: observe().counters.worker_restarts))
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        add_pod_api(app.router, secret, workers)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)

    async def start(self) -> None:
        """Bind; raises CannotListenError, for example when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise CannotListenError(f"cannot listen on {self._host}:{self._port}: {error}") from error
        host, port = self._runner.addresses[0][:2]
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        # Answering at all shows that the event loop runs; anything more would restart a pod for Discord's faults.
        await asyncio.sleep(0)
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        observed = self._observe()
        sink = observed.sink
        delivery = "" if sink is None or sink.up else f"; delivery is down: {sink.problem}"
        if observed.ready:
            reconnecting = explain_reconnecting(observed)
            return web.Response(text=f"ready{f'; {reconnecting}' if reconnecting else ''}{delivery}\n")
        return web.Response(status=503, text=f"not ready: {observed.why_not_ready}{delivery}\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
