"""The queue: events wait in lanes. Inside a lane they are delivered one after the other, lanes run in parallel.

Pure and synchronous. A lane is in exactly one place: ready (waiting for a sender), busy (its first events are with
one), or resting (its last delivery failed, and others go first). It exists only while it holds events.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Literal

import msgspec

from shardpod.protocol import Event

Ordering = Literal["guild", "shard", "none"]
Overflow = Literal["dropOldest", "dropNewest"]

LaneKey = str | int


class Lane(msgspec.Struct, eq=False):
    """Events that keep their order. The first `in_flight` of them are with a sender."""

    key: LaneKey
    events: deque[Event]
    in_flight: int = 0
    attempts: int = 0


class Batch(msgspec.Struct, eq=False):
    """Events of one or more lanes on their way to the sink. `attempt` counts from 1."""

    events: list[Event]
    lanes: list[Lane]
    attempt: int


class LaneQueue:
    """All events of a worker that the bot has not acknowledged, bounded in number and bytes.

    `settled(event, reason)` is called for each event that leaves: acknowledged (reason None) or dropped.
    """

    def __init__(
        self,
        *,
        ordering: Ordering = "guild",
        max_events: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        overflow: Overflow = "dropOldest",
        settled: Callable[[Event, str | None], None],
    ) -> None:
        self.events = 0
        self.bytes = 0
        self.longest = 0
        self._ordering = ordering
        self._by_guild = ordering == "guild"
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._settled = settled
        self._lanes: dict[LaneKey, Lane] = {}
        # Ordered, and a lane that was emptied by dropping leaves from the middle at no cost.
        self._ready: OrderedDict[Lane, None] = OrderedDict()
        # All events in order of arrival, by the identity they have while they are here: finding the oldest to drop,
        # or its age, must not cost a walk over all lanes.
        self._arrivals: OrderedDict[int, Event] = OrderedDict()

    def put(self, event: Event) -> bool:
        """Add an event; true if a lane became ready by it. Over the bound, something is dropped, and counted."""
        if self.events >= self._max_events or self.bytes + len(event.raw) > self._max_bytes:
            self._make_room(event)
            if self._overflow == "dropNewest" or not self._fits(event):
                self._settled(event, "queue_full")
                return False
        self.events += 1
        self.bytes += len(event.raw)
        if self.events > self.longest:  # noqa: PLR1730 -- max() is a call, and this is the hot path
            self.longest = self.events
        self._arrivals[id(event)] = event
        key: LaneKey | None = event.guild_id
        if key is None or not self._by_guild:
            key = self._lane_key(event)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.events.append(event)
            return False
        lane = self._lanes[key] = Lane(key, deque())
        lane.events.append(event)
        self._ready[lane] = None
        return True

    def take(self, max_events: int, max_bytes: int) -> Batch | None:
        """Take the next batch from the lanes that are ready, None if none is. Its lanes are busy until it returns."""
        if not self._ready:
            return None
        if max_events == 1:
            lane, _ = self._ready.popitem(last=False)
            event = lane.events[0]
            event.in_flight = True
            lane.in_flight = 1
            return Batch([event], [lane], lane.attempts + 1)
        events: list[Event] = []
        lanes: list[Lane] = []
        room, attempt = max_bytes, 0
        while self._ready and len(events) < max_events and (room > 0 or not events):
            lane, _ = self._ready.popitem(last=False)
            lanes.append(lane)
            for event in lane.events:
                if len(events) >= max_events or (events and len(event.raw) > room):
                    break
                event.in_flight = True
                events.append(event)
                lane.in_flight += 1
                room -= len(event.raw)
            if not lane.in_flight:
                lanes.pop()
                self._first_in_turn(lane)
                break
            attempt = max(attempt, lane.attempts)
        return Batch(events, lanes, attempt + 1)

    def acknowledge(self, batch: Batch) -> None:
        """Remove the events of `batch`; its lanes are ready again if they hold more."""
        for lane in batch.lanes:
            if lane.in_flight == len(lane.events):
                lane.events.clear()
                del self._lanes[lane.key]
            else:
                for _ in range(lane.in_flight):
                    lane.events.popleft()
                self._ready[lane] = None
            lane.in_flight = lane.attempts = 0
        self.events -= len(batch.events)
        for event in batch.events:
            self.bytes -= len(event.raw)
            del self._arrivals[id(event)]
            self._settled(event, None)

    def give_back(self, batch: Batch, *, rest: bool) -> None:
        """Keep the events of an unacknowledged `batch` first in their lanes, which rest, or go on.

        They go on at the end of the turn: while the sink is down each probe asks with another lane, or one event that
        always fails would keep it down.
        """
        for lane in batch.lanes:
            for index in range(lane.in_flight):
                lane.events[index].in_flight = False
            lane.in_flight = 0
            lane.attempts += 1
        if not rest:
            self.rested(batch)

    def rested(self, batch: Batch) -> None:
        """Put the lanes of a batch that was given back in the turn again."""
        self._ready.update((lane, None) for lane in batch.lanes if lane.events)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def oldest_age(self, now: float) -> float:
        """Seconds for which the oldest event has been waiting, 0 if there is none."""
        oldest = next(iter(self._arrivals.values()), None)
        return 0.0 if oldest is None else max(0.0, now - oldest.received_at)

    def _first_in_turn(self, lane: Lane) -> None:
        self._ready[lane] = None
        self._ready.move_to_end(lane, last=False)

    def _lane_key(self, event: Event) -> LaneKey:
        if self._by_guild and event.guild_id is not None:
            return event.guild_id
        # Events without a guild keep their shard's order, in a lane of their own.
        return id(event) if self._ordering == "none" else event.shard_id

    def _fits(self, event: Event) -> bool:
        return self.events < self._max_events and self.bytes + len(event.raw) <= self._max_bytes

    def _make_room(self, event: Event) -> None:
        if self._overflow != "dropOldest" or len(event.raw) > self._max_bytes:
            return
        while not self._fits(event):
            oldest = next((old for old in self._arrivals.values() if not old.in_flight), None)
            if oldest is None:
                return
            self._drop(oldest)

    def _drop(self, event: Event) -> None:
        lane = self._lanes[self._lane_key(event)]
        # Arrival order is lane order: the oldest that is not with a sender is the first after those that are.
        del lane.events[lane.in_flight]
        self.events -= 1
        self.bytes -= len(event.raw)
        del self._arrivals[id(event)]
        self._settled(event, "queue_full")
        if not lane.events:
            del self._lanes[lane.key]
            self._ready.pop(lane, None)
