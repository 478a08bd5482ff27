"""What goes into a shard's store and what comes out of it."""

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from shardpod.protocol import Event

MAX_DEAD_LETTERS = 1000
"""So many a shard keeps; beyond that the ones that died first make room."""


class StoredSession(msgspec.Struct, frozen=True):
    """The checkpoint: what the shard resumes from, or (`session_id` None) that there is nothing to resume.

    `guilds`: the snapshot of the guilds, opaque here; `guild_count`, which is not stored, only says how many.
    `released_to`: the successor's instance that has been given the session; `confirmed`: that it has said so. A store
    may well say "released, no session".
    """

    session_id: str | None
    resume_gateway_url: str
    seq: int
    shard_count: int
    identity: str
    guilds: bytes = b""
    released_to: str | None = None
    confirmed: bool = False
    guild_count: int = 0


class StoredEvent(msgspec.Struct, gc=False):
    """An event under the id that its caller gave it, ascending by arrival.

    `received_wall`: Unix seconds, for the monotonic clock of `Event.received_at` does not outlive its process; an event
    that was read back has 0.0 there.
    """

    id: int
    event: Event
    received_wall: float
    attempts: int = 0


class DeadLetter(msgspec.Struct, gc=False):
    """An event that the bot kept refusing, and why it was given up."""

    id: int
    event: Event
    received_wall: float
    attempts: int
    problem: str
    died_wall: float


class Changes(msgspec.Struct):
    """What one transaction changes, in this order: removals, the session, dead letters, events.

    An id that is there already is replaced. `clear` removes all events, faster than by their ids. `session` None leaves
    the checkpoint as it is.
    """

    add: Sequence[StoredEvent] = ()
    remove: Collection[int] = ()
    clear: bool = False
    session: StoredSession | None = None
    add_dead: Sequence[DeadLetter] = ()
    remove_dead: Collection[int] = ()


class Totals(msgspec.Struct, frozen=True):
    """How much a store holds; `bytes` are those of the events' payloads."""

    events: int = 0
    bytes: int = 0
    dead_letters: int = 0


class Written(msgspec.Struct, frozen=True):
    """What holds after a write. `dead_letters_dropped`: removed in it because there were too many, by event type."""

    totals: Totals
    dead_letters_dropped: dict[str, int] = msgspec.field(default_factory=dict)


class Restored(msgspec.Struct, frozen=True):
    """What a store held when it was loaded; the events themselves are read with `ShardStore.events`.

    `next_id`: higher than every id in the store. `set_aside`: where an unreadable predecessor of the file has been
    moved, so that what it held is not here.
    """

    session: StoredSession | None
    totals: Totals
    next_id: int
    set_aside: Path | None = None
