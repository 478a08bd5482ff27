"""The operator's loop: gather the world once, plan, carry out, tell the pods, and say how things stand.

Level-triggered: events only wake it, and a pass looks at everything anew, so an event missed or doubled changes
nothing. All that must survive a restart is the active shard set; it is stored before a pass acts on it. The loop
talks to Discord, to the pods' machine and to the pods through seams, and holds no state of its own but the last report.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from gateway_operator.control import PodHeard
from gateway_operator.core.plan import plan
from gateway_operator.core.world import GatewayInfo, Plan, PodSeen, PodSpec, ShardSet, World
from gateway_operator.local.pods import PodProcess
from gateway_operator.model import DiscordGateway
from shardpod.contract import Assignment

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
