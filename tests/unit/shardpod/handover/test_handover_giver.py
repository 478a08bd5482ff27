"""The giver: it delivers until its fence, and holds what follows until somebody else says whose that is."""

import pytest

from shardpod.handover import Verdict, fingerprint


@pytest.fixture
def giver(active, order):
    """It watches since 0, and pending shards 0..2 are to be compared: keys 0, 1 and 2 of 6."""

    def make(**changes):
        return active(**{"handover": order(), **changes})

    return make


@pytest.fixture
def fence(order):
    def fence(side, now=100.0):
        side.follow(now, handover=order(go=True))
        return side

    return fence


def test_while_the_sets_are_compared_it_delivers_as_ever(giver):
    side = giver()

    assert side.state == "rehearsing"
    assert side.receive(1, key=0) is Verdict.OURS
    assert side.deliver() == [1]


def test_a_fence_with_nothing_under_way_is_there_at_once(giver, fence):
    assert fence(giver()).state == "fenced"


def test_one_that_has_not_watched_long_enough_does_not_fence(active, order):
    side = active(now=67.1, handover=order())
    side.follow(100.0, handover=order(go=True))

    assert side.state == "undone"
    assert "started again" in side.reason
    assert side.receive(1, key=0) is Verdict.OURS


def test_it_holds_the_range_from_its_fence_on_and_delivers_all_else(giver, fence):
    side = fence(giver())

    assert [side.receive(n, key=key) for n, key in ((1, 0), (2, 2), (3, 3), (4, 5))] == [
        Verdict.HELD,
        Verdict.HELD,
        Verdict.OURS,
        Verdict.OURS,
    ]
    assert sorted(side.deliver()) == [3, 4]


def test_it_is_fenced_only_when_the_bot_has_all_that_was_taken_of_the_range(giver, fence):
    side = giver()
    side.receive(1, key=0)
    side.receive(2, key=3)  # of no concern
    waiting = [side.queue.take(1, 1 << 20) for _ in range(2)]
    fence(side)
    side.tick(101.0)

    assert side.state == "fencing"
    assert "1 events of the range" in side.reason

    side.queue.acknowledge(next(batch for batch in waiting if batch.events[0].seq == 1))
    side.tick(101.1)

    assert side.state == "fenced"


def test_events_under_way_are_told_from_those_of_the_same_place_later(giver, fence):
    side = giver()
    side.receive(1, key=0)
    fence(side)
    side.deliver()
    side.receive(2, key=0)
    side.tick(100.1)

    assert side.state == "fenced"


def test_a_fence_that_takes_too_long_is_undone_and_what_was_held_is_delivered_in_order(giver, fence):
    side = giver()
    side.receive(1, key=0)
    batch = side.queue.take(1, 1 << 20)
    fence(side, 100.0)
    side.receive(2, key=0)
    side.receive(3, key=0)
    side.tick(102.0)
    assert side.state == "fencing"

    side.tick(102.1)
    assert side.state == "undone"
    assert "within 2 s" in side.reason
    assert side.receive(4, key=0) is Verdict.OURS
    side.queue.acknowledge(batch)

    assert side.deliver() == [2, 3, 4]
    assert not any(side.contents.values()), "nobody else ever delivers them"


def test_an_undone_fence_is_not_made_again_under_its_number(giver, fence, order):
    side = giver()
    side.receive(1, key=0)
    fence(side, 100.0)
    side.tick(103.0)
    side.deliver()
    side.follow(104.0, handover=order(go=True))
    side.tick(105.0)

    assert side.state == "undone"
    assert side.receive(2, key=0) is Verdict.OURS


def test_after_an_undone_fence_another_handover_can_be_made(giver, fence, order):
    side = giver()
    side.receive(1, key=0)
    fence(side, 100.0)
    side.tick(103.0)
    side.deliver()
    side.follow(104.0, handover=None)
    side.follow(150.0, handover=order(2))
    side.follow(151.0, handover=order(2, go=True))

    assert side.state == "fenced"


def test_a_complete_fence_stays_however_long_nobody_answers(giver, fence):
    side = fence(giver())
    side.receive(1, key=0)
    side.tick(10_000.0)

    assert side.state == "fenced"
    assert side.deliver() == []


def test_what_is_given_back_is_delivered_in_order_with_its_content(giver, fence, numbered):
    side = fence(giver())
    for n in (1, 2, 3):
        side.receive(n, key=n % 2)
    side.follow(120.0, handover=None)
    side.receive(4, key=1, at=160.0)

    assert side.state is None
    delivered = side.deliver()
    assert [n for n in delivered if n != 2] == [1, 3, 4], "a guild's events keep their order"
    assert sorted(delivered) == [1, 2, 3, 4]
    held = numbered(2)
    assert side.contents[2] == fingerprint(held.type, held.raw).hex()
    assert side.contents[4] == ""


def test_what_is_committed_is_settled_here_and_not_delivered(giver, fence):
    side = fence(giver())
    side.receive(1, key=0)
    side.receive(2, key=0)
    assert side.settled == []
    side.follow(120.0, handed=((0, 2),), handover=None)

    assert side.settled == [(1, None), (2, None)]
    assert side.deliver() == []
    assert side.queue.events == 0
    assert side.receive(3, key=0) is Verdict.NOT_OURS


def test_held_events_keep_the_checkpoint_behind_them_until_they_are_settled(giver, fence):
    side = fence(giver())
    side.receive(5, key=0)
    side.receive(6, key=4)  # the same active shard, and not of the range
    side.deliver()
    assert side.settled_seq[0] == 4

    side.follow(120.0, handed=((0, 2),), handover=None)
    assert side.settled_seq[0] == 6


def test_a_lost_session_does_not_end_the_hold(giver, fence):
    side = fence(giver())
    side.receive(1, key=0)
    side.custody.session_lost(0, 100.0)
    side.tick(101.0)

    assert side.state == "fenced"
    assert side.deliver() == []


# What it tells the taker.


def keys_and_times(tail):
    return [(seen.key, seen.at) for seen in tail]


def test_before_the_fence_it_tells_what_it_saw_of_the_range_within_the_tail(giver):
    side = giver()
    for n, (key, at) in enumerate(((0, 60.0), (1, 80.0), (3, 81.0), (2, 99.0)), 1):
        side.receive(n, key=key, at=at)

    assert keys_and_times(side.all_of(1, 100.0, go=False)) == [(1, 80.0), (2, 99.0)]
    assert side.all_of(1, 100.0, go=True) is None, "it has not fenced"


def test_it_tells_only_of_the_guilds_that_are_asked_for(giver):
    side = giver()
    for n in range(6):
        side.receive(n + 1, key=n, at=99.0)
    tail = side.custody.tail(1, lambda key: key % 6 == 2, 100.0, go=False)

    assert keys_and_times(tail) == [(2, 99.0)]


def test_after_the_fence_it_tells_what_came_before_it_and_nothing_later(giver, fence):
    side = giver()
    side.receive(1, key=0, at=99.0)
    side.deliver()
    fence(side, 100.0)
    side.receive(2, key=0, at=100.5)

    assert keys_and_times(side.all_of(1, 110.0, go=True)) == [(0, 99.0)]
    assert side.custody.fence_age(110.0) == 10.0
    assert side.all_of(1, 110.0, go=False) is None, "there is nothing to rehearse any more"


def test_it_tells_nothing_while_events_are_under_way_nor_when_its_fence_was_undone(giver, fence):
    side = giver()
    side.receive(1, key=0, at=99.0)
    fence(side, 100.0)
    assert side.all_of(1, 100.1, go=True) is None

    side.tick(103.0)
    assert side.state == "undone"
    assert side.all_of(1, 103.0, go=True) is None
    assert side.all_of(1, 103.0, go=False) is None


def test_it_tells_nothing_of_another_handover(giver):
    assert giver().all_of(2, 100.0, go=False) is None


# Started again in the middle.


def test_a_giver_that_begins_in_the_middle_is_lost_and_holds_the_whole_range(active, order):
    side = active(now=100.0, resuming=True, handover=order(go=True))

    assert side.state == "lost"
    assert "started again" in side.reason
    assert side.receive(1, key=0) is Verdict.HELD
    assert side.receive(2, key=3) is Verdict.OURS
    assert side.all_of(1, 101.0, go=True) is None
    side.tick(200.0)
    assert side.deliver() == [2]


def test_what_waited_when_a_giver_was_started_again_is_held_as_well(active, order, numbered):
    side = active(now=100.0, resuming=True, handover=order(go=True))

    assert side.custody.restored(numbered(1, key=0)) is Verdict.HELD
    assert side.custody.restored(numbered(2, key=3)) is Verdict.OURS
    assert side.custody.restored(numbered(3, key=0, type="READY")) is Verdict.OURS


@pytest.mark.parametrize(("handed", "delivered"), [((), [1, 2]), (((0, 2),), [])])
def test_a_lost_giver_delivers_what_it_held_only_when_it_is_given_back(active, order, handed, delivered):
    side = active(now=100.0, resuming=True, handover=order(go=True))
    side.receive(1, key=0)
    side.receive(2, key=0)
    side.follow(110.0, handed=handed, handover=None)

    assert side.deliver() == delivered
    assert side.queue.events == 0


def test_one_that_is_started_again_before_the_go_is_not_lost(active, order):
    assert active(now=100.0, resuming=True, handover=order()).state == "rehearsing"


def test_what_comes_soon_after_the_range_was_given_back_tells_its_content_for_the_taker_may_have_delivered_it(
    giver, fence
):
    side = fence(giver())
    side.follow(103.0, handover=None)
    for number, key, at in ((1, 0, 104.0), (2, 3, 104.0), (3, 0, 150.0)):
        assert side.receive(number, key=key, at=at) is Verdict.OURS
    side.deliver()

    assert [bool(side.contents[number]) for number in (1, 2, 3)] == [True, False, False]


def test_a_worker_that_was_started_again_tells_contents_for_it_does_not_know_what_was_given_back(active, orders):
    """What a taker had delivered may come again by its replay, or from its spool."""
    told_for = orders(1).windows.history
    side = active(now=100.0, resuming=True)
    longest = told_for + 60.0  # a handover that waits for its lease
    for number, at in ((1, 99.9 - longest), (2, 100.1 - longest), (3, 99.9 + told_for), (4, 100.1 + told_for)):
        side.receive(number, key=3, at=at)
    side.deliver()

    assert [bool(side.contents[number]) for number in (1, 2, 3, 4)] == [False, True, True, False]
