"""What is held while its range is between two shard sets, and how much of the queue it takes.

It may be for long: a giver that has fenced never decides by itself, and the operator may be away. So what is held has a
share of the queue, or there would be no room left for the guilds that the handover does not concern.
"""

from collections import OrderedDict
from collections.abc import Iterable

from shardpod.protocol import Event

from .lane import EVENT_BYTES

_ONE_OF = 2
"""One part of so many, of the queue's events and of its bytes, is for what is held."""


_NEARLY = 0.95


class Held:
    """The `events` that nobody may deliver yet.

    `beside`: what is in lanes or under way, oldest first, known only while something is held: without it the oldest
    could be found only by walking past all that is held. What is released comes last there until nothing is held.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_events", "beside", "events")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self.events: dict[int, Event] = {}
        self.beside: OrderedDict[int, Event] = OrderedDict()
        self._bytes = 0
        self._max_events = max_events // _ONE_OF
        self._max_bytes = max_bytes // _ONE_OF

    def has_room_for(self, event: Event) -> bool:
        """The first one has always room."""
        within = len(self.events) < self._max_events and self._bytes + len(event.raw) + EVENT_BYTES <= self._max_bytes
        return within or not self.events

    @property
    def is_full(self) -> bool:
        """Whether the next one finds no room, or may find none as it is large."""
        return len(self.events) >= self._max_events or self._bytes > self._max_bytes * _NEARLY

    def begin(self, beside: Iterable[Event]) -> None:
        """To be called before the first one is added, with all else that is in the queue."""
        self.beside = OrderedDict((id(event), event) for event in sorted(beside, key=lambda event: event.received_at))

    def add(self, event: Event) -> None:
        event.held = True
        self.events[id(event)] = event
        self._bytes += len(event.raw) + EVENT_BYTES

    def remove(self, event: Event) -> None:
        event.held = False
        del self.events[id(event)]
        self._bytes -= len(event.raw) + EVENT_BYTES
        if not self.events:
            self.beside.clear()
