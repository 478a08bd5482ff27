"""The queue of lanes: order, bounds, and that every event leaves exactly once."""

import pytest

PLENTY = 1 << 30


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

    assert [seqs(lanes.take(1, PLENTY)) for _ in range(2)] == [[1], [3]]
    assert lanes.take(1, PLENTY) is None


def test_an_acknowledged_lane_goes_to_the_end_of_the_turn(queue, make_event):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "1"), (3, "1"), (4, "2"), (5, "2")):
        lanes.put(make_event(seq, guild=guild))
    lanes.acknowledge(lanes.take(1, PLENTY))

    assert seqs(lanes.take(1, PLENTY)) == [4]
    assert seqs(lanes.take(1, PLENTY)) == [2]


@pytest.mark.parametrize(
    ("ordering", "ready_at_once"), [("guild", [1, 2, 3, 5, 7]), ("shard", [1, 2]), ("none", [1, 2, 3, 4, 5, 6, 7, 8])]
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
    for seq, guild in ((1, "1"), (2, "2"), (3, "1"), (4, "2"), (5, "3"), (6, "3")):
        lanes.put(make_event(seq, guild=guild))

    assert seqs(lanes.take(4, PLENTY)) == [1, 3, 2, 4]
    assert seqs(lanes.take(4, PLENTY)) == [5, 6]


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
    for attempt, expected in ((1, [1, 2]), (2, [1]), (3, [1])):
        batch = lanes.take(2, PLENTY)
        assert (seqs(batch), batch.attempt) == (expected, attempt)
        lanes.give_back(batch, rest=False)
    lanes.acknowledge(lanes.take(2, PLENTY))
    batch = lanes.take(2, PLENTY)

    assert (seqs(batch), batch.attempt) == ([2, 3], 1)


def test_a_lane_that_failed_sends_one_event_at_a_time_and_in_no_other_lanes_batch(queue, make_event):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="bad"))
    failed = lanes.take(2, PLENTY)
    lanes.give_back(failed, rest=True)
    lanes.rested(failed)
    for seq in (3, 4, 5):
        lanes.put(make_event(seq, guild=str(seq)))

    assert [seqs(lanes.take(9, PLENTY)) for _ in range(2)] == [[1], [3, 4, 5]]
