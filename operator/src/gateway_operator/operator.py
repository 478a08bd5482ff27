"""The operator's loop: gather the world once, plan, carry out, tell the pods, and say how things stand.

Level-triggered: events only wake it, and a pass looks at everything anew, so an event missed or doubled changes
nothing. All that must survive a restart is the active shard set; it is stored before a pass acts on it. What it
touches (Discord, the machine pods run on, the pods) it touches through seams.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog

from shardpod.contract import Assignment

from .control import PodHeard
from .core.identify_ledger import IdentifyLedger
from .core.plan import plan
from .core.status import status
from .core.status_model import Condition, ConditionStatus, GatewayStatus
from .core.world import GatewayInfo, Plan, PodSeen, PodSpec, ShardSet, World
from .local.pods import PodProcess
from .model import DiscordGateway

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RESYNC = 1.0
"""Seconds between two passes at most: what no event tells of is seen by then, such as a pod's backoff that is over."""

CALM = 0.1
"""Seconds between two passes at least: many reports at once are one reason to look."""


class Pods(Protocol):
    """Where pods run. Both commands are repeated in every pass until the world is as planned."""

    async def observe(self) -> Mapping[str, PodProcess]: ...

    async def apply(self, spec: PodSpec) -> None: ...

    async def remove(self, name: str) -> None: ...


class ControlChannel(Protocol):
    """What pods say, and what they are told."""

    def pods(self) -> Mapping[str, PodHeard]: ...

    def assign(self, assignments: Mapping[str, Assignment]) -> None: ...


class Memory(Protocol):
    """What the next operator has to know."""

    def remembered_shard_set(self) -> ShardSet | None: ...

    def remember_shard_set(self, active: ShardSet) -> None: ...


class GatewayBotAnswer(Protocol):
    """The last answer of GET /gateway/bot, and what was wrong with the last attempt."""

    @property
    def info(self) -> GatewayInfo | None: ...

    @property
    def problem(self) -> str | None: ...


class Operator:
    """Runs one gateway. `changed` wakes the loop; `status` is None until the first pass is through.

    `clock` is monotonic, in seconds, and the one that the adapters use; `calendar` tells the same moment's date.
    """

    def __init__(
        self,
        gateway: DiscordGateway,
        *,
        discord: GatewayBotAnswer,
        pods: Pods,
        control: ControlChannel,
        ledger: IdentifyLedger,
        memory: Memory,
        changed: asyncio.Event,
        clock: Callable[[], float],
        calendar: Callable[[], datetime],
    ) -> None:
        self.status: GatewayStatus | None = None
        self._gateway = gateway
        self._discord = discord
        self._pods = pods
        self._control = control
        self._ledger = ledger
        self._memory = memory
        self._changed = changed
        self._clock = clock
        self._calendar = calendar
        self._active = memory.remembered_shard_set()

    async def run(self) -> None:
        """Pass after pass, until cancelled. A pass that fails is told and tried again: pods need no operator."""
        while True:
            self._changed.clear()
            try:
                await self.reconcile()
            except Exception:
                logger.exception("a pass failed and is tried again", again_in=RESYNC)
            await asyncio.sleep(CALM)
            with suppress(TimeoutError):
                async with asyncio.timeout(RESYNC):
                    await self._changed.wait()

    async def reconcile(self) -> None:
        """One pass: everything is looked at once, then decided, then done."""
        now = self._clock()
        self._update_ledger()
        world = await self._gather()
        wanted = plan(self._gateway, world, now)
        self._remember(wanted)
        await self._carry_out(wanted)
        self._control.assign(wanted.assignments)
        self._publish(status(self._gateway, world, wanted, self._ledger.view(now), now, wall_now=self._calendar()))

    async def stop_pods(self) -> None:
        """End every pod, waiting for each."""
        while pods := await self._pods.observe():
            for name in pods:
                await self._pods.remove(name)
            await asyncio.sleep(CALM)

    def _update_ledger(self) -> None:
        if self._discord.info is not None:
            spec = self._gateway.spec
            self._ledger.update(
                self._discord.info,
                reserve=spec.reshard.identify_reserve,
                max_concurrency=spec.sharding.max_concurrency,
                spawn_delay=spec.sharding.spawn_shard_delay,
            )

    async def _gather(self) -> World:
        processes, heard = await self._pods.observe(), self._control.pods()
        return World(
            info=self._discord.info,
            info_problem=self._discord.problem,
            active=self._active,
            pods={name: _seen(processes.get(name), heard.get(name)) for name in processes.keys() | heard.keys()},
        )

    def _remember(self, wanted: Plan) -> None:
        """Before anything is started: no epoch may run that the next operator would not know of."""
        if wanted.active is not None and wanted.active != self._active:
            self._memory.remember_shard_set(wanted.active)
            self._active = wanted.active

    async def _carry_out(self, wanted: Plan) -> None:
        for pod in wanted.pods:
            await self._pods.apply(pod)
        for name in wanted.remove:
            await self._pods.remove(name)

    def _publish(self, new: GatewayStatus) -> None:
        old, self.status = self.status, new
        if old is None or old.phase != new.phase:
            logger.info("phase changed", phase=new.phase, ready=new.ready_shards, shards=new.shards, guilds=new.guilds)
        for condition in filter(_is_trouble, new.conditions):
            before = old.condition(condition.type) if old else None
            if before is None or before.reason != condition.reason:
                logger.warning("trouble", reason=condition.reason, problem=condition.message)


def _is_trouble(condition: Condition) -> bool:
    """What people should hear of at once; the others tell of progress, and the phase does so too."""
    bad = {"Degraded": ConditionStatus.TRUE, "IdentifyBudgetOK": ConditionStatus.FALSE}
    return bad.get(condition.type) == condition.status


def _seen(process: PodProcess | None, heard: PodHeard | None) -> PodSeen:
    problem = process.problem if process else None
    last_words = heard.observed.why_not_ready if heard else None
    return PodSeen(
        running=process is not None and process.running,
        connected=heard is not None and heard.connected,
        observed=heard.observed if heard else None,
        problem=f"{problem}; it last said: {last_words}" if problem and last_words else problem,
    )
