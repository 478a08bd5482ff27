"""What the operator's loop touches the world through: Discord, the machine that pods run on, the pods, and a memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shardpod.contract import Assignment

from .control import PodHeard
from .core.checkpoints import Checkpoints
from .core.reshard_record import ReshardRecord
from .core.world import GatewayInfo, InstanceSpec, ShardSet


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHere:
    """One instance as the adapter sees it. `problem`: why it does not run, or None.

    `started_at`: when what runs was started or taken over, on the monotonic clock. `scratch`: the shards of which
    files may be in its scratch directory. `ending`: somebody else than the operator has it stopped.
    """

    spec: InstanceSpec
    running: bool
    problem: str | None
    started_at: float = 0.0
    scratch: frozenset[int] = frozenset()
    ending: bool = False


class Pods(Protocol):
    """Where instances of pods run. The commands are repeated in every pass until the world is as planned."""

    async def observe(self) -> Mapping[str, InstanceHere]: ...

    async def apply(self, spec: InstanceSpec) -> None: ...

    async def stop(self, name: str) -> None: ...

    async def remove(self, name: str) -> None: ...


class ControlChannel(Protocol):
    """What instances say, and what they are told."""

    def pods(self) -> Mapping[str, PodHeard]: ...

    def assign(self, assignments: Mapping[str, Assignment]) -> None: ...


class Memory(Protocol):
    """What the next operator has to know. What is to be remembered need not be stored before `flush` has returned."""

    def remembered_shard_set(self) -> ShardSet | None: ...

    def remember_shard_set(self, active: ShardSet) -> None: ...

    def remembered_checkpoints(self) -> Checkpoints: ...

    def remember_checkpoints(self, checkpoints: Checkpoints) -> None: ...

    def remembered_reshard(self) -> ReshardRecord: ...

    def remember_reshard(self, record: ReshardRecord) -> None: ...

    def last_number(self) -> int: ...

    def remember_last_number(self, number: int) -> None: ...

    def restarts(self) -> int: ...

    def remember_restarts(self, restarts: int) -> None: ...

    async def flush(self) -> None: ...


class GatewayBotAnswer(Protocol):
    """The last answer of GET /gateway/bot, and what was wrong with the last attempt."""

    @property
    def info(self) -> GatewayInfo | None: ...

    @property
    def problem(self) -> str | None: ...
