"""The queue of lanes: order, bounds, and that every event leaves exactly once."""

import pytest

from shardpod.delivery import LaneQueue

PLENTY = 1 << 30


class Ledger(list):
    """The settled events as (seq, reason)."""

    def __call__(self, event, reason):
        self.append((event.seq, reason))


@pytest.fixture
def settled():
    return Ledger()


@pytest.fixture
def queue(settled):
    def make(**bounds):
        return LaneQueue(settled=settled, **bounds)

    return make


def seqs(batch):
    return [event.seq for event in batch.events]


def test_an_empty_queue_has_nothing_to_take(queue):
    lanes = queue()

    assert lanes.take(1, PLENTY) is None
    assert not lanes.has_ready
    assert lanes.oldest_age(5.0) == 0.0


def test_put_tells_when_a_lane_became_ready(queue, make_event):
    lanes = queue()
    assert lanes.put(make_event(1, guild="1"))
    assert not lanes.put(make_event(2, guild="1"))
    assert lanes.put(make_event(3, guild="2"))


def test_a_busy_lane_gives_nothing_more_while_others_do(queue, make_event):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "1"), (3, "2")):
        lanes.put(make_event(seq, guild=guild))

    assert seqs(lanes.take(1, PLENTY)) == [1]
    assert seqs(lanes.take(1, PLENTY)) == [3]
    assert lanes.take(1, PLENTY) is None


def test_an_acknowledged_lane_goes_to_the_end_of_the_turn(queue, make_event):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "1"), (3, "2")):
        lanes.put(make_event(seq, guild=guild))
    lanes.acknowledge(lanes.take(1, PLENTY))

    assert seqs(lanes.take(1, PLENTY)) == [3]
    assert seqs(lanes.take(1, PLENTY)) == [2]


@pytest.mark.parametrize(
    ("ordering", "ready_at_once"), [("guild", [1, 3, 5, 7]), ("shard", [1, 2]), ("none", [1, 2, 3, 4, 5, 6, 7, 8])]
)
def test_what_a_lane_is_depends_on_the_ordering(queue, make_event, ordering, ready_at_once):
    lanes = queue(ordering=ordering)
    wheres = [("1", 0), ("1", 1), ("2", 0), ("2", 0), (None, 0), (None, 0), (None, 1), (None, 1)]
    events = [make_event(seq, guild=guild, shard=shard) for seq, (guild, shard) in enumerate(wheres, 1)]
    for event in events:
        lanes.put(event)
    taken = []
    while (batch := lanes.take(1, PLENTY)) is not None:
        taken += seqs(batch)

    assert taken == ready_at_once


def test_a_guild_and_a_shard_of_the_same_number_are_different_lanes(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="3"))
    lanes.put(make_event(2, guild=None, shard=3))

    assert seqs(lanes.take(1, PLENTY)) == [1]
    assert seqs(lanes.take(1, PLENTY)) == [2]


# Batches.


def test_a_batch_gathers_events_of_one_lane_and_then_of_the_next(queue, make_event):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "2"), (3, "1"), (4, "2"), (5, "3")):
        lanes.put(make_event(seq, guild=guild))

    assert seqs(lanes.take(4, PLENTY)) == [1, 3, 2, 4]
    assert seqs(lanes.take(4, PLENTY)) == [5]


def test_a_batch_ends_before_it_is_too_large(queue, make_event):
    lanes = queue()
    for seq in (1, 2, 3):
        lanes.put(make_event(seq, guild=str(seq), raw=b"x" * 40))

    assert seqs(lanes.take(10, 100)) == [1, 2]
    assert seqs(lanes.take(10, 100)) == [3]


def test_an_event_larger_than_a_batch_travels_alone(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1", raw=b"x" * 500))
    lanes.put(make_event(2, guild="2"))

    assert seqs(lanes.take(10, 100)) == [1]
    assert seqs(lanes.take(10, 100)) == [2]


def test_a_lane_that_did_not_fit_is_next_and_does_not_lend_its_attempts(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="tried", raw=b"x" * 90))
    for _ in range(3):
        lanes.give_back(lanes.take(1, 100), rest=False)
    lanes.put(make_event(2, guild="fresh", raw=b"x" * 90))
    first, second = sorted((lanes.take(10, 100), lanes.take(10, 100)), key=seqs)

    assert (seqs(first), first.attempt) == ([1], 4)
    assert (seqs(second), second.attempt) == ([2], 1)


def test_a_lane_that_did_not_fit_behind_a_fresh_one_does_not_lend_its_attempts(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="tried", raw=b"x" * 90))
    tried = lanes.take(1, 100)
    lanes.give_back(tried, rest=True)
    lanes.put(make_event(2, guild="fresh", raw=b"x" * 90))
    lanes.rested(tried)

    assert (lanes.take(10, 100).attempt, lanes.take(10, 100).attempt) == (1, 2)


# Failures.


def test_a_batch_given_back_keeps_its_order_and_counts_its_attempts(queue, make_event):
    lanes = queue()
    for seq in (1, 2, 3):
        lanes.put(make_event(seq, guild="1"))
    for attempt in (1, 2, 3):
        batch = lanes.take(2, PLENTY)
        assert (seqs(batch), batch.attempt) == ([1, 2], attempt)
        lanes.give_back(batch, rest=False)
    lanes.acknowledge(lanes.take(2, PLENTY))

    assert lanes.take(2, PLENTY).attempt == 1


def test_given_back_without_rest_other_lanes_come_first(queue, make_event):
    """While the bot is down each probe asks with another lane: one that always fails must not keep it down."""
    lanes = queue()
    for seq in (1, 2, 3):
        lanes.put(make_event(seq, guild=str(seq)))
    order = []
    for _ in range(6):
        batch = lanes.take(1, PLENTY)
        order += seqs(batch)
        lanes.give_back(batch, rest=False)

    assert order == [1, 2, 3, 1, 2, 3]


def test_a_resting_lane_lets_others_go_and_comes_back(queue, make_event):
    lanes = queue()
    lanes.put(make_event(1, guild="1"))
    lanes.put(make_event(2, guild="2"))
    resting = lanes.take(1, PLENTY)
    lanes.give_back(resting, rest=True)
    assert not lanes.put(make_event(3, guild="1")), "a resting lane is not ready"

    assert seqs(lanes.take(1, PLENTY)) == [2]
    assert lanes.take(1, PLENTY) is None
    lanes.rested(resting)
    assert seqs(lanes.take(1, PLENTY)) == [1]


def test_a_resting_lane_that_was_emptied_and_refilled_is_not_in_the_turn_twice(queue, make_event, settled):
    lanes = queue(max_events=1)
    lanes.put(make_event(1, guild="1"))
    resting = lanes.take(1, PLENTY)
    lanes.give_back(resting, rest=True)
    assert lanes.put(make_event(2, guild="1")), "the lane is a new one"
    assert settled == [(1, "queue_full")]
    taken = lanes.take(1, PLENTY)
    lanes.rested(resting)

    assert seqs(taken) == [2]
    assert lanes.take(1, PLENTY) is None
    lanes.acknowledge(taken)
    assert (lanes.events, lanes.bytes) == (0, 0)


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
    lanes = queue(max_bytes=100)
    for seq in (1, 2, 3, 4):
        lanes.put(make_event(seq, guild=str(seq), raw=b"x" * 25))
    lanes.put(make_event(5, raw=b"x" * 60))

    assert settled == [(1, "queue_full"), (2, "queue_full"), (3, "queue_full")]
    assert lanes.bytes == 85


@pytest.mark.parametrize("overflow", ["dropOldest", "dropNewest"])
def test_an_event_larger_than_the_queue_costs_no_other_event(queue, make_event, settled, overflow):
    lanes = queue(max_bytes=100, overflow=overflow)
    lanes.put(make_event(1, raw=b"x" * 90))
    lanes.put(make_event(2, raw=b"x" * 101))

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
