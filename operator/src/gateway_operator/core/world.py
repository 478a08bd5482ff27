"""What the planner sees and what it answers with: plain values, gathered once a pass.

`plan(spec, world, now)` turns a `World` into a `Plan`; an adapter (processes on this machine, or Kubernetes)
carries the plan out, and the next pass sees the result. Nothing here does I/O or reads a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shardpod.contract import Assignment, Observed, ShardRange


@dataclass(frozen=True, slots=True)
class GatewayInfo:
    """The answer of GET /gateway/bot, with its times on the operator's monotonic clock in seconds.

    `read_at` is when it was asked for: Discord may have counted no identify sent after that.
    """

    url: str
    recommended_shards: int
    total: int
    remaining: int
    reset_at: float
    max_concurrency: int
    read_at: float


@dataclass(frozen=True, slots=True)
class ShardSet:
    """All shards with one `shard_count`, numbered by `epoch`, cut into ranges (the layout)."""

    epoch: int
    shard_count: int
    ranges: tuple[ShardRange, ...]


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One pod: whether the adapter runs it, and what it last said over the control channel."""

    running: bool
    connected: bool
    observed: Observed | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything a pass of the planner may know."""

    info: GatewayInfo | None = None
    info_problem: str | None = None
    active: ShardSet | None = None
    pods: Mapping[str, PodSeen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod that should run. Its name is made of gateway, epoch and range, so the same pod is never started twice."""

    name: str
    epoch: int
    range: ShardRange


@dataclass(frozen=True, slots=True)
class NotDone:
    """Something the manifest asks for that the plan does not do: a condition's reason, and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be. `assignments` carry term and n of 0: the control channel numbers what it sends.

    `active` is what the operator has to remember for the next pass.
    """

    active: ShardSet | None
    pods: tuple[PodSpec, ...]
    remove: tuple[str, ...]
    assignments: Mapping[str, Assignment]
    not_done: tuple[NotDone, ...] = ()
