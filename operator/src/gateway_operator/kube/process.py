"""The operator's process on Kubernetes put together: watching, electing, and all gateways while it leads."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry

from gateway_operator.control import ControlService, Key
from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import GatewayStatus

from .api import KubeApi
from .claims import Claims
from .elector import Elector, Leadership
from .gateways import Gateways
from .http import application, serving
from .leases import KubeLeases
from .metrics import Reconciles
from .pod_template import PodSettings
from .running import Around
from .watching import Watching

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PERMITS_USED = 1.0
"""Seconds after which no permit of this replica can be used any more."""


@dataclass(frozen=True, slots=True)
class Options:
    """`namespaces`: those to watch, none means all. `replica`: this pod's name, by which it stands for leadership."""

    namespace: str
    replica: str
    lease: str
    namespaces: tuple[str, ...]
    pods: PodSettings
    control_port: int
    http_port: int


class Stopping(Protocol):
    """The user's wish to stop."""

    @property
    def asked(self) -> asyncio.Event: ...


async def run_on_kubernetes(
    api: KubeApi, options: Options, stop: Stopping, keep_out_of_logs: Callable[[tuple[str, ...]], None]
) -> None:
    """Until `stop.asked`. It never ends because the API server is away; raises OSError if a port is taken."""
    clock = asyncio.get_running_loop().time
    control, registry = ControlService(), CollectorRegistry()
    secrets = _Secrets(keep_out_of_logs)
    terms = _Terms(api, options, control, Reconciles(registry), secrets.keep, clock)
    watching = Watching(terms, options.namespaces)
    elector = Elector(
        KubeLeases(api, options.namespace, options.lease),
        options.replica,
        acquired=terms.begin,
        lost=terms.end,
        clock=clock,
        calendar=lambda: datetime.now(UTC),
        jitter=random.SystemRandom(),
    )
    leads = _Leads(elector, options.replica)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(control.listening(None, options.control_port))
        web = application(terms, leads, registry, watching.problem)
        await stack.enter_async_context(serving(web, None, options.http_port))
        watching.start()
        stack.callback(watching.stop)
        electing = asyncio.create_task(elector.run())
        await stop.asked.wait()
        logger.info("stopping: the shards stay connected, another replica goes on")
        electing.cancel()
        await asyncio.gather(electing, return_exceptions=True)
        await terms.ended()
        # A permit that was just granted is used within a second, and counted by Discord before another replica asks.
        await asyncio.sleep(PERMITS_USED)
        await elector.release()


class _Leads:
    """Who leads, as far as this replica knows."""

    def __init__(self, elector: Elector, replica: str) -> None:
        self.leads = elector.leads
        self._replica = replica
        self._holder = elector.holder

    def leader(self) -> str | None:
        return self._replica if self.leads() else self._holder()


class _Terms:
    """Runs all gateways while this replica leads, each time anew."""

    def __init__(
        self,
        api: KubeApi,
        options: Options,
        control: ControlService,
        reconciles: Reconciles,
        keep_out_of_logs: Callable[[Key, tuple[str, ...]], None],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._options = options
        self._control = control
        self._reconciles = reconciles
        self._keep_out_of_logs = keep_out_of_logs
        self._clock = clock
        self._gateways: Gateways | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, leadership: Leadership) -> None:
        around = Around(
            api=self._api,
            control=self._control,
            claims=Claims(),
            leads=leadership.leads,
            pod_settings=self._options.pods,
            operator_namespace=self._options.namespace,
            replica=self._options.replica,
            reconciles=self._reconciles,
            clock=self._clock,
            jitter=random.SystemRandom(),
            keep_out_of_logs=self._keep_out_of_logs,
        )
        self._gateways = Gateways(around, self._options.namespaces)
        self._task = asyncio.create_task(self._gateways.run())

    def end(self) -> None:
        self._control.close_all("another replica leads")
        if self._task is not None:
            self._task.cancel()
        self._gateways = None

    async def ended(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    # gateway_operator.kube.watching.Watched

    def note_change(self, key: Key) -> None:
        if self._gateways is not None:
            self._gateways.note_change(key)

    def note_pods(self, key: Key) -> None:
        if self._gateways is not None:
            self._gateways.note_pods(key)

    # gateway_operator.kube.http.Gateways

    def names(self) -> Sequence[Key]:
        return () if self._gateways is None else self._gateways.names()

    def status(self, key: Key) -> GatewayStatus | None:
        return None if self._gateways is None else self._gateways.status(key)

    def preview(self, key: Key, to: int | None) -> ReshardPreview:
        assert self._gateways is not None, "only the leader is asked"
        return self._gateways.preview(key, to)


class _Secrets:
    """All that must never be seen in a log, over all gateways."""

    def __init__(self, tell: Callable[[tuple[str, ...]], None]) -> None:
        self._tell = tell
        self._known: dict[Key, tuple[str, ...]] = {}

    def keep(self, key: Key, secrets: tuple[str, ...]) -> None:
        """Those of a gateway, in addition to what it had: a former one may still be in an error."""
        known = self._known.get(key, ())
        if not set(secrets) <= set(known):
            self._known[key] = tuple(dict.fromkeys((*known, *secrets)))
            self._tell(tuple(secret for held in self._known.values() for secret in held))
