"""The queue of lanes: batches that end in part, dead letters, and shards that are given away."""

PLENTY = 1 << 30


def seqs(batch):
    return [event.seq for event in batch.events]


# Acknowledged in part, and buried.


def test_what_was_acknowledged_of_a_batch_leaves_and_the_rest_stays_under_way(queue, make_event, settled):
    lanes = queue()
    for seq, guild in ((1, "1"), (2, "1"), (3, "2"), (4, "2"), (5, "3"), (6, "1"), (7, "3")):
        lanes.put(make_event(seq, guild=guild))
    batch = lanes.take(7, PLENTY)
    assert seqs(batch) == [1, 2, 6, 3, 4, 5, 7]
    rest = lanes.acknowledge_first(batch, 4)

    assert settled == [(1, None), (2, None), (6, None), (3, None)]
    assert seqs(rest) == [4, 5, 7]
    assert [lane.key for lane in rest.lanes] == ["2", "3"]
    assert not lanes.has_ready
    lanes.put(make_event(8, guild="1"))
    assert seqs(lanes.take(1, PLENTY)) == [8], "its lane has nothing under way any more"
    lanes.give_back(rest, rest=False)
    assert sorted(seqs(lanes.take(1, PLENTY)) for _ in range(2)) == [[4], [5]]


def test_a_success_in_part_clears_the_lanes_record_of_failures(queue, make_event):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    batch = lanes.take(2, PLENTY)
    batch.lanes[0].strikes = 5
    rest = lanes.acknowledge_first(batch, 1)
    lanes.give_back(rest, rest=False)
    again = lanes.take(2, PLENTY)

    assert (seqs(again), again.attempt, again.lanes[0].strikes) == ([2], 2, 0)


def test_a_buried_event_leaves_as_a_dead_letter_and_its_lane_goes_on(queue, make_event, settled):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1"))
    lanes.give_back(lanes.take(1, PLENTY), rest=False)
    lanes.bury(lanes.take(1, PLENTY))
    batch = lanes.take(1, PLENTY)

    assert settled == [(1, "dead_letter")]
    assert (seqs(batch), batch.attempt) == ([2], 1)


# A shard that is given away.


def test_a_guilds_event_that_came_by_another_shard_is_in_a_lane_of_its_own(queue, make_event, settled):
    """An entitlement names its guild and comes by shard 0: that lane must not go away with the guild's shard."""
    lanes = queue()
    lanes.put(make_event(1, guild="100", shard=0, type="ENTITLEMENT_CREATE"))
    lanes.put(make_event(2, guild="100", shard=5))
    lanes.forget(5)
    batch = lanes.take(9, PLENTY)

    assert seqs(batch) == [1]
    lanes.acknowledge(batch)
    assert (lanes.events, lanes.bytes, settled) == (0, 0, [(1, None)])


def test_of_a_frozen_shard_nothing_is_taken_and_what_is_under_way_may_still_end(queue, make_event, settled):
    lanes = queue()
    for seq, guild, shard in ((1, "1", 0), (2, "1", 0), (3, "2", 0), (4, "9", 1), (6, "2", 0), (7, "9", 1)):
        lanes.put(make_event(seq, guild=guild, shard=shard))
    under_way = lanes.take(1, PLENTY)
    lanes.freeze(0)
    assert not lanes.put(make_event(5, guild="3", shard=0))

    assert seqs(lanes.take(9, PLENTY)) == [4, 7]
    assert lanes.shard(0).in_flight
    lanes.acknowledge(under_way)
    assert not lanes.shard(0).in_flight
    assert lanes.take(9, PLENTY) is None
    assert settled == [(1, None)]
    lanes.thaw(0)
    assert sorted(seqs(lanes.take(9, PLENTY))) == [2, 3, 5, 6]


def test_what_a_frozen_shard_had_under_way_and_failed_stays_first_when_it_thaws(queue, make_event):
    lanes = queue()
    for seq in (1, 2):
        lanes.put(make_event(seq, guild="1", shard=0))
    under_way = lanes.take(1, PLENTY)
    lanes.freeze(0)
    lanes.give_back(under_way, rest=True)
    lanes.rested(under_way)
    assert lanes.take(1, PLENTY) is None
    lanes.thaw(0)
    lanes.rested(under_way)

    assert seqs(lanes.take(1, PLENTY)) == [1]
    assert lanes.take(1, PLENTY) is None


def test_a_forgotten_shard_leaves_nothing_behind_and_settles_nothing(queue, make_event, settled):
    lanes = queue(shed_first=["TYPING_START"])
    lanes.put(make_event(1, guild="1", shard=0))
    resting = lanes.take(1, PLENTY)
    lanes.give_back(resting, rest=True)
    lanes.put(make_event(2, guild="2", shard=0, type="TYPING_START"))
    lanes.put(make_event(3, guild="9", shard=1))
    lanes.freeze(0)
    lanes.forget(0)
    lanes.rested(resting)
    batch = lanes.take(9, PLENTY)

    assert seqs(batch) == [3]
    assert settled == []
    lanes.acknowledge(batch)
    assert (lanes.events, lanes.bytes) == (0, 0)
    lanes.forget(77)


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
