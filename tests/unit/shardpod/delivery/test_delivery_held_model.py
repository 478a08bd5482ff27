"""The queue against a model of lists, with events that are held and lanes that are stopped, in any order of calls."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.delivery import LaneQueue
from shardpod.delivery.lanes import EVENT_BYTES, LANE_BYTES
from shardpod.protocol import Event

SHARDS = st.integers(0, 1)
GUILDS = st.sampled_from(["1", "2", "3"])


class HeldAndStopped(RuleBasedStateMachine):
    """`arrived`: what is outstanding, in order of arrival. `lanes`: what is in them, in their order.

    `beside`: what is in any lane, in the order in which it gives way while something is held.
    """

    @initialize(
        ordering=st.sampled_from(["guild", "shard", "none"]),
        max_events=st.sampled_from([4, 6, 1000]),
        overflow=st.sampled_from(["dropOldest", "dropNewest", "pause"]),
    )
    def begin(self, ordering, max_events, overflow):
        self.ordering, self.max_events, self.overflow = ordering, max_events, overflow
        self.beside = []
        self.arrived, self.held, self.in_flight = [], [], []
        self.lanes, self.stopped, self.frozen, self.disowned = {}, set(), set(), set()
        self.batches = []
        self.settled = {}
        self.delivered = []
        self.last_seq = 0
        self.queue = LaneQueue(ordering=ordering, max_events=max_events, overflow=overflow, settled=self.on_settled)

    def on_settled(self, event, reason):
        assert event.seq not in self.settled, "settled twice"
        self.settled[event.seq] = reason

    # The model.

    def lane_of(self, event):
        keys = {"guild": (event.shard_id, event.guild_id), "shard": event.shard_id, "none": event.seq}
        return keys[self.ordering]

    def next_event(self, guild, shard):
        self.last_seq += 1
        return Event("T", self.last_seq, guild, shard, "s", float(self.last_seq), b"x" * self.last_seq)

    def enter_lane(self, event):
        self.lanes.setdefault(self.lane_of(event), []).append(event)
        self.beside.append(event)

    def leave(self, events):
        for event in events:
            self.arrived.remove(event)
            if event in self.beside:
                self.beside.remove(event)
            lane = self.lanes.get(self.lane_of(event), [])
            if event in lane:
                lane.remove(event)
            if event in self.in_flight:
                self.in_flight.remove(event)
        for name in [name for name, lane in self.lanes.items() if not lane]:
            del self.lanes[name]
            self.stopped.discard(name)

    def is_ready(self, name):
        lane = self.lanes[name]
        return name not in self.stopped and lane[0] not in self.in_flight and lane[0].shard_id not in self.frozen

    @property
    def is_full(self):
        return len(self.arrived) >= self.max_events and self.overflow != "pause"

    def gives_way(self):
        """What is dropped for a new event, if not that one itself."""
        if self.overflow != "dropOldest":
            return None
        waiting = self.beside if self.held else sorted(self.beside, key=lambda event: event.seq)
        return next((one for one in waiting if one not in self.in_flight and one.shard_id not in self.frozen), None)

    # What the queue is told.

    @rule(guild=GUILDS, shard=SHARDS)
    def put(self, guild, shard):
        event = self.next_event(guild, shard)
        dropped = (self.gives_way() or event) if self.is_full else None
        self.queue.put(event)
        if dropped is not None:
            assert self.settled[dropped.seq] == "queue_full"
        if dropped is event:
            return
        if dropped is not None:
            self.leave([dropped])
        self.arrived.append(event)
        self.enter_lane(event)

    @rule(guild=GUILDS, shard=SHARDS)
    def hold(self, guild, shard):
        event = self.next_event(guild, shard)
        full = self.is_full or len(self.held) >= self.max_events // 2
        self.queue.skip(event)
        self.queue.hold(event)
        assert event.held is not full
        if full:
            assert self.settled[event.seq] == "queue_full"
            return
        if not self.held:
            self.beside.sort(key=lambda event: event.seq)
        self.arrived.append(event)
        self.held.append(event)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data):
        event = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.queue.release(event)
        self.enter_lane(event)
        assert event.seq not in self.settled

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def settle(self, data):
        event = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.queue.settle(event)
        self.leave([event])
        assert self.settled[event.seq] is None

    @rule(guild=GUILDS)
    def stop_lanes(self, guild):
        self.queue.stop_lanes(lambda event: event.guild_id == guild and not event.dropped)
        self.stopped |= {name for name, lane in self.lanes.items() if any(one.guild_id == guild for one in lane)}

    @rule()
    def start_lanes(self):
        self.queue.start_lanes()
        self.stopped.clear()

    @rule(guild=GUILDS)
    def discard(self, guild):
        free = [one for one in self.arrived if one not in self.held and one not in self.in_flight]
        unwanted = [one for one in free if one.guild_id == guild]
        assert self.queue.discard(lambda event: event.guild_id == guild) == len(unwanted)
        self.disowned |= {one.seq for one in self.in_flight if one.guild_id == guild}
        self.leave(unwanted)
        assert all(self.settled[event.seq] is None for event in unwanted)

    @rule(max_events=st.integers(1, 4))
    def take(self, max_events):
        ready = {name for name in self.lanes if self.is_ready(name)}
        batch = self.queue.take(max_events, 1 << 20)
        assert (batch is None) == (not ready)
        if batch is None:
            return
        for name in {self.lane_of(event) for event in batch.events}:
            mine = [event for event in batch.events if self.lane_of(event) == name]
            assert name in ready, "from a lane that is stopped, frozen or busy"
            assert mine == self.lanes[name][: len(mine)], "out of order"
        self.in_flight += batch.events
        self.batches.append(batch)

    def draw_batch(self, data):
        return self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def acknowledge(self, data):
        batch = self.draw_batch(data)
        self.queue.acknowledge(batch)
        self.delivered += [event.seq for event in batch.events]
        self.leave(batch.events)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def give_back(self, data):
        batch = self.draw_batch(data)
        self.queue.give_back(batch, rest=False)
        self.in_flight = [event for event in self.in_flight if event not in batch.events]
        self.leave([event for event in batch.events if event.seq in self.disowned])

    @rule(shard=SHARDS)
    def freeze(self, shard):
        self.queue.freeze(shard)
        self.frozen.add(shard)

    @rule(shard=SHARDS)
    def thaw(self, shard):
        self.queue.thaw(shard)
        self.frozen.discard(shard)

    @invariant()
    def all_is_where_it_should_be(self):
        if not hasattr(self, "queue"):
            return
        queue = self.queue
        weights = sum(len(event.raw) + EVENT_BYTES for event in self.arrived)
        assert (queue.events, queue.bytes) == (len(self.arrived), weights + LANE_BYTES * len(self.lanes))
        assert queue.has_ready is any(self.is_ready(name) for name in self.lanes)
        in_lanes = [event for event in self.arrived if event not in self.held]
        assert [event for event in self.arrived if event.held] == [one for one in self.arrived if one in self.held]
        waiting = queue.waiting(lambda _: True)
        assert sorted(waiting, key=lambda event: event.seq) == in_lanes
        assert sorted((one for lane in self.lanes.values() for one in lane), key=lambda one: one.seq) == in_lanes
        here = {event.seq for event in self.arrived}
        assert here.isdisjoint(self.settled)
        assert here | set(self.settled) == set(range(1, self.last_seq + 1)), "an event was lost"
        assert all(self.settled[seq] is None for seq in self.delivered)
        self.checkpoints_are_right()

    def checkpoints_are_right(self):
        for shard in (0, 1):
            outstanding = self.queue.shard(shard)
            first = min((event.seq for event in self.arrived if event.shard_id == shard), default=None)
            assert list(outstanding.events.values()) == [one for one in self.arrived if one.shard_id == shard]
            expected = outstanding.received_seq if first is None else first - 1
            assert outstanding.settled_seq == expected


HeldAndStopped.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=50)
TestHeldAndStopped = HeldAndStopped.TestCase
