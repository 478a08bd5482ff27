"""The queue of lanes held against a model of nothing but lists, in any order of calls."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.delivery import LaneQueue
from shardpod.delivery.lanes import EVENT_BYTES, LANE_BYTES, ROOM_AGAIN
from shardpod.protocol import Event

SHARDS = st.integers(0, 1)


class AgainstLists(RuleBasedStateMachine):
    """The queue beside a model of nothing but lists. `waiting` is in order of arrival.

    A lane is known here by its name and its `generation`, for one that was emptied is not the one that follows.
    """

    @initialize(
        ordering=st.sampled_from(["guild", "shard", "none"]),
        overflow=st.sampled_from(["dropOldest", "dropNewest", "pause"]),
        max_events=st.integers(1, 8),
        max_bytes=st.integers(550, 12_000),
        sheds=st.booleans(),
    )
    def begin(self, ordering, overflow, max_events, max_bytes, sheds):
        self.ordering, self.overflow = ordering, overflow
        self.max_events, self.max_bytes = max_events, max_bytes
        self.shed_first = {"TYPING"} if sheds else set()
        self.settled = {}
        self.forgotten = set()
        self.waiting = []  # [event, in_flight]
        self.resting = []  # [batch, its lanes, those of them that still rest]
        self.batches = []
        self.frozen = set()
        self.attempts = {}
        self.generation = Counter()
        self.seq = self.longest = 0
        self.queue = LaneQueue(
            ordering=ordering,
            overflow=overflow,
            max_events=max_events,
            max_bytes=max_bytes,
            shed_first=self.shed_first,
            settled=self.on_settled,
        )

    def on_settled(self, event, reason):
        assert event.seq not in self.settled, "settled twice"
        self.settled[event.seq] = reason

    # The model.

    def lane_of(self, event):
        if self.ordering == "none":
            return ("event", event.seq)
        if self.ordering == "guild" and event.guild_id is not None:
            return ("guild", event.shard_id, event.guild_id)
        return ("shard", event.shard_id)

    def lanes_in(self, events):
        return {self.lane_of(event) for event in events}

    def lanes_here(self):
        return self.lanes_in(event for event, _ in self.waiting)

    def bytes_here(self):
        weights = sum(len(event.raw) + EVENT_BYTES for event, _ in self.waiting)
        return weights + LANE_BYTES * len(self.lanes_here())

    def leave(self, events):
        """Take these out of `waiting`; lanes that are empty now are gone with all that was known of them."""
        lanes = self.lanes_in(events)
        self.waiting = [entry for entry in self.waiting if entry[0] not in events]
        for lane in lanes - self.lanes_here():
            self.attempts.pop(lane, None)
            self.generation[lane] += 1
            self.end_rest({lane})

    def end_rest(self, lanes):
        for entry in self.resting:
            entry[2] -= lanes

    def unavailable(self):
        busy = {self.lane_of(event) for event, in_flight in self.waiting if in_flight}
        frozen = self.lanes_in(event for event, _ in self.waiting if event.shard_id in self.frozen)
        return busy | frozen | {lane for _, _, lanes in self.resting for lane in lanes}

    def fits(self, event):
        room_for = self.bytes_here() + len(event.raw) + EVENT_BYTES
        return len(self.waiting) < self.max_events and room_for <= self.max_bytes

    def expect_drops(self, event):
        """Which events have to leave for this one, and why: `event` itself last, if it cannot be had."""
        dropped = []

        def drop_while_too_much(reason, unwanted):
            for old in [old for old, in_flight in self.waiting if not in_flight and old.shard_id not in self.frozen]:
                if not self.fits(event) and unwanted(old):
                    lane = self.lane_of(old)
                    if old is next(one for one, _ in self.waiting if self.lane_of(one) == lane):
                        self.attempts.pop(lane, None)  # they were those of this event
                    self.leave([old])
                    dropped.append((old.seq, reason))

        if len(event.raw) + EVENT_BYTES <= self.max_bytes:
            drop_while_too_much("shed", lambda old: old.type in self.shed_first)
        if event.type in self.shed_first and not self.fits(event):
            return [*dropped, (event.seq, "shed")]
        if self.overflow == "dropOldest" and len(event.raw) + EVENT_BYTES <= self.max_bytes:
            drop_while_too_much("queue_full", lambda old: True)
        if self.overflow != "pause" and not self.fits(event):
            return [*dropped, (event.seq, "queue_full")]
        self.waiting.append([event, False])
        self.longest = max(self.longest, len(self.waiting))
        return dropped

    # What the queue is told.

    @rule(
        guild=st.sampled_from(["1", "2", "3", None]),
        shard=SHARDS,
        size=st.integers(1, 2000),
        kind=st.sampled_from(["MESSAGE", "TYPING"]),
    )
    def put(self, guild, shard, size, kind):
        self.seq += 1
        event = Event(kind, self.seq, guild, shard, "s", float(self.seq), b"x" * size)
        before = set(self.settled)
        expected = self.expect_drops(event)
        self.queue.put(event)
        assert [(seq, reason) for seq, reason in self.settled.items() if seq not in before] == expected

    @rule(max_events=st.integers(1, 4), max_bytes=st.integers(1, 4000))
    def take(self, max_events, max_bytes):
        unavailable = self.unavailable()
        candidates = [event for event, _ in self.waiting if self.lane_of(event) not in unavailable]
        batch = self.queue.take(max_events, max_bytes)
        assert (batch is None) == (not candidates)
        if batch is None:
            return
        taken = batch.events
        assert 1 <= len(taken) <= max_events
        assert len(taken) == 1 or sum(len(event.raw) for event in taken) <= max_bytes
        for lane in self.lanes_in(taken):
            assert lane not in unavailable, "a lane with two senders, or one that rests"
            in_lane = [event for event, _ in self.waiting if self.lane_of(event) == lane]
            mine = [event for event in taken if self.lane_of(event) == lane]
            assert mine == in_lane[: len(mine)], "out of order"
            assert len(taken) == 1 or lane not in self.attempts, "a lane that failed sends one event, and alone"
        assert batch.attempt == 1 + max(self.attempts.get(lane, 0) for lane in self.lanes_in(taken))
        for entry in self.waiting:
            entry[1] = entry[1] or entry[0] in taken
        self.batches.append(batch)

    def draw_batch(self, data, of=lambda batch: True):
        batch = data.draw(st.sampled_from([batch for batch in self.batches if of(batch)]))
        self.batches.remove(batch)
        return batch

    def acknowledged(self, events):
        for event in events:
            assert self.settled[event.seq] is None
        for lane in self.lanes_in(events):
            self.attempts.pop(lane, None)
        self.leave(events)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def acknowledge(self, data):
        batch = self.draw_batch(data)
        self.queue.acknowledge(batch)
        self.acknowledged(batch.events)

    @precondition(lambda self: any(len(batch.events) > 1 for batch in self.batches))
    @rule(data=st.data())
    def acknowledge_first(self, data):
        batch = self.draw_batch(data, lambda batch: len(batch.events) > 1)
        count = data.draw(st.integers(1, len(batch.events) - 1))
        rest = self.queue.acknowledge_first(batch, count)
        assert rest.events == batch.events[count:]
        self.acknowledged(batch.events[:count])
        self.batches.append(rest)

    @precondition(lambda self: any(len(batch.events) == 1 for batch in self.batches))
    @rule(data=st.data())
    def bury(self, data):
        batch = self.draw_batch(data, lambda batch: len(batch.events) == 1)
        self.queue.bury(batch)
        assert self.settled[batch.events[0].seq] == "dead_letter"
        self.attempts.pop(self.lane_of(batch.events[0]), None)
        self.leave(batch.events)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), rest=st.booleans())
    def give_back(self, data, rest):
        batch = self.draw_batch(data)
        self.queue.give_back(batch, rest=rest)
        for entry in self.waiting:
            if entry[0] in batch.events:
                entry[1] = False
        lanes = self.lanes_in(batch.events)
        for lane in lanes:
            self.attempts[lane] = self.attempts.get(lane, 0) + 1
        if rest:
            self.resting.append([batch, {(lane, self.generation[lane]) for lane in lanes}, set(lanes)])

    @precondition(lambda self: self.resting)
    @rule(data=st.data())
    def rested(self, data):
        batch, lanes, _ = self.resting.pop(data.draw(st.integers(0, len(self.resting) - 1)))
        self.queue.rested(batch)
        self.end_rest({lane for lane, generation in lanes if self.generation[lane] == generation})

    @rule(shard=SHARDS)
    def freeze(self, shard):
        self.queue.freeze(shard)
        self.frozen.add(shard)

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def thaw(self, data):
        shard = data.draw(st.sampled_from(sorted(self.frozen)))
        self.queue.thaw(shard)
        self.frozen.discard(shard)
        self.end_rest(self.lanes_in(event for event, _ in self.waiting if event.shard_id == shard))

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def forget(self, data):
        shard = data.draw(st.sampled_from(sorted(self.frozen)))
        if self.queue.shard(shard).in_flight:
            return
        self.queue.forget(shard)
        self.frozen.discard(shard)
        gone = [event for event, _ in self.waiting if event.shard_id == shard]
        self.forgotten |= {event.seq for event in gone}
        self.leave(gone)

    @invariant()
    def counts_are_right(self):
        if not hasattr(self, "queue"):
            return
        queue = self.queue
        assert (queue.events, queue.bytes, queue.longest) == (len(self.waiting), self.bytes_here(), self.longest)
        if self.overflow != "pause":
            assert queue.events <= self.max_events
            assert queue.bytes <= self.max_bytes + LANE_BYTES, "a lane's weight is seen only when it is there"
        assert queue.is_full is (queue.events >= self.max_events or queue.bytes >= self.max_bytes)
        assert queue.has_room is (max(queue.events / self.max_events, queue.bytes / self.max_bytes) < ROOM_AGAIN)
        unavailable = self.unavailable()
        assert queue.has_ready == any(self.lane_of(event) not in unavailable for event, _ in self.waiting)
        for shard in (0, 1):
            here = [(event, in_flight) for event, in_flight in self.waiting if event.shard_id == shard]
            assert list(queue.shard(shard).events.values()) == [event for event, _ in here]
            assert queue.shard(shard).in_flight is any(in_flight for _, in_flight in here)
        waiting = {event.seq for event, _ in self.waiting}
        assert waiting.isdisjoint(self.settled)
        assert waiting | self.forgotten | set(self.settled) == set(range(1, self.seq + 1)), "an event was lost"


AgainstLists.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=50)
TestAgainstLists = AgainstLists.TestCase
