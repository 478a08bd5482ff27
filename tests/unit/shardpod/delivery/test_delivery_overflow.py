"""The queue of lanes: what is dropped when it is full."""

import pytest

from shardpod.delivery.lanes import EVENT_BYTES, LANE_BYTES

PLENTY = 1 << 30


def seqs(batch):
    return [event.seq for event in batch.events]


# Overflow.


def test_drop_oldest_drops_what_waited_longest_over_all_lanes(queue, make_event, settled):
    lanes = queue(max_events=3)
    for seq, guild in ((1, "1"), (2, "2"), (3, "1"), (4, "3"), (5, "3")):
        lanes.put(make_event(seq, guild=guild))

    assert settled == [(1, "queue_full"), (2, "queue_full")]
    assert lanes.events == 3


def test_drop_oldest_never_drops_what_is_with_a_sender(queue, make_event, settled):
    lanes = queue(max_events=2)
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    batch = lanes.take(1, PLENTY)
    lanes.put(make_event(3, guild="1"))
    assert settled == [(2, "queue_full")]
    second = lanes.take(1, PLENTY)
    assert second is None
    lanes.acknowledge(batch)

    assert seqs(lanes.take(5, PLENTY)) == [3]


def test_when_all_are_with_senders_the_newest_is_dropped(queue, make_event, settled):
    lanes = queue(max_events=2)
    for seq in (1, 2):
        lanes.put(make_event(seq, guild=str(seq)))
    batches = [lanes.take(1, PLENTY), lanes.take(1, PLENTY)]

    assert not lanes.put(make_event(3, guild="3"))
    assert settled == [(3, "queue_full")]
    for batch in batches:
        lanes.acknowledge(batch)
    assert settled[1:] == [(1, None), (2, None)]


def test_drop_newest_keeps_what_is_there(queue, make_event, settled):
    lanes = queue(max_events=2, overflow="dropNewest")
    for seq in (1, 2, 3):
        lanes.put(make_event(seq))

    assert settled == [(3, "queue_full")]
    assert seqs(lanes.take(9, PLENTY)) == [1, 2]


def test_bytes_are_bounded_as_well_and_several_small_ones_make_room_for_a_large_one(queue, make_event, settled):
    each = EVENT_BYTES + LANE_BYTES + 100
    lanes = queue(max_bytes=4 * each)
    for seq in (1, 2, 3, 4):
        lanes.put(make_event(seq, guild=str(seq), raw=b"x" * 100))
    assert (lanes.bytes, settled) == (4 * each, [])
    lanes.put(make_event(5, guild="4", raw=b"x" * (2 * each)))

    assert settled == [(1, "queue_full"), (2, "queue_full"), (3, "queue_full")]
    assert lanes.bytes == LANE_BYTES + 2 * EVENT_BYTES + 100 + 2 * each


@pytest.mark.parametrize("shed_first", [[], ["MESSAGE_CREATE"]])
@pytest.mark.parametrize("overflow", ["dropOldest", "dropNewest"])
def test_an_event_larger_than_the_queue_costs_no_other_event(queue, make_event, settled, overflow, shed_first):
    lanes = queue(max_bytes=4000, overflow=overflow, shed_first=shed_first)
    lanes.put(make_event(1, raw=b"x" * 90))
    lanes.put(make_event(2, type="GUILD_CREATE", raw=b"x" * 4000))

    assert settled == [(2, "queue_full")]


def test_the_most_that_waited_and_the_age_of_the_oldest_are_told(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1", at=10.0))
    lanes.put(make_event(2, guild="2", at=12.0))
    assert lanes.oldest_age(15.0) == 5.0
    lanes.acknowledge(lanes.take(1, PLENTY))

    assert lanes.oldest_age(15.0) == 3.0
    assert lanes.longest == 2


def test_drop_oldest_works_without_any_ordering(queue, make_event, settled):
    lanes = queue(max_events=2, ordering="none")
    events = [make_event(seq) for seq in (1, 2, 3)]
    for event in events:
        lanes.put(event)

    assert settled == [(1, "queue_full")]
    assert seqs(lanes.take(9, PLENTY)) == [2, 3]


# Shed first.


def test_what_is_shed_first_goes_before_everything_else_oldest_first(queue, make_event, settled):
    lanes = queue(max_events=4, shed_first=["TYPING_START"])
    for seq, kind in enumerate(("A", "TYPING_START", "A", "TYPING_START", "A", "A", "A"), 1):
        lanes.put(make_event(seq, guild=str(seq % 2), type=kind))

    assert settled == [(2, "shed"), (4, "shed"), (1, "queue_full")]
    assert sorted(seqs(lanes.take(9, PLENTY))) == [3, 5, 6, 7]


def test_a_sheddable_event_that_finds_only_others_is_shed_itself(queue, make_event, settled):
    lanes = queue(max_events=2, shed_first=["TYPING_START"])
    for seq, kind in enumerate(("A", "A", "TYPING_START"), 1):
        lanes.put(make_event(seq, type=kind))

    assert settled == [(3, "shed")]


@pytest.mark.parametrize("overflow", ["dropNewest", "pause"])
def test_shedding_makes_room_whatever_the_overflow_policy(queue, make_event, settled, overflow):
    lanes = queue(max_events=2, shed_first=["TYPING_START"], overflow=overflow)
    for seq, kind in enumerate(("TYPING_START", "A", "A"), 1):
        lanes.put(make_event(seq, type=kind))

    assert settled == [(1, "shed")]
    assert lanes.events == 2


def test_neither_what_is_with_a_sender_nor_a_frozen_shard_is_shed_or_dropped(queue, make_event, settled):
    lanes = queue(max_events=3, shed_first=["TYPING_START"])
    lanes.put(make_event(1, guild="1", shard=0, type="TYPING_START"))
    lanes.put(make_event(2, guild="2", shard=1, type="TYPING_START"))
    lanes.put(make_event(3, guild="3", shard=1))
    assert seqs(lanes.take(1, PLENTY)) == [1]
    lanes.freeze(1)
    lanes.put(make_event(4, guild="4", shard=2))

    assert settled == [(4, "queue_full")]


def test_with_pause_nothing_is_dropped_and_the_queue_says_that_it_is_full(queue, make_event, settled):
    lanes = queue(max_events=10, overflow="pause")
    for seq in range(1, 11):
        assert not lanes.is_full
        lanes.put(make_event(seq, guild=str(seq)))
    assert lanes.is_full
    lanes.put(make_event(11, guild="11", raw=b"x" * 100_000))
    assert (lanes.events, settled) == (11, [])
    batches = [lanes.take(1, PLENTY) for _ in range(3)]
    for batch in batches[:2]:
        lanes.acknowledge(batch)
    assert (lanes.events, lanes.is_full, lanes.has_room) == (9, False, False), "it does not flap"
    lanes.acknowledge(batches[2])

    assert lanes.has_room


def test_dropped_events_do_not_pile_up_in_a_lane_that_waits(queue, make_event, settled):
    """While the bot is down no lane has its turn: what was dropped from it must go all the same."""
    lanes = queue(max_events=20, shed_first=["TYPING_START"])
    lanes.put(make_event(1, guild="1"))
    for seq in range(2, 5000):
        lanes.put(make_event(seq, guild="1", type="TYPING_START"))
    batch = lanes.take(1, PLENTY)

    assert len(batch.lanes[0].events) <= 60
    assert len(settled) == 4979
    lanes.acknowledge(batch)
    assert seqs(lanes.take(99, PLENTY)) == list(range(4981, 5000))
