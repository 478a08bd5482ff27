"""What is held may wait for as long as an operator is away: how much of the queue it takes, and what others feel."""

from time import process_time

import pytest

from shardpod.delivery.lanes import EVENT_BYTES

PLENTY = 1 << 30
POLICIES = ["dropOldest", "dropNewest", "pause"]


def take_all(lanes):
    taken = []
    while (batch := lanes.take(1, PLENTY)) is not None:
        taken += [event.seq for event in batch.events]
        lanes.acknowledge(batch)
    return taken


@pytest.fixture
def hold(make_event):
    """Hold events of guild 1, as a worker does that has just received them."""

    def hold(lanes, *seqs, **what):
        events = [make_event(seq, guild="1", **what) for seq in seqs]
        for event in events:
            lanes.skip(event)
            lanes.hold(event)
        return events

    return hold


@pytest.mark.parametrize("overflow", POLICIES)
def test_however_much_is_held_the_events_of_other_guilds_pass(queue, hold, make_event, settled, overflow):
    lanes = queue(max_events=10, overflow=overflow)
    hold(lanes, *range(1, 101))
    settled.clear()
    for seq in range(101, 201):
        lanes.put(make_event(seq, guild="2"))
        assert not lanes.is_full, "a worker would stop reading"
        assert take_all(lanes) == [seq]

    assert settled == [(seq, None) for seq in range(101, 201)]


@pytest.mark.parametrize("overflow", POLICIES)
def test_beyond_half_of_the_queue_what_would_be_held_is_dropped_and_counted(queue, hold, settled, overflow):
    lanes = queue(max_events=10, overflow=overflow)
    events = hold(lanes, *range(1, 8))

    assert settled == [(6, "queue_full"), (7, "queue_full")]
    assert [event.held for event in events] == [True] * 5 + [False] * 2
    assert [lanes.release(event) for event in events] == [True, *[False] * 6]
    assert take_all(lanes) == [1, 2, 3, 4, 5]
    assert lanes.shard(3).settled_seq == 7


@pytest.mark.parametrize("overflow", POLICIES)
def test_half_of_the_bytes_is_the_bound_as_well(queue, hold, settled, overflow):
    lanes = queue(max_bytes=8 * (EVENT_BYTES + 100), overflow=overflow)
    hold(lanes, *range(1, 7), raw=b"x" * 100)

    assert settled == [(5, "queue_full"), (6, "queue_full")]


def test_one_event_is_held_however_small_half_of_the_queue_is(queue, hold, settled):
    lanes = queue(max_events=1)
    (event,) = hold(lanes, 1)

    assert event.held
    assert settled == []


@pytest.mark.parametrize("leave", ["release", "settle", "forget"])
def test_what_is_held_no_more_leaves_its_room_to_what_comes(queue, hold, settled, leave):
    lanes = queue(max_events=4)
    for event in hold(lanes, 1, 2):
        if leave == "forget":
            lanes.forget(3)
        else:
            getattr(lanes, leave)(event)
    take_all(lanes)
    settled.clear()
    events = hold(lanes, 3, 4, 5)

    assert [event.held for event in events] == [True, True, False]
    assert settled == [(5, "queue_full")]


def test_what_was_held_before_a_restart_is_held_again_whatever_the_bound(queue, make_event, settled):
    lanes = queue(max_events=4)
    events = [make_event(seq, guild="1") for seq in range(1, 7)]
    for event in events:
        lanes.hold_whatever_the_bound(event)

    assert settled == []
    assert all(event.held for event in events)
    assert lanes.events == 6


def test_beside_held_events_the_oldest_of_the_others_gives_way(queue, hold, make_event, settled):
    lanes = queue(max_events=6)
    lanes.put(make_event(1, guild="2", at=1.0))
    held = hold(lanes, 2, 3, at=2.0)
    for seq in (4, 5, 6):
        lanes.put(make_event(seq, guild=str(seq), shard=seq % 2, at=float(seq)))
    batch = lanes.take(1, PLENTY)
    assert [event.seq for event in batch.events] == [1]
    for seq in (7, 8):
        lanes.put(make_event(seq, guild="7", at=float(seq)))
    assert settled == [(4, "queue_full"), (5, "queue_full")], "neither what is under way nor what is held"
    lanes.give_back(batch, rest=False)
    lanes.put(make_event(9, guild="9", at=9.0))
    assert settled[2:] == [(1, "queue_full")], "which is no more under way"

    lanes.release(held[0])
    lanes.release(held[1])
    lanes.put(make_event(10, guild="10", at=10.0))
    assert settled[3:] == [(2, "queue_full")]


def test_a_full_queue_finds_what_gives_way_without_walking_past_what_is_held(queue, hold, make_event):
    lanes = queue(max_events=20_000, overflow="dropOldest")
    hold(lanes, *range(10_000))
    for seq in range(10_000, 20_000):
        lanes.put(make_event(seq, guild="2"))
    began = process_time()
    for seq in range(20_000, 21_000):
        lanes.put(make_event(seq, guild="3"))

    assert lanes.events == 20_000
    assert process_time() - began < 0.2, "0.7 s on a fast machine when it does, 10 ms when it does not"


def test_that_its_half_is_full_is_told_until_something_of_it_leaves(queue, hold):
    """Whoever says in the log that events are dropped must not take it back while they are."""
    lanes = queue(max_events=10)
    assert not lanes.drops_what_is_held

    events = hold(lanes, *range(1, 6))
    assert lanes.has_room
    assert lanes.drops_what_is_held

    lanes.release(events[0])
    assert not lanes.drops_what_is_held
