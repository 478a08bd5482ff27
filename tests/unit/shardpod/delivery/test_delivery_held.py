"""What the queue does with events that nobody may deliver yet, and which of its events wait."""

import pytest

from shardpod.delivery.lanes import EVENT_BYTES

PLENTY = 1 << 30


def seqs(batch):
    return [event.seq for event in batch.events]


def take_all(lanes):
    taken = []
    while (batch := lanes.take(1, PLENTY)) is not None:
        taken += seqs(batch)
        lanes.acknowledge(batch)
    return taken


@pytest.fixture
def hold(make_event):
    """Hold an event, as a worker does that has just received it."""

    def hold(lanes, seq, **what):
        event = make_event(seq, **what)
        lanes.skip(event)
        lanes.hold(event)
        return event

    return hold


def in_guild(*guilds):
    return lambda event: event.guild_id in guilds


# Held events.


def test_a_held_event_counts_and_is_offered_to_nobody(queue, hold, settled):
    lanes = queue()
    event = hold(lanes, 1, raw=b"x" * 100)

    assert (lanes.events, lanes.bytes, lanes.longest) == (1, 100 + EVENT_BYTES, 1)
    assert not lanes.has_ready
    assert lanes.oldest_age(7.0) == 7.0
    assert settled == []
    assert event.held


def test_a_held_event_keeps_the_checkpoint_behind_it(queue, hold, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    held = hold(lanes, 2, guild="2")
    lanes.put(make_event(3, guild="3"))
    take_all(lanes)
    assert lanes.shard(3).settled_seq == 1

    lanes.settle(held)
    assert lanes.shard(3).settled_seq == 3


def test_a_released_event_keeps_its_place_among_what_is_outstanding(queue, hold, make_event):
    lanes = queue()
    first, second = hold(lanes, 1, guild="1"), hold(lanes, 2, guild="1")
    lanes.put(make_event(3, guild="2"))
    take_all(lanes)
    assert lanes.release(first)
    assert not lanes.release(second), "its lane was ready already"

    batch = lanes.take(1, PLENTY)
    assert seqs(batch) == [1]
    assert lanes.shard(3).settled_seq == 0
    lanes.acknowledge(batch)
    assert lanes.shard(3).settled_seq == 1
    assert take_all(lanes) == [2]
    assert lanes.shard(3).settled_seq == 3


def test_released_events_stand_behind_those_of_their_guild_that_were_taken_before(queue, hold, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    held = [hold(lanes, seq, guild="1") for seq in (2, 3)]
    for event in held:
        lanes.release(event)
    lanes.put(make_event(4, guild="1"))

    assert take_all(lanes) == [1, 2, 3, 4]


def test_a_settled_event_leaves_once_and_cannot_be_released_any_more(queue, hold, settled):
    lanes = queue()
    event = hold(lanes, 1)
    lanes.settle(event)
    lanes.settle(event)

    assert settled == [(1, None)]
    assert not lanes.release(event)
    assert (lanes.events, lanes.bytes) == (0, 0)


def test_a_released_event_is_not_settled_as_a_held_one(queue, hold, settled):
    lanes = queue()
    event = hold(lanes, 1)
    lanes.release(event)
    lanes.settle(event)

    assert settled == []
    assert take_all(lanes) == [1]


def test_what_was_held_can_be_put_again_and_counts_as_in_no_spool(queue, hold):
    lanes = queue()
    event = hold(lanes, 1)
    event.spool_id = 7
    lanes.settle(event)
    lanes.put_whatever_the_bound(event)

    assert lanes.shard(3).unspooled(1.0) == [event]
    assert take_all(lanes) == [1]


@pytest.mark.parametrize("overflow", ["dropOldest", "dropNewest"])
def test_a_full_queue_drops_what_is_to_be_held(queue, hold, make_event, settled, overflow):
    lanes = queue(max_events=1, overflow=overflow)
    lanes.put(make_event(1, guild="1"))
    event = hold(lanes, 2, guild="2")

    assert settled == [(2, "queue_full")]
    assert not event.held
    assert not lanes.release(event)
    assert lanes.events == 1


def test_a_queue_that_never_drops_holds_beyond_its_bound(queue, hold, make_event, settled):
    lanes = queue(max_events=1, overflow="pause")
    lanes.put(make_event(1, guild="1"))
    event = hold(lanes, 2, guild="2")

    assert settled == []
    assert event.held
    assert lanes.is_full


@pytest.mark.parametrize("sheds", [False, True])
def test_held_events_make_room_for_no_other(queue, hold, make_event, settled, sheds):
    lanes = queue(max_events=2, shed_first={"MESSAGE_CREATE"} if sheds else ())
    hold(lanes, 1, guild="1")
    lanes.put(make_event(2, guild="2", type="GUILD_UPDATE"))
    lanes.put(make_event(3, guild="3", type="GUILD_UPDATE"))

    assert settled == [(2, "queue_full")]
    lanes.put(make_event(4, guild="4", type="GUILD_UPDATE"))
    assert settled == [(2, "queue_full"), (3, "queue_full")]


def test_a_released_event_can_be_dropped_like_any_other(queue, hold, make_event, settled):
    lanes = queue(max_events=1)
    lanes.release(hold(lanes, 1, guild="1"))
    lanes.put(make_event(2, guild="2"))

    assert settled == [(1, "queue_full")]


def test_a_released_event_of_a_shard_that_is_being_given_away_waits(queue, hold):
    lanes = queue()
    event = hold(lanes, 1)
    lanes.freeze(3)
    assert not lanes.release(event)
    assert lanes.take(1, PLENTY) is None

    lanes.thaw(3)
    assert take_all(lanes) == [1]


def test_a_forgotten_shard_takes_its_held_events_with_it(queue, hold, settled):
    lanes = queue()
    event = hold(lanes, 1)
    lanes.freeze(3)
    lanes.forget(3)
    lanes.settle(event)

    assert not lanes.release(event)
    assert (lanes.events, lanes.bytes, settled) == (0, 0, [])


def test_of_what_waited_in_a_spool_for_the_other_set_it_is_told_that_it_has_left(queue, make_event, settled):
    lanes = queue()
    lanes.disown(make_event(1))

    assert settled == [(1, None)]
    assert lanes.events == 0


# What waits.


def test_what_waits_is_what_is_in_lanes_or_under_way(queue, hold, make_event):
    lanes = queue()
    events = [make_event(seq, guild="1") for seq in (1, 2)]
    for event in events:
        lanes.put(event)
    other = make_event(3, guild="2")
    lanes.put(other)
    held = hold(lanes, 4, guild="1")
    batch = lanes.take(1, PLENTY)

    assert lanes.waiting(in_guild("1")) == events
    lanes.acknowledge(batch)
    assert [lanes.is_waiting(event) for event in events] == [False, True]
    lanes.release(held)
    assert lanes.waiting(in_guild("1")) == [events[1], held]


def test_what_is_under_way_or_held_is_not_discarded(queue, make_event, hold):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    batch = lanes.take(1, PLENTY)
    held = hold(lanes, 3, guild="1")

    assert lanes.discard(in_guild("1")) == 1
    lanes.acknowledge(batch)
    assert lanes.waiting(in_guild("1")) == []
    assert held.held
    assert lanes.events == 1
