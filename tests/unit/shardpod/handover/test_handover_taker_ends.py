"""How a taker's part ends: by commit, given back, or with a loss."""

import pytest

from shardpod.handover import Verdict

FENCED_AT = 100.0
LEASE = 110.0


def test_after_the_commit_it_delivers_without_a_lease(taker, live):
    side = live(taker())
    side.follow(101.0, handed=((0, 2),), handover=None)
    side.tick(500.0)

    assert side.state is None
    assert side.receive(1, key=0, at=500.0) is Verdict.OURS
    assert side.deliver() == [1]
    assert side.contents[1] == ""


def test_a_commit_during_an_expired_lease_lets_all_go_on(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    side.tick(LEASE)
    side.receive(2, key=0, at=110.5)
    side.follow(111.0, handed=((0, 2),), handover=None)

    assert side.deliver() == [1, 2]


def test_given_back_it_discards_what_waits_and_what_it_holds(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    side.tick(LEASE)
    side.receive(2, key=0, at=110.5)
    side.follow(120.0, handover=None)

    assert side.deliver() == []
    assert side.queue.events == 0
    assert sorted(side.settled) == [(1, None), (2, None)]
    assert side.receive(3, key=0, at=120.5) is Verdict.NOT_OURS


def test_given_back_what_is_under_way_is_not_called_back(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    side.receive(2, key=0, at=109.1)
    batch = side.queue.take(1, 1 << 20)
    side.tick(LEASE)
    side.follow(120.0, handover=None)
    side.queue.acknowledge(batch)

    assert side.settled == [(2, None), (1, None)]
    assert not side.queue.has_ready


def test_given_back_before_its_lease_it_is_as_it_was(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.receive(1, key=0, at=101.0)
    side.follow(105.0, handover=None)

    assert side.receive(2, key=0, at=106.0) is Verdict.NOT_OURS
    assert side.queue.events == 0


# Losses.


def test_a_session_that_is_lost_before_the_go_is_of_no_consequence(taker):
    side = taker(compared_at=None)
    side.custody.session_lost(0, 50.0)

    assert side.state == "rehearsing"


def test_the_session_of_another_shard_is_of_no_consequence(taker, live):
    side = live(taker())
    side.custody.session_lost(4, 100.0)

    assert side.state == "live"


def test_a_session_lost_while_it_waits_ends_its_part(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.custody.session_lost(1, 100.0)
    side.lease(1, LEASE, 101.0)
    side.activate(1, [], FENCED_AT, 101.0)

    assert side.state == "lost"
    assert side.receive(1, key=0, at=101.5) is Verdict.NOT_OURS


@pytest.mark.parametrize("settled", [False, True])
def test_a_session_lost_while_it_is_live_stops_it_and_it_holds(taker, live, settled):
    side = live(taker())
    if settled:
        side.custody.taker.stored()
    side.receive(1, key=0, at=100.5)
    side.custody.session_lost(1, 100.0)
    side.carry_out()

    assert side.state == "lost"
    assert side.receive(2, key=0, at=101.0) is Verdict.HELD
    assert side.deliver() == []
    side.lease(1, 200.0, 102.0)
    assert side.state == "lost", "no lease brings it back"


@pytest.mark.parametrize(("handed", "delivered"), [(((0, 2),), [1, 2]), ((), [])])
def test_what_a_taker_held_that_was_lost_goes_with_the_range(taker, live, handed, delivered):
    side = live(taker())
    side.custody.taker.stored()  # the operator may have heard it, and commit
    side.receive(1, key=0, at=100.5)
    side.custody.session_lost(1, 100.0)
    side.carry_out()
    side.receive(2, key=0, at=101.0)
    side.follow(102.0, handed=handed, handover=None)

    assert side.deliver() == delivered
    assert side.queue.events == 0


def test_a_taker_that_begins_in_the_middle_is_lost_and_never_goes_live(pending, order):
    side = pending(now=100.0, resuming=True, handover=order(go=True))
    side.lease(1, LEASE, 101.0)
    side.activate(1, [], FENCED_AT, 101.0)

    assert side.state == "lost"
    assert "started again" in side.reason


@pytest.mark.parametrize(("handed", "delivered"), [(((0, 2),), [1, 2]), ((), [])])
def test_a_taker_that_begins_in_the_middle_holds_until_it_is_known_whose_the_range_is(
    pending, order, numbered, handed, delivered
):
    side = pending(now=100.0, resuming=True, handover=order(go=True))
    waited = numbered(1, key=0, count=6)
    assert side.custody.restored(waited) is Verdict.HELD
    side.carry_out()
    side.queue.hold(waited)
    side.receive(2, key=0, at=101.0)
    side.follow(102.0, handed=handed, handover=None)

    assert side.deliver() == delivered
    assert side.queue.events == 0
