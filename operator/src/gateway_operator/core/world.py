"""What the planner sees and what it answers with: plain values, gathered once a pass.

`plan(spec, world, now)` turns a `World` into a `Plan`; an adapter (processes on this machine, or Kubernetes)
carries the plan out, and the next pass sees the result. Nothing here does I/O or reads a clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shardpod.contract import Assignment, Checkpoint, Observed, Role, ShardRange


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
class PodSpec:
    """A pod that should run. Its name is made of gateway, epoch and range: what a pod holds is its name."""

    name: str
    epoch: int
    range: ShardRange

    @property
    def shards(self) -> Sequence[int]:
        return range(self.range.first_shard_id, self.range.last_shard_id + 1)


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance of a pod: `mybot-e1-0-15.7`, of which there may be several while the pod is replaced.

    `number` comes from a counter that only goes up, so a higher one is younger, over all pods of the gateway.
    `revision` tells which settings its process was started with, or is to be started with.
    """

    pod: PodSpec
    number: int
    revision: str

    @property
    def name(self) -> str:
        return f"{self.pod.name}.{self.number}"

    def overlaps(self, pod: PodSpec) -> bool:
        mine, other = self.pod.range, pod.range
        return (
            self.pod.epoch == pod.epoch
            and mine.first_shard_id <= other.last_shard_id
            and other.first_shard_id <= mine.last_shard_id
        )


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    """An instance that was started and not yet removed: what the adapter knows of it, and what it last said.

    `observed` is of the process that runs now, or else of the last one; None if nothing was heard. `scratch`: the
    shards of which files are in its scratch directory. `stopping`: it runs and was told to end by somebody else.
    `told`: the role in the assignment that it last acknowledged, if that is the one in force.
    """

    spec: InstanceSpec
    running: bool
    connected: bool = False
    observed: Observed | None = None
    problem: str | None = None
    stopping: bool = False
    scratch: frozenset[int] = frozenset()
    told: Role | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything a pass of the planner may know. `instances` are by name, `checkpoints` by shard id and count.

    `secrets_digest` and `restarts` (how often a restart was asked for) are part of every revision; `last_number` is
    the highest number that an instance ever had.
    """

    info: GatewayInfo | None = None
    info_problem: str | None = None
    active: ShardSet | None = None
    instances: Mapping[str, InstanceSeen] = field(default_factory=dict)
    checkpoints: Mapping[tuple[int, int], Checkpoint] = field(default_factory=dict)
    secrets_digest: str = ""
    restarts: int = 0
    last_number: int = 0


@dataclass(frozen=True, slots=True)
class PlannedInstance:
    """An instance that should run. `chosen`: it is to hold its pod's range from now on; else it is leaving."""

    spec: InstanceSpec
    role: Role
    chosen: bool
    up_to_date: bool = True
    settled: bool = False


@dataclass(frozen=True, slots=True)
class NotDone:
    """Something the manifest asks for that the plan does not do: a condition's reason, and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be. `assignments`, by instance, carry term and n of 0: the control channel numbers what it sends.

    `active` and `last_number` are what the operator has to remember before it acts on the rest. `remove`: instances
    that hold nothing any more, to be ended and forgotten.
    """

    active: ShardSet | None
    pods: tuple[PodSpec, ...] = ()
    instances: tuple[PlannedInstance, ...] = ()
    remove: tuple[str, ...] = ()
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    not_done: tuple[NotDone, ...] = ()
    last_number: int = 0
