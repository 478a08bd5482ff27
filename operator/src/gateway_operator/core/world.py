"""What the planner sees and what it answers with: plain values, gathered once a pass.

`plan(spec, world, now)` turns a `World` into a `Plan`; an adapter (processes on this machine, or Kubernetes)
carries the plan out, and the next pass sees the result. Nothing here does I/O or reads a clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from shardpod.contract import Assignment, Checkpoint, Handover, Observed, Role, ShardRange, Windows

if TYPE_CHECKING:
    from .identify_ledger import LedgerView


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
    `revision` tells which settings its process was started with, or is to be started with. `given_name`: what it is
    called where somebody else gives names, such as Kubernetes to its pods.
    """

    pod: PodSpec
    number: int
    revision: str
    given_name: str | None = None

    @property
    def name(self) -> str:
        return self.given_name or f"{self.pod.name}.{self.number}"

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


class ReshardPhase(StrEnum):
    """Where a reshard is, in order. `ABORTING` gives back what was handed over, and ends without a change."""

    PREPARING = "Preparing"
    """It is wanted, and waits: for the budget, the window, a person, or Discord. No session was opened for it."""
    STARTING = "Starting"
    """The pending set's shards are connecting."""
    WARMING = "Warming"
    """All are connected; both sets remember what they see until that is enough to compare."""
    HANDING_OVER = "HandingOver"
    DRAINING = "Draining"
    """The pending set delivers everything; the old one is kept for `drainDelay`. Nothing can be aborted any more."""
    ABORTING = "Aborting"


@dataclass(frozen=True, slots=True)
class Reshard:
    """A reshard under way: all of it that no pod can tell, stored before a pass acts on it.

    `pending`: the shard set that is to take over. `handed`: ranges of its shards that it delivers already. `handover`:
    the one range that is between the two, `last_handover` the highest number one ever had. `reason`: the trigger, fit
    for users; `manual`: a person asked for it; `aborted_because`: why it is being given up; `giving_back`: why the open
    handover is. `windows` are those
    of the manifest when it started, `connected` the most shards of the pending set that were seen connected. Times are
    Unix seconds: `progressed_at` of the last step forward, `not_before` of the next handover (settle time, or a failed
    one's `history`), `went_at` of the open handover's step go.
    """

    pending: ShardSet
    phase: ReshardPhase
    reason: str
    started_at: float
    progressed_at: float
    handed: tuple[ShardRange, ...] = ()
    handover: Handover | None = None
    last_handover: int = 0
    not_before: float = 0.0
    aborted_because: str | None = None
    giving_back: str | None = None
    went_at: float = 0.0
    connected: int = 0
    manual: bool = False
    windows: Windows = field(default_factory=Windows)

    @property
    def fenced(self) -> Handover | None:
        """The handover in which the range is on its way: until it is over, nobody is replaced."""
        return self.handover if self.handover is not None and self.handover.step == "go" else None

    @property
    def live(self) -> bool:
        """Whether the pending set's pods run."""
        return self.phase is not ReshardPhase.PREPARING


class Aborted(NamedTuple):
    """A reshard to `shard_count` that was given up at `at` (Unix seconds), when spec.shards was `manifest_shards`.

    `why`: fit for users; empty where a person gave it up.
    """

    shard_count: int
    at: float
    manifest_shards: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReshardRequest:
    """What a person asked for by the command, stored until it is done or the manifest's `shards` changes.

    `to`: so many shards, asked for while the manifest said `manifest_shards`. `paused`: nothing new is begun or handed
    over. `abort`: the reshard that runs is to be given up.
    """

    to: int | None = None
    manifest_shards: int | None = None
    paused: bool = False
    abort: bool = False


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What was granted for the open handover, on the operator's monotonic clock.

    `until`: when the last lease ends at the latest; None if none was ever granted, by this operator or a former one.
    `since`: when the first was, or else when this operator began. `opened`: this operator has granted one itself.
    `closed`: none is granted any more.
    """

    until: float | None = None
    since: float | None = None
    opened: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """Everything a pass of the planner may know. `instances` are by name, `checkpoints` by shard id and count.

    `secrets_digest` and `restarts` (how often a restart was asked for) are part of every revision; `last_number` is
    the highest number that an instance ever had, `last_epoch` the highest epoch, `last_handover` the highest number of
    a handover. `wall_now` is the date of the pass in Unix seconds, `ledger` the identify ledger as it stands.
    `aborted`: the last reshard that was given up.
    """

    info: GatewayInfo | None = None
    info_problem: str | None = None
    active: ShardSet | None = None
    instances: Mapping[str, InstanceSeen] = field(default_factory=dict)
    checkpoints: Mapping[tuple[int, int], Checkpoint] = field(default_factory=dict)
    secrets_digest: str = ""
    restarts: int = 0
    last_number: int = 0
    last_epoch: int = 0
    last_handover: int = 0
    reshard: Reshard | None = None
    request: ReshardRequest = ReshardRequest()
    lease: LeaseView = LeaseView()
    ledger: "LedgerView | None" = None
    wall_now: float = 0.0
    aborted: Aborted | None = None


@dataclass(frozen=True, slots=True)
class PlannedInstance:
    """An instance that should run. `chosen`: it is to hold its pod's range from now on; else it is leaving."""

    spec: InstanceSpec
    role: Role
    chosen: bool
    up_to_date: bool = True
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be. `assignments`, by instance, carry term and n of 0: the control channel numbers what it sends.

    `active` and `last_number` are what the operator has to remember before it acts on the rest. `remove`: instances
    that hold nothing any more, to be ended and forgotten. `reshard`, the counters and the two that follow are to be
    remembered as well. `waiting_for`: why the reshard that runs, or is wanted, does not go on at the moment, fit for
    users. `givers` and `takers`: the instances concerned by the handover whose range is on its way. `suspended`:
    nothing is to be started, and the processes of those in `stop` are to be ended, while all that they have is kept.
    """

    active: ShardSet | None
    pods: tuple[PodSpec, ...] = ()
    instances: tuple[PlannedInstance, ...] = ()
    remove: tuple[str, ...] = ()
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    last_number: int = 0
    last_epoch: int = 0
    last_handover: int = 0
    reshard: Reshard | None = None
    request: ReshardRequest = ReshardRequest()
    aborted: Aborted | None = None
    waiting_for: str | None = None
    givers: frozenset[str] = frozenset()
    takers: frozenset[str] = frozenset()
    suspended: bool = False
    stop: tuple[str, ...] = ()

    @property
    def to_run(self) -> tuple[InstanceSpec, ...]:
        """The instances of which the process should run."""
        return () if self.suspended else tuple(one.spec for one in self.instances)
