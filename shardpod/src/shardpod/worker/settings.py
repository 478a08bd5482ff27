"""What a worker has to know. Plain values, sent to its process once: the hot path imports no pydantic."""

from typing import Literal

import msgspec

from shardpod.delivery import Ordering, Overflow
from shardpod.protocol import SessionSettings


class SinkSettings(msgspec.Struct, frozen=True):
    """Where events go. `timeout` in seconds, for one request."""

    url: str
    epoch: int = 1
    authorization: str | None = None
    timeout: float = 10.0
    compression: Literal["none", "gzip"] = "none"

    def __repr__(self) -> str:
        """Leave the authorization out: settings appear in logs and tracebacks."""
        return f"SinkSettings(url={self.url!r})"


class WorkerSettings(msgspec.Struct, frozen=True):
    """The shards of one worker, and how their events are queued.

    `include` and `exclude` are event types; with `include` only those are delivered. `scratch`: the directory of this
    instance's files; None for a worker that keeps nothing on disk. `identity` names token and intents: a checkpoint of
    another identity is not resumed. `stored_only`: hold only shards that have one.
    """

    shard_ids: tuple[int, ...]
    shard_count: int
    session: SessionSettings
    sink: SinkSettings = SinkSettings("http://localhost/")
    ordering: Ordering = "guild"
    max_queued_events: int = 100_000
    max_queued_bytes: int = 256 * 1024 * 1024
    overflow: Overflow = "dropOldest"
    shed_first: frozenset[str] = frozenset()
    spool_max_bytes: int = 2 * 1024**3
    max_attempts: int = 10
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    senders: int = 64
    max_batch_events: int = 1
    scratch: str | None = None
    identity: str = ""
    stored_only: bool = False
    ca_file: str | None = None
    log_level: str = "info"
    log_format: str | None = None
    pod: str = ""
