"""What a worker tells of itself: a snapshot, made when somebody asks and never per event."""

from collections.abc import Mapping
from dataclasses import dataclass

from shardpod.protocol import ShardState


@dataclass(frozen=True, slots=True)
class ShardReport:
    """One shard. `latency` in seconds; `settled_seq` is what its session could resume from.

    `connected_ago`: seconds since it was last connected, 0 while it is, None before the first time.
    """

    shard_id: int
    state: ShardState
    guilds: int
    unavailable_guilds: int
    all_guilds_loaded: bool
    latency: float | None
    session_id: str | None
    resume_gateway_url: str | None
    seq: int | None
    settled_seq: int | None
    close_code: int | None
    problem: str | None
    connected_ago: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """All shards of a worker, its queue and its sink; the counts are since its start."""

    shards: tuple[ShardReport, ...]
    queued_events: int
    queued_bytes: int
    queued_longest: int
    oldest_age: float
    sink_up: bool
    sink_problem: str | None
    received: Mapping[str, int]
    delivered: int
    filtered: int
    repeated: int
    dropped: Mapping[str, Mapping[str, int]]
    identifies: int
    resumes: int
    sessions_lost: int
