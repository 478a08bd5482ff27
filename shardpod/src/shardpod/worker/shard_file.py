"""What one shard has on disk: its checkpoint, its part of the spool, its dead letters.

Here is decided what has to be written; `Spooler` writes it. Everything of one shard goes by one transaction, so that a
checkpoint is never beside a spool that does not hold what it needs.
"""

from dataclasses import dataclass, field

import msgspec

from shardpod.delivery import Outstanding
from shardpod.protocol import Event
from shardpod.spool import Changes, DeadLetter, ShardStore, StoredEvent, StoredSession, Totals

SPOOL_AFTER = 2.0
"""Seconds that an event waits in memory alone. A healthy bot takes it long before, and the disk sees nothing."""


@dataclass(slots=True)
class Writing:
    """One transaction under way. `spooled_seq`: of the session that was current, the last event in it, 0 for none."""

    changes: Changes
    events: list[Event] = field(default_factory=list)
    session_id: str | None = None
    spooled_seq: int = 0


class ShardFile:
    """One shard's store, and what has changed since it was last written. `spooled`: events in it that still wait.

    `was_replaced`: the store was found to have begun anew, empty, and `lost` has still to be called.
    """

    def __init__(self, store: ShardStore, *, next_id: int, dead_letters: int) -> None:
        self.store = store
        self.spooled = 0
        self.spooled_bytes = 0
        self.dead_letters = dead_letters
        self.was_replaced = False
        self._next_id = next_id
        self._removed: list[int] = []
        self._buried: list[DeadLetter] = []
        self._settled_letters: list[int] = []
        self._written: StoredSession | None = None

    def restored(self, event: Event) -> None:
        """An event was read from the store into the queue."""
        self.spooled += 1
        self.spooled_bytes += len(event.raw)

    def settled(self, event: Event) -> None:
        """A spooled event has left the queue."""
        self._removed.append(event.spool_id)
        self.spooled -= 1
        self.spooled_bytes -= len(event.raw)

    def bury(self, letter: DeadLetter) -> None:
        """A dead letter is to be kept; it gets its number here."""
        letter.id = self._take_id()
        self._buried.append(letter)
        self.dead_letters += 1

    @property
    def unwritten_letters(self) -> list[DeadLetter]:
        """Those that are in memory alone; while a transaction is under way, without those in it."""
        return self._buried

    def settle_letters(self, ids: list[int]) -> None:
        """These dead letters are to be kept no longer."""
        self._settled_letters += ids
        self.dead_letters -= len(ids)

    def gather(
        self,
        shard: Outstanding,
        session: StoredSession,
        *,
        received_before: float,
        now: float,
        wall: float,
        room: int,
        letters: bool = True,
    ) -> Writing | None:
        """What has to be written now, None if nothing has. `session.seq` is filled in here.

        Spooled are the events received before that time, while their payloads fit into `room` bytes. Without `letters`
        dead letters stay in memory for the time being.
        """
        adds = self._adds(shard, received_before, room)
        # Not of the last one only: a dead letter that was put back comes late and has a low seq.
        spooled_seq = max((event.seq for event in adds if event.session_id == shard.session_id), default=0)
        seq = max(shard.safe_seq, spooled_seq) if session.session_id else 0
        session = msgspec.structs.replace(session, seq=seq)
        buried = self._buried if letters else []
        if not (adds or self._removed or buried or self._settled_letters or session != self._written):
            return None
        changes = Changes(
            add=[StoredEvent(event.spool_id, event, wall - (now - event.received_at)) for event in adds],
            remove=self._removed,
            clear=bool(self._removed) and not (self.spooled or adds),
            session=session if session != self._written else None,
            add_dead=buried,
            remove_dead=self._settled_letters,
        )
        self.spooled += len(adds)
        self.spooled_bytes += sum(len(event.raw) for event in adds)
        self._removed, self._settled_letters = [], []
        if letters:
            self._buried = []
        return Writing(changes, adds, shard.session_id, spooled_seq)

    def written(self, writing: Writing, shard: Outstanding, totals: Totals) -> None:
        """The transaction is on disk."""
        self.dead_letters = totals.dead_letters + len(self._buried) - len(self._settled_letters)
        if writing.changes.session is not None:
            self._written = writing.changes.session
        if writing.spooled_seq and writing.session_id == shard.session_id:
            shard.spooled_seq = max(shard.spooled_seq, writing.spooled_seq)

    def failed(self, writing: Writing) -> None:
        """Nothing of the transaction is on disk: all of it is to be written again."""
        settled = set(self._removed)
        for event in writing.events:
            if event.spool_id not in settled:
                self.spooled -= 1
                self.spooled_bytes -= len(event.raw)
            event.spool_id = 0
        self._removed = [*writing.changes.remove, *self._removed]
        self._buried = [*writing.changes.add_dead, *self._buried]
        self._settled_letters = [*writing.changes.remove_dead, *self._settled_letters]

    def lost(self, writing: Writing | None, shard: Outstanding) -> None:
        """The store was set aside and begins empty: what waits is in memory alone again."""
        for event in shard.events.values():
            event.spool_id = 0
        shard.spooled_seq = 0
        self.spooled = self.spooled_bytes = 0
        self._removed, self._settled_letters, self._written = [], [], None
        if writing is not None:
            self._buried = [*writing.changes.add_dead, *self._buried]
        self.dead_letters = len(self._buried)
        self.was_replaced = False

    def _adds(self, shard: Outstanding, received_before: float, room: int) -> list[Event]:
        """The oldest first, and no further than there is room: what is in the spool is always the queue's oldest."""
        adds = []
        for event in shard.unspooled(received_before):
            room -= len(event.raw)
            if room < 0:
                break
            event.spool_id = self._take_id()
            adds.append(event)
        return adds

    def _take_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken


def no_session(shard_count: int, identity: str) -> StoredSession:
    """What is stored while there is nothing to resume."""
    return StoredSession(session_id=None, resume_gateway_url="", seq=0, shard_count=shard_count, identity=identity)
