"""Of one shard, what was received and is not settled: the source of its checkpoints.

An event is settled when the bot acknowledged it, or when it was dropped, filtered or buried as a dead letter, and
counted as such. Events of an earlier session still reach the bot, but nothing can resume from them.
"""

from collections import OrderedDict
from itertools import takewhile

from shardpod.protocol import Event


class Outstanding:
    """`events`: in order of arrival, by the identity they have while they are here. `frozen`: none is to be taken."""

    __slots__ = ("_floor", "events", "frozen", "received_seq", "session_id", "shard_id", "spooled_seq")

    def __init__(self, shard_id: int) -> None:
        self.shard_id = shard_id
        self.events: OrderedDict[int, Event] = OrderedDict()
        self.frozen = False
        self.session_id: str | None = None
        self.received_seq = 0
        self.spooled_seq = 0
        self._floor = 0

    def note(self, event: Event) -> None:
        """A new event was received, whatever becomes of it. Events of a session come in order of `seq`."""
        if event.session_id != self.session_id:
            self.begin(event.session_id, event.seq)
        self.received_seq = event.seq

    def begin(self, session_id: str, seq: int) -> None:
        """From here on it is another session, of which all up to `seq` is accounted for by `events` or settled."""
        self.session_id, self.received_seq, self.spooled_seq = session_id, seq, 0
        self._floor = 0

    @property
    def settled_seq(self) -> int:
        """The highest seq of the session with everything up to it settled. It never goes back.

        A dead letter that is put into the queue again, long after it was settled, comes last and is passed over here.
        """
        first = next(
            (
                event.seq
                for event in self.events.values()
                if event.session_id == self.session_id and event.seq > self._floor
            ),
            self.received_seq + 1,
        )
        self._floor = max(self._floor, first - 1)
        return self._floor

    @property
    def safe_seq(self) -> int:
        """The highest seq with everything up to it settled or in the spool: a local checkpoint."""
        return max(self.settled_seq, self.spooled_seq)

    @property
    def in_flight(self) -> bool:
        return any(event.in_flight for event in self.events.values())

    def unspooled(self, received_before: float) -> list[Event]:
        """Of the events that are in no spool yet, the first ones, up to one that arrived after that time.

        Events go to the spool in order of arrival and leave no gap: what is spooled is all up to some event.
        """
        unspooled = list(takewhile(lambda event: not event.spool_id, reversed(self.events.values())))[::-1]
        return list(takewhile(lambda event: event.received_at <= received_before, unspooled))
