"""The status of a gateway as users see it: `kubectl get dgw`, `kubectl describe`, `discord-gateway status`.

Shaped as the resource's status subresource; `shard_rows` and `pods` are for the command alone, as thousands of
shards would not fit into a resource.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shardpod.contract import Role


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True)


class Phase(StrEnum):
    """One word for the whole."""

    PENDING = "Pending"
    """Discord has not said yet how many shards there should be."""
    CONNECTING = "Connecting"
    """Some shards are not connected, and nothing stands in their way but time."""
    RUNNING = "Running"
    """All shards are connected and nothing is wrong."""
    DEGRADED = "Degraded"
    """It works in part; the condition Degraded says what does not."""
    FAILED = "Failed"
    """Discord refuses, no shard is connected, and a person has to act."""
    SUSPENDED = "Suspended"
    """A person has ended all pods by spec.suspend; they keep what they have."""


class ConditionStatus(StrEnum):
    """Kubernetes API conventions: typical status properties."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(_Part):
    """Without times: the Kubernetes adapter knows when a status changed."""

    type: str
    status: ConditionStatus
    reason: str
    message: str


class RangeStatus(_Part):
    first_shard_id: int
    last_shard_id: int


class ShardSetStatus(_Part):
    """One epoch; `ready` counts its connected shards."""

    epoch: int
    shard_count: int
    ranges: tuple[RangeStatus, ...]
    ready: int


class ReshardStatus(_Part):
    """The reshard that runs, or is wanted. `handed_ranges`: those of the `ranges` that the new set delivers already.

    `reason`: why it was begun; `progress`: how far the phase is, in words; `waiting_for`: why it does not go on at the
    moment; `message`: all of it in a sentence.
    `eta` is absent while it cannot be told.
    """

    phase: str
    reason: str
    from_: int = Field(alias="from")
    to: int
    ranges: int
    handed_ranges: tuple[RangeStatus, ...] = ()
    started_at: datetime
    eta: datetime | None = None
    progress: str
    message: str
    waiting_for: str | None = None
    paused: bool = False


class SessionStartLimitStatus(_Part):
    """The identify budget; `reset_at` is absent until Discord has told when a new window ends."""

    total: int
    remaining: int
    reset_at: datetime | None
    max_concurrency: int


class ShardRow(_Part):
    """One shard as the status command lists it.

    `pod` and `instance` are what holds it now. `state` is a pod's word for it, or `unknown`; `queue_events` wait in
    the whole pod; `gap_seconds`: how long nothing was read from Discord at the last interruption. `epoch` and
    `shard_count` tell the sets apart while a reshard runs.
    """

    shard_id: int
    shard_count: int = 0
    epoch: int = 0
    pod: str
    instance: str | None = None
    state: str
    guilds: int = 0
    latency_ms: float | None = None
    queue_events: int = 0
    gap_seconds: float | None = None
    problem: str | None = None


class PodRow(_Part):
    """One instance of a pod as it last reported itself. The numbers of events are since its start.

    `epoch` tells of which shard set it is: while a reshard runs there are two, and the old one's end after it.
    While a pod is replaced there are two: one whose `role` is active, and one that is draining.
    """

    name: str
    instance: str
    role: Role
    epoch: int = 0
    range: RangeStatus
    up_to_date: bool
    connected: bool
    ready: bool
    queue_events: int = 0
    queue_longest: int = 0
    oldest_age: float = 0.0
    spool_events: int = 0
    spool_bytes: int = 0
    spool_problem: str | None = None
    dead_letters: int = 0
    delivered: int = 0
    dropped: int = 0
    transfers: int = 0
    worker_restarts: int = 0
    http_address: str | None = None


class RolloutStatus(_Part):
    """How far all pods of the active set are of the wanted revision.

    `restarts` counts what `discord-gateway restart` asked for. `replaced` of `pods` are of that revision and hold their
    shards; `leaving` instances still hold something.
    """

    restarts: int
    pods: int
    replaced: int
    leaving: int

    @property
    def complete(self) -> bool:
        return self.replaced == self.pods and not self.leaving


class GatewayStatus(_Part):
    """`shards` is the number of the whole set, also where this gateway holds a part of it only.

    `ready_shards`, `guilds` and `phase` are the active set's; a reshard leaves them alone until the new set is it.
    `dead_letters` counts events that the bot refused too often; somebody has to look at them. `shard_rows` and `pods`
    are empty in a summary.
    """

    name: str
    phase: Phase
    conditions: tuple[Condition, ...]
    shards: int
    ready_shards: int
    guilds: int
    active: ShardSetStatus | None
    pending: ShardSetStatus | None = None
    reshard: ReshardStatus | None = None
    session_start_limit: SessionStartLimitStatus | None
    recommended_shards: int | None
    shard_rows: tuple[ShardRow, ...] = ()
    pods: tuple[PodRow, ...] = ()
    rollout: RolloutStatus | None = None
    dead_letters: int = 0

    def condition(self, kind: str) -> Condition:
        """The condition of this type; all of them are always there."""
        return next(condition for condition in self.conditions if condition.type == kind)
