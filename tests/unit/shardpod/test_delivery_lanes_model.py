"""The queue of lanes held against a model of nothing but lists, in any order of calls."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.delivery import LaneQueue
from shardpod.protocol import Event


class AgainstLists(RuleBasedStateMachine):
    """The queue beside a model of nothing but lists. `waiting` is in order of arrival."""

    @initialize(
        ordering=st.sampled_from(["guild", "shard", "none"]),
        overflow=st.sampled_from(["dropOldest", "dropNewest"]),
        max_events=st.integers(1, 8),
        max_bytes=st.integers(5, 80),
    )
    def begin(self, ordering, overflow, max_events, max_bytes):
        self.ordering, self.overflow = ordering, overflow
        self.max_events, self.max_bytes = max_events, max_bytes
        self.settled = {}
        self.waiting = []  # [event, in_flight]
        self.resting = []
        self.batches = []
        self.attempts = {}
        self.seq = self.longest = 0
        self.queue = LaneQueue(
            ordering=ordering, overflow=overflow, max_events=max_events, max_bytes=max_bytes, settled=self.on_settled
        )

    def on_settled(self, event, reason):
        assert event.seq not in self.settled, "settled twice"
        self.settled[event.seq] = reason

    def lane_of(self, event):
        if self.ordering == "none":
            return ("event", event.seq)
        if self.ordering == "guild" and event.guild_id is not None:
            return ("guild", event.guild_id)
        return ("shard", event.shard_id)

    def lanes_in(self, events):
        return {self.lane_of(event) for event in events}

    @rule(guild=st.sampled_from(["1", "2", "3", None]), shard=st.integers(0, 1), size=st.integers(1, 30))
    def put(self, guild, shard, size):
        self.seq += 1
        event = Event("X", self.seq, guild, shard, "s", 0.0, b"x" * size)
        expected_dropped = self.expect_drops(event)
        before = set(self.settled)
        self.queue.put(event)
        dropped = [seq for seq in self.settled if seq not in before]
        assert dropped == expected_dropped
        assert all(self.settled[seq] == "queue_full" for seq in dropped)

    def expect_drops(self, event):
        def fits():
            size = sum(len(waiting.raw) for waiting, _ in self.waiting)
            return len(self.waiting) < self.max_events and size + len(event.raw) <= self.max_bytes

        dropped = []
        if self.overflow == "dropOldest" and len(event.raw) <= self.max_bytes:
            while not fits():
                oldest = next((entry for entry in self.waiting if not entry[1]), None)
                if oldest is None:
                    break
                self.waiting.remove(oldest)
                self.forget_empty_lane(oldest[0])
                dropped.append(oldest[0].seq)
        if not fits():
            return [*dropped, event.seq]
        self.waiting.append([event, False])
        self.longest = max(self.longest, len(self.waiting))
        return dropped

    def forget_empty_lane(self, event):
        lane = self.lane_of(event)
        if all(self.lane_of(other) != lane for other, _ in self.waiting):
            self.attempts.pop(lane, None)
            self.resting = [(batch, lanes - {lane}) for batch, lanes in self.resting]

    def unavailable(self):
        busy = {self.lane_of(event) for event, in_flight in self.waiting if in_flight}
        return busy | {lane for _, lanes in self.resting for lane in lanes}

    @rule(max_events=st.integers(1, 4), max_bytes=st.integers(1, 60))
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
        assert batch.attempt == 1 + max(self.attempts.get(lane, 0) for lane in self.lanes_in(taken))
        for entry in self.waiting:
            entry[1] = entry[1] or entry[0] in taken
        self.batches.append(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def acknowledge(self, data):
        batch = self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))
        self.queue.acknowledge(batch)
        for event in batch.events:
            assert self.settled[event.seq] is None
        for lane in self.lanes_in(batch.events):
            self.attempts.pop(lane, None)
        self.waiting = [entry for entry in self.waiting if entry[0] not in batch.events]

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), rest=st.booleans())
    def give_back(self, data, rest):
        batch = self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))
        self.queue.give_back(batch, rest=rest)
        for entry in self.waiting:
            if entry[0] in batch.events:
                entry[1] = False
        for lane in self.lanes_in(batch.events):
            self.attempts[lane] = self.attempts.get(lane, 0) + 1
        if rest:
            self.resting.append((batch, self.lanes_in(batch.events)))

    @precondition(lambda self: self.resting)
    @rule(data=st.data())
    def rested(self, data):
        batch, _ = self.resting.pop(data.draw(st.integers(0, len(self.resting) - 1)))
        self.queue.rested(batch)

    @invariant()
    def counts_are_right(self):
        if not hasattr(self, "queue"):
            return
        assert self.queue.events == len(self.waiting)
        assert self.queue.bytes == sum(len(event.raw) for event, _ in self.waiting)
        assert self.queue.longest == self.longest
        assert self.queue.events <= self.max_events
        assert self.queue.bytes <= self.max_bytes
        unavailable = self.unavailable()
        assert self.queue.has_ready == any(self.lane_of(event) not in unavailable for event, _ in self.waiting)
        waiting = {event.seq for event, _ in self.waiting}
        assert waiting.isdisjoint(self.settled)
        assert waiting | set(self.settled) == set(range(1, self.seq + 1)), "an event was lost"


AgainstLists.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=35)
TestAgainstLists = AgainstLists.TestCase
