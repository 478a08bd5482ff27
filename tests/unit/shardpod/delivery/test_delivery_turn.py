"""After an outage: events that come now do not wait for the backlog of other lanes, nor the backlog for them."""

import pytest

from shardpod.delivery import LaneQueue

PLENTY = 2**20


@pytest.fixture
def backlog(make_event):
    """A queue with a backlog of 50 events in each of 200 guilds, which the bot begins to take."""
    lanes = LaneQueue(settled=lambda _event, _reason: None)
    lanes.holding = True
    for seq in range(1, 51):
        for guild in range(200):
            lanes.put(make_event(seq, guild=f"old{guild}"))
    lanes.holding = False
    return lanes


def deliver(lanes, batches, max_events, events):
    """Take and acknowledge; before each batch one of `events` arrives. How many batches later each was delivered."""
    waits, arrived = {}, {}
    for number in range(batches):
        if events:
            event = events.pop(0)
            arrived[event.guild_id] = number
            lanes.put(event)
        batch = lanes.take(max_events, PLENTY)
        if batch is None:
            break
        for event in batch.events:
            if event.guild_id in arrived:
                waits[event.guild_id] = number - arrived[event.guild_id]
        lanes.acknowledge(batch)
    return waits


@pytest.mark.parametrize("max_events", [1, 10, 100])
def test_a_live_event_of_a_lane_without_backlog_waits_for_other_live_ones_and_not_for_the_backlog(
    backlog, make_event, max_events
):
    backlog.acknowledge(backlog.take(max_events, PLENTY))  # the first answer after the outage
    events = [make_event(1000 + number, guild=f"new{number}") for number in range(30)]
    # Lanes that were made in the outage and hold a backlog are told apart when their turn comes.
    waits = deliver(backlog, 100, max_events, events)

    assert len(waits) == 30
    assert max(waits.values()) <= 30, "as many live ones, and as many of the backlog between them"


def test_a_guild_with_several_live_events_is_not_taken_for_one_with_a_backlog(backlog, make_event):
    for seq in range(1000, 1005):
        for guild in range(10):
            backlog.put(make_event(seq, guild=f"new{guild}"))
    delivered = 0
    for _ in range(12):
        batch = backlog.take(10, PLENTY)
        delivered += sum(event.seq >= 1000 for event in batch.events)
        backlog.acknowledge(batch)

    assert delivered == 50, "all of them, with about as many of the backlog between"


def test_a_lane_of_a_few_events_from_the_outage_does_not_go_before_live_ones(make_event):
    lanes = LaneQueue(settled=lambda _event, _reason: None)
    lanes.holding = True
    for guild in range(1000):
        lanes.put(make_event(1, guild=f"old{guild}"))
    lanes.holding = False
    lanes.put(make_event(1000, guild="new"))

    assert any(event.seq == 1000 for event in lanes.take(10, PLENTY).events)


def test_a_lane_that_the_bot_is_too_slow_for_is_taken_for_a_backlog_and_others_go_between(make_event):
    lanes = LaneQueue(settled=lambda _event, _reason: None)
    for seq in range(1, 1001):
        lanes.put(make_event(seq, guild="busy"))
    assert len(lanes.take(10, PLENTY).events) == 10
    lanes.put(make_event(2000, guild="quiet"))

    assert [event.seq for event in lanes.take(10, PLENTY).events] == [2000]


def test_a_stream_of_live_events_does_not_hold_up_the_backlog(backlog, make_event):
    before = backlog.events
    events = [make_event(1000 + number, guild=f"new{number}") for number in range(500)]
    deliver(backlog, 500, 1, events)

    assert backlog.events == before, "500 came and 500 were delivered"
    delivered_of_backlog = before - sum(1 for event in backlog.shard(3).events.values() if event.seq <= 50)
    assert delivered_of_backlog >= 240


def test_a_backlog_without_live_events_fills_whole_batches(backlog):
    sizes = []
    while (batch := backlog.take(100, PLENTY)) is not None:
        sizes.append(len(batch.events))
        backlog.acknowledge(batch)

    assert sizes == [100] * 100


def test_a_lane_that_failed_gets_its_turn_among_live_events_that_fill_every_batch(backlog, make_event):
    poison = backlog.take(1, PLENTY)
    backlog.give_back(poison, rest=False)
    turns = []
    for number in range(2000):
        backlog.put(make_event(1000 + number, guild=f"new{number}"))
        batch = backlog.take(10, PLENTY)
        turns.append(poison.events[0] in batch.events)
        backlog.acknowledge(batch)
        if turns[-1]:
            break

    assert turns[-1]
