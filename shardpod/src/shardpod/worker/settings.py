"""What a worker has to know. Plain values: the hot path imports no pydantic."""

from dataclasses import dataclass, field

from shardpod.delivery import Ordering, Overflow
from shardpod.protocol import SessionSettings


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The shards of one worker, and how their events are queued.

    `include` and `exclude` are event types; with `include` only those are delivered.
    """

    shard_ids: tuple[int, ...]
    shard_count: int
    session: SessionSettings
    ordering: Ordering = "guild"
    max_queued_events: int = 100_000
    max_queued_bytes: int = 256 * 1024 * 1024
    overflow: Overflow = "dropOldest"
    include: frozenset[str] = field(default_factory=frozenset)
    exclude: frozenset[str] = field(default_factory=frozenset)
    senders: int = 64
    max_batch_events: int = 1
