"""The status of a gateway as users see it: `kubectl get dgw`, `kubectl describe`, `discord-gateway status`.

Shaped as the resource's status subresource; `shard_rows` and `pods` are for the command alone, as thousands of
shards would not fit into a resource.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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


class SessionStartLimitStatus(_Part):
    """The identify budget; `reset_at` is absent until Discord has told when a new window ends."""

    total: int
    remaining: int
    reset_at: datetime | None
    max_concurrency: int


class ShardRow(_Part):
    """One shard as the status command lists it.

    `state` is a pod's word for it, or `unknown`; `queue_events` wait in the whole pod.
    """

    shard_id: int
    pod: str
    state: str
    guilds: int = 0
    latency_ms: float | None = None
    queue_events: int = 0
    problem: str | None = None


class PodRow(_Part):
    """One pod as it last reported itself. The numbers of events are since its start."""

    name: str
    connected: bool
    ready: bool
    queue_events: int = 0
    queue_longest: int = 0
    oldest_age: float = 0.0
    delivered: int = 0
    dropped: int = 0
    http_address: str | None = None


class GatewayStatus(_Part):
    """`shards` is the number of the whole set, also where this gateway holds a part of it only."""

    name: str
    phase: Phase
    conditions: tuple[Condition, ...]
    shards: int
    ready_shards: int
    guilds: int
    active: ShardSetStatus | None
    session_start_limit: SessionStartLimitStatus | None
    recommended_shards: int | None
    shard_rows: tuple[ShardRow, ...]
    pods: tuple[PodRow, ...] = ()

    def condition(self, kind: str) -> Condition:
        """The condition of this type; all of them are always there."""
        return next(condition for condition in self.conditions if condition.type == kind)
