"""What a shard keeps on disk: its checkpoint, events that wait for long, and dead letters."""

from .errors import SpoolFullError, StoreError, StoreLockedError, StoreReplacedError
from .files import store_path
from .records import (
    MAX_DEAD_LETTERS,
    Changes,
    DeadLetter,
    Restored,
    StoredEvent,
    StoredSession,
    Totals,
    Written,
)
from .store import ShardStore

__all__ = [
    "MAX_DEAD_LETTERS",
    "Changes",
    "DeadLetter",
    "Restored",
    "ShardStore",
    "SpoolFullError",
    "StoreError",
    "StoreLockedError",
    "StoreReplacedError",
    "StoredEvent",
    "StoredSession",
    "Totals",
    "Written",
    "store_path",
]
