"""The queue: events wait in lanes. Inside a lane they are delivered one after the other, lanes run in parallel.

Pure and synchronous. A lane is in exactly one place: ready (waiting for a sender), busy (its first events are with
one), resting (its last delivery failed, and others go first), or frozen with its shard, which is being given to
another pod, or stopped while its range is between two shard sets. It exists only while it holds events, and all of its
events are of one shard.

This file is longer than 400 lines because all that changes the counts and the places of events has to agree.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Literal

from shardpod.protocol import Event

from .batching import fill
from .held import Held
from .lane import EVENT_BYTES, Batch, Lane, LaneKey, first_live
from .outstanding import Outstanding
from .turn import Turn

Ordering = Literal["guild", "shard", "none"]
Overflow = Literal["dropOldest", "dropNewest", "pause"]

LANE_BYTES = 1024
"""What a lane weighs, which most of the time is what one more guild weighs (measured)."""
_DROPPED_IN_PASSING = 16
"""So many dropped events a lane may hold, beside as many as its others, before it is cleared of them."""
ROOM_AGAIN = 0.9
"""Below this part of its bounds a queue that was full counts as having room again, so that it does not flap."""


class LaneQueue:
    """All events of a worker that the bot has not acknowledged, bounded in number and in bytes of memory.

    `settled(event, reason)` is called for each event that leaves: acknowledged (reason None), or dropped. `holding`:
    the sink is down, so lanes that are made now will have a backlog by the time it is back.
    """

    def __init__(
        self,
        *,
        ordering: Ordering = "guild",
        max_events: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        overflow: Overflow = "dropOldest",
        shed_first: Iterable[str] = (),
        settled: Callable[[Event, str | None], None],
    ) -> None:
        self.events = 0
        self.bytes = 0
        self.longest = 0
        self.holding = False
        self._ordering = ordering
        self._by_guild = ordering == "guild"
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._shed_first = frozenset(shed_first)
        self._settled = settled
        # By shard, then by key: an entitlement of a guild comes by shard 0, whose guild it is not.
        self._lanes: dict[int, dict[LaneKey, Lane]] = {}
        self._ready = Turn()
        self._shards: dict[int, Outstanding] = {}
        # Those that are dropped before all others, oldest first.
        self._sheddable: OrderedDict[int, Event] = OrderedDict()
        self._held = Held(max_events, max_bytes)
        # Under way, and the other shard set's: not to be sent again.
        self._disowned: set[int] = set()

    def shard(self, shard_id: int) -> Outstanding:
        """What one shard has outstanding."""
        shard = self._shards.get(shard_id)
        if shard is None:
            shard = self._shards[shard_id] = Outstanding(shard_id)
            self._lanes[shard_id] = {}
        return shard

    def skip(self, event: Event) -> None:
        """An event was received that is not to be delivered."""
        self.shard(event.shard_id).note(event)

    def put(self, event: Event) -> bool:
        """Add an event just received; true if a lane became ready by it. Over the bound something is dropped."""
        shard = self._shards.get(event.shard_id)
        if shard is None:
            shard = self.shard(event.shard_id)
        if event.session_id != shard.session_id:
            shard.note(event)
        shard.received_seq = event.seq
        if self.events >= self._max_events or self.bytes + len(event.raw) + EVENT_BYTES > self._max_bytes:
            reason = self._make_room(event)
            if reason is not None:
                self._settled(event, reason)
                return False
        return self._add(event, shard)

    def put_whatever_the_bound(self, event: Event) -> bool:
        """Add an event that was in a queue already: from the spool, or from the pod that held its shard before."""
        holding, self.holding = self.holding, True
        became_ready = self._add(event, self.shard(event.shard_id))
        self.holding = holding
        return became_ready

    def _add(self, event: Event, shard: Outstanding) -> bool:
        self.events += 1
        self.bytes += len(event.raw) + EVENT_BYTES
        if self.events > self.longest:  # noqa: PLR1730 -- max() is a call, and this is the hot path
            self.longest = self.events
        shard.events[id(event)] = event
        return self._into_lane(event, shard)

    def _into_lane(self, event: Event, shard: Outstanding) -> bool:
        if self._shed_first and event.type in self._shed_first:
            self._sheddable[id(event)] = event
        if self._held.events:
            self._held.beside[id(event)] = event
        key: LaneKey | None = event.guild_id
        if key is None or not self._by_guild:
            key = self._lane_key(event)
        lanes = self._lanes[event.shard_id]
        lane = lanes.get(key)
        if lane is not None:
            lane.events.append(event)
            lane.live += 1
            return False
        lane = lanes[key] = Lane(key, shard, deque((event,)), 1)
        self.bytes += LANE_BYTES
        if shard.frozen:
            return False
        if self.holding:
            lane.backlogged = True
            self._ready.backlogged[lane] = None
        else:
            self._ready.fresh[lane] = None
        return True

    def take(self, max_events: int, max_bytes: int) -> Batch | None:
        """Take the next batch from the lanes that are ready, None if none is. Its lanes are busy until it returns.

        A lane that failed sends its next event alone, so that an event that always fails stops no other and is known.
        """
        if not self.has_ready:
            return None
        lane = self._ready.next()
        if max_events == 1 or lane.attempts:
            event = lane.events[0]
            if event.dropped:
                event = first_live(lane)
            event.in_flight = True
            lane.in_flight = 1
            return Batch([event], [lane], lane.attempts + 1)
        return fill(lane, self._ready, max_events, max_bytes)

    def acknowledge(self, batch: Batch) -> None:
        """Remove the events of `batch`; its lanes are ready again if they hold more."""
        for lane in batch.lanes:
            if lane.in_flight == lane.live:
                # Nothing else waits in it, which is how it mostly is: it goes as a whole.
                del self._lanes[lane.shard.shard_id][lane.key]
                self.bytes -= LANE_BYTES
            else:
                self._remove_first(lane, lane.in_flight)
                lane.in_flight = lane.attempts = lane.strikes = 0
                self._next_in_turn(lane)
        shards, settled, beside = self._shards, self._settled, self._held.beside
        for event in batch.events:
            # As `_removed`, without its call: this is the hot path.
            self.events -= 1
            self.bytes -= len(event.raw) + EVENT_BYTES
            del shards[event.shard_id].events[id(event)]
            if self._sheddable:
                self._sheddable.pop(id(event), None)
            if beside:
                beside.pop(id(event), None)
            if self._disowned:
                self._disowned.discard(id(event))
            settled(event, None)

    def acknowledge_first(self, batch: Batch, count: int) -> Batch:
        """Remove the first `count` events of `batch`; the rest stays under way, as the batch that is returned."""
        taken, rest = batch.events[:count], batch.events[count:]
        done: list[Lane] = []
        left = count
        for lane in batch.lanes:
            mine = min(left, lane.in_flight)
            left -= mine
            whole = mine == lane.in_flight
            self._remove_first(lane, mine)
            lane.in_flight -= mine
            if mine:
                lane.attempts = lane.strikes = 0
            if whole:
                done.append(lane)
                self._next_in_turn(lane)
        for event in taken:
            self._removed(event)
            self._settled(event, None)
        return Batch(rest, [lane for lane in batch.lanes if lane not in done], batch.attempt)

    def bury(self, batch: Batch) -> None:
        """Remove the one event of `batch` without its having been acknowledged; its lane goes on."""
        (lane,), (event,) = batch.lanes, batch.events
        self._remove_first(lane, 1)
        lane.in_flight = lane.attempts = lane.strikes = 0
        self._next_in_turn(lane)
        self._removed(event)
        self._settled(event, "dead_letter")

    def give_back(self, batch: Batch, *, rest: bool, failed: bool = True) -> None:
        """Keep the events of an unacknowledged `batch` first in their lanes, which rest, or go on.

        They go on at the end of the turn: while the sink is down each probe asks with another lane, or one event that
        always fails would keep it down.
        """
        for event in batch.events:
            event.in_flight = False
        for lane in batch.lanes:
            lane.in_flight = 0
            lane.attempts += failed
        if self._disowned:
            for event in batch.events:
                if id(event) in self._disowned:
                    self._leave_lane(event)
                    self._settled(event, None)
        if not rest:
            self.rested(batch)

    def rested(self, batch: Batch) -> None:
        """Put the lanes of a batch that was given back in the turn again."""
        for lane in batch.lanes:
            # A lane whose events were all dropped while it rested is gone; its key may be another lane's by now.
            if self._is_here(lane) and not lane.in_flight:
                self._next_in_turn(lane)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready.fresh or self._ready.backlogged)

    @property
    def is_full(self) -> bool:
        return self.events >= self._max_events or self.bytes >= self._max_bytes

    @property
    def has_room(self) -> bool:
        return self.events < self._max_events * ROOM_AGAIN and self.bytes < self._max_bytes * ROOM_AGAIN

    @property
    def drops_what_is_held(self) -> bool:
        """Whether what comes of a range between two shard sets finds no room, though the others may have some."""
        return self._held.is_full

    def oldest_age(self, now: float) -> float:
        """Seconds for which the oldest event has been waiting, 0 if there is none."""
        oldest = self._oldest()
        return 0.0 if oldest is None else max(0.0, now - oldest.received_at)

    # Events whose range is between two shard sets (shardpod.handover).

    def hold(self, event: Event) -> None:
        """Keep an event that nobody may deliver yet: it is outstanding, and in no lane.

        A full queue drops it, unless it is never to drop any: those that wait in lanes are older. Beyond its share it
        is dropped in any case, or a worker that stops reading when it is full would do so for all guilds.
        """
        if self._held.has_room_for(event) and (self._overflow == "pause" or self._fits(event)):
            self.hold_whatever_the_bound(event)
        else:
            self._settled(event, "queue_full")

    def hold_whatever_the_bound(self, event: Event) -> None:
        """Hold an event that was in a queue already: from the spool."""
        if not self._held.events:
            self._held.begin(self.waiting(lambda _event: True))
        self._held.add(event)
        self.events += 1
        self.bytes += len(event.raw) + EVENT_BYTES
        self.longest = max(self.longest, self.events)
        self.shard(event.shard_id).events[id(event)] = event

    def release(self, event: Event) -> bool:
        """Deliver an event that was held, after all; true if a lane became ready by it."""
        if not event.held:
            return False
        self._held.remove(event)
        # It keeps its place among what is outstanding: there order is by `seq`.
        return self._into_lane(event, self._shards[event.shard_id])

    def settle(self, event: Event) -> None:
        """Of a held event: it is the other shard set's."""
        if event.held:
            self._held.remove(event)
            self._removed(event)
            self._settled(event, None)
            event.spool_id = 0  # it may be kept, and be put into the queue again later

    def disown(self, event: Event) -> None:
        """Of an event from the spool that is in no lane: it has become the other shard set's."""
        self._settled(event, None)

    def waiting(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """The wanted events that are in lanes or under way."""
        return [
            event
            for shard in self._shards.values()
            for event in shard.events.values()
            if not event.held and wanted(event)
        ]

    def is_waiting(self, event: Event) -> bool:
        """Whether an event that was put into a lane is still there, or under way."""
        shard = self._shards.get(event.shard_id)
        return shard is not None and shard.events.get(id(event)) is event

    def stop_lanes(self, wanted: Callable[[Event], bool]) -> None:
        """Take nothing from lanes with a wanted event until `start_lanes`; what is under way is not called back."""
        for lane in [lane for lanes in self._lanes.values() for lane in lanes.values()]:
            if any(wanted(event) for event in lane.events):
                lane.stopped = True
                self._ready.leave(lane)

    def start_lanes(self) -> None:
        for lane in [lane for lanes in self._lanes.values() for lane in lanes.values() if lane.stopped]:
            lane.stopped = False
            if not lane.in_flight and not lane.shard.frozen:
                self._ready.join(lane)

    def discard(self, wanted: Callable[[Event], bool]) -> int:
        """The wanted events are the other shard set's; how many left. One that is under way is not sent again."""
        waiting = self.waiting(wanted)
        self._disowned.update(id(event) for event in waiting if event.in_flight)
        found = [event for event in waiting if not event.in_flight]
        for event in found:
            self._leave_lane(event)
            self._settled(event, None)
        return len(found)

    def has_disowned(self, batch: Batch) -> bool:
        """Whether something of a batch under way has become the other shard set's."""
        return bool(self._disowned) and any(id(event) in self._disowned for event in batch.events)

    def is_called_off(self, batch: Batch) -> bool:
        """Whether something of a batch under way is not to be sent any more, if it has not been yet."""
        return any(lane.stopped or lane.shard.frozen for lane in batch.lanes) or self.has_disowned(batch)

    # A shard that is given to another pod.

    def freeze(self, shard_id: int) -> None:
        """Take no more events of this shard; those under way are not called back."""
        shard = self.shard(shard_id)
        shard.frozen = True
        for lane in [lane for lane in self._ready if lane.shard is shard]:
            self._ready.leave(lane)

    def thaw(self, shard_id: int) -> None:
        """Go on with the shard: it stays here after all."""
        shard = self.shard(shard_id)
        shard.frozen = False
        for lane in self._lanes[shard_id].values():
            if not lane.in_flight and not lane.stopped:
                self._ready.join(lane)

    def forget(self, shard_id: int) -> None:
        """The shard's events are another pod's now. None of them may be under way."""
        shard = self._shards.pop(shard_id, None)
        if shard is None:
            return
        for event in shard.events.values():
            if event.held:
                self._held.remove(event)
            self.events -= 1
            self.bytes -= len(event.raw) + EVENT_BYTES
            self._sheddable.pop(id(event), None)
            self._held.beside.pop(id(event), None)
        for lane in self._lanes.pop(shard_id).values():
            self._ready.leave(lane)
            self.bytes -= LANE_BYTES

    # Inside.

    def _next_in_turn(self, lane: Lane) -> None:
        if not lane.live:
            self._remove_lane(lane)
        elif not lane.shard.frozen and not lane.stopped:
            self._ready.join(lane)

    def _is_here(self, lane: Lane) -> bool:
        return self._lanes.get(lane.shard.shard_id, {}).get(lane.key) is lane

    def _remove_lane(self, lane: Lane) -> None:
        del self._lanes[lane.shard.shard_id][lane.key]
        self._ready.leave(lane)
        self.bytes -= LANE_BYTES

    def _remove_first(self, lane: Lane, count: int) -> None:
        for _ in range(count):
            lane.events.popleft()
        lane.live -= count

    def _removed(self, event: Event) -> None:
        self.events -= 1
        self.bytes -= len(event.raw) + EVENT_BYTES
        del self._shards[event.shard_id].events[id(event)]
        self._sheddable.pop(id(event), None)
        self._held.beside.pop(id(event), None)
        self._disowned.discard(id(event))

    def _lane_key(self, event: Event) -> LaneKey:
        if self._by_guild and event.guild_id is not None:
            return event.guild_id
        # Events without a guild keep their shard's order, in a lane of their own.
        return id(event) if self._ordering == "none" else event.shard_id

    # Overflow.

    def _fits(self, event: Event) -> bool:
        return self.events < self._max_events and self.bytes + len(event.raw) + EVENT_BYTES <= self._max_bytes

    def _make_room(self, event: Event) -> str | None:
        """Drop what the settings give up for `event`; None when it may be added, else why it is dropped itself."""
        # What would not fit into an empty queue is worth no other event.
        could_fit = len(event.raw) + EVENT_BYTES <= self._max_bytes
        while could_fit and not self._fits(event):
            unwanted = next((old for old in self._sheddable.values() if self._may_drop(old)), None)
            if unwanted is None:
                break
            self._drop(unwanted, "shed")
        if event.type in self._shed_first and not self._fits(event):
            return "shed"
        if self._overflow == "pause":
            return None  # the worker stops reading; what is on its way already is a socket's buffer at most
        if self._overflow == "dropOldest" and could_fit:
            while not self._fits(event):
                oldest = self._oldest_to_drop()
                if oldest is None:
                    break
                self._drop(oldest, "queue_full")
        return None if self._fits(event) else "queue_full"

    def _may_drop(self, event: Event) -> bool:
        return not (event.in_flight or self._shards[event.shard_id].frozen)

    def _oldest_to_drop(self) -> Event | None:
        """The oldest of what waits in lanes."""
        if self._held.events:
            return next((event for event in self._held.beside.values() if self._may_drop(event)), None)
        return self._oldest(waiting=True)

    def _oldest(self, *, waiting: bool = False) -> Event | None:
        """Of all shards; with `waiting` only of those that are not under way."""
        firsts = (
            next((event for event in shard.events.values() if not (waiting and event.in_flight)), None)
            for shard in self._shards.values()
            if not (waiting and shard.frozen)
        )
        return min((event for event in firsts if event is not None), key=lambda event: event.received_at, default=None)

    def _drop(self, event: Event, reason: str) -> None:
        self._leave_lane(event)
        self._settled(event, reason)
        event.raw = b""  # while it stands in its lane, it shall take no memory that nobody counts

    def _leave_lane(self, event: Event) -> None:
        lane = self._lanes[event.shard_id][self._lane_key(event)]
        if first_live(lane) is event:
            lane.attempts = lane.strikes = 0  # the next one has not failed
        # It may be in the middle of its lane: there it is passed over when its turn comes.
        event.dropped = True
        lane.live -= 1
        self._removed(event)
        if not lane.live:
            self._remove_lane(lane)
        elif not lane.in_flight and lane.events[0].dropped:
            first_live(lane)
        elif len(lane.events) > 2 * lane.live + _DROPPED_IN_PASSING:
            lane.events = deque(event for event in lane.events if not event.dropped)
