"""What the queue does with lanes that are stopped for a while, and with events that are discarded."""

import pytest

PLENTY = 1 << 30


def seqs(batch):
    return [event.seq for event in batch.events]


def take_all(lanes):
    taken = []
    while (batch := lanes.take(1, PLENTY)) is not None:
        taken += seqs(batch)
        lanes.acknowledge(batch)
    return taken


def in_guild(*guilds):
    return lambda event: event.guild_id in guilds


# Stopped lanes.


def test_a_stopped_lane_gives_nothing_while_others_do(queue, make_event):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "2"), (3, "1")):
        lanes.put(make_event(seq, guild=guild))
    lanes.stop_lanes(in_guild("1"))
    assert take_all(lanes) == [2]
    assert not lanes.has_ready

    lanes.start_lanes()
    assert take_all(lanes) == [1, 3]


def test_what_comes_into_a_stopped_lane_waits_with_it(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    lanes.stop_lanes(in_guild("1"))
    assert not lanes.put(make_event(2, guild="1"))
    assert not lanes.has_ready


@pytest.mark.parametrize("answer", ["acknowledge", "first", "give_back", "rest", "bury"])
def test_what_is_under_way_when_a_lane_is_stopped_is_finished_and_nothing_follows(queue, make_event, answer):
    lanes = queue()
    for seq in (1, 2, 3):
        lanes.put(make_event(seq, guild="1"))
    batch = lanes.take(2 if answer == "first" else 1, PLENTY)
    lanes.stop_lanes(in_guild("1"))
    match answer:
        case "acknowledge":
            lanes.acknowledge(batch)
        case "first":
            lanes.give_back(lanes.acknowledge_first(batch, 1), rest=False)
        case "give_back":
            lanes.give_back(batch, rest=False)
        case "rest":
            lanes.give_back(batch, rest=True)
            lanes.rested(batch)
        case "bury":
            lanes.bury(batch)
    assert not lanes.has_ready

    lanes.start_lanes()
    assert take_all(lanes) == ([1, 2, 3] if answer in ("give_back", "rest") else [2, 3])


def test_a_lane_that_is_started_while_it_is_under_way_is_not_offered_twice(queue, make_event):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    batch = lanes.take(1, PLENTY)
    lanes.stop_lanes(in_guild("1"))
    lanes.start_lanes()
    assert lanes.take(1, PLENTY) is None

    lanes.acknowledge(batch)
    assert take_all(lanes) == [2]


def test_stopped_and_frozen_a_lane_goes_on_only_when_neither_holds(queue, make_event):
    for undo in (("thaw", "start_lanes"), ("start_lanes", "thaw")):
        lanes = queue()
        lanes.put(make_event(1, guild="1"))
        lanes.freeze(3)
        lanes.stop_lanes(in_guild("1"))
        for name in undo:
            assert not lanes.has_ready
            getattr(lanes, name)(*((3,) if name == "thaw" else ()))
        assert take_all(lanes) == [1]


def test_a_stopped_lane_may_lose_events_to_a_full_queue(queue, make_event, settled):
    lanes = queue(max_events=2)
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    lanes.stop_lanes(in_guild("1"))
    lanes.put(make_event(3, guild="2"))

    assert settled == [(1, "queue_full")]
    lanes.start_lanes()
    assert sorted(take_all(lanes)) == [2, 3]


# Discarded ones.


def test_discarded_events_leave_and_the_others_of_their_lane_go_on_in_order(queue, make_event, settled):
    lanes = queue(ordering="shard")
    for seq, guild in ((1, "1"), (2, "2"), (3, "1"), (4, "2")):
        lanes.put(make_event(seq, guild=guild))

    assert lanes.discard(in_guild("1")) == 2
    assert settled == [(1, None), (3, None)]
    assert take_all(lanes) == [2, 4]
    assert (lanes.events, lanes.bytes) == (0, 0)
    assert lanes.shard(3).settled_seq == 4


def test_discarding_all_of_a_stopped_lane_leaves_none_to_start(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    lanes.stop_lanes(in_guild("1"))
    lanes.discard(in_guild("1"))
    lanes.start_lanes()
    assert not lanes.has_ready

    assert lanes.put(make_event(2, guild="1"))
    assert take_all(lanes) == [2]


def test_discarded_while_it_is_under_way_an_event_is_not_sent_again(queue, make_event, settled):
    """The other shard set delivers it, and all that follows: a repetition from here might come long after those."""
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "2")):
        lanes.put(make_event(seq, guild=guild))
    batch = lanes.take(2, PLENTY)
    assert lanes.discard(in_guild("1")) == 0
    lanes.give_back(batch, rest=False)

    assert settled == [(1, None)]
    assert take_all(lanes) == [2]
    assert lanes.events == 0


def test_discarded_while_it_is_under_way_an_event_that_is_acknowledged_has_left(queue, make_event, settled):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    batch = lanes.take(1, PLENTY)
    lanes.discard(in_guild("1"))
    lanes.acknowledge(batch)
    again = make_event(2, guild="1")
    lanes.put(again)
    lanes.give_back(lanes.take(1, PLENTY), rest=False)

    assert settled == [(1, None)]
    assert take_all(lanes) == [2]
