"""The taker before it is live, and its lease."""

import pytest

from shardpod.handover import Verdict, fingerprint

FENCED_AT = 100.0
LEASE = 110.0


def test_it_delivers_nothing_of_the_range_before_it_is_live(taker, order):
    side = taker(compared_at=None)
    assert side.state == "rehearsing"
    assert side.receive(1, key=0, at=99.0) is Verdict.NOT_OURS
    side.follow(FENCED_AT, handover=order(go=True))

    assert side.state == "waiting"
    assert side.receive(2, key=0, at=100.0) is Verdict.NOT_OURS


def test_it_is_rehearsed_while_both_sides_saw_the_same(taker, told):
    side = taker()
    side.receive(1, key=0, at=90.0)
    side.custody.rehearse(1, told((1, 90.5)), 100.0, 100.0)
    assert side.state == "rehearsed"
    assert side.reason is None

    side.custody.rehearse(1, told((1, 90.5), (2, 92.0)), 100.5, 100.5)
    assert side.state == "rehearsing"
    assert "0 came to the takers only, and 1 to the givers only" in side.reason


def test_a_rehearsal_that_is_not_repeated_counts_no_more(taker):
    side = taker()
    side.custody.rehearse(1, [], 100.0, 100.0)
    side.tick(103.0)
    assert side.state == "rehearsed"

    side.tick(103.1)
    assert side.state == "rehearsing"
    assert "too old" in side.reason


def test_a_rehearsal_of_another_handover_says_nothing(taker):
    side = taker(compared_at=None)
    side.custody.rehearse(2, [], 100.0, 100.0)

    assert side.state == "rehearsing"


def test_it_does_not_rehearse_any_more_once_it_waits_for_the_lease(taker, told, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.custody.rehearse(1, told((1, 90.0)), 100.0, 100.0)

    assert side.state == "waiting"


def test_it_has_no_tail_to_tell(taker):
    assert taker().all_of(1, 100.0, go=False) is None


@pytest.mark.parametrize(("watched", "state"), [(32.9, "lost"), (33.1, "waiting")])
def test_one_that_has_not_watched_long_enough_takes_no_part(pending, order, watched, state):
    side = pending(now=FENCED_AT - watched, handover=order())
    side.follow(FENCED_AT, handover=order(go=True))

    assert side.state == state


# The lease.


def test_without_a_lease_it_does_not_begin(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.activate(1, [], FENCED_AT, FENCED_AT)

    assert side.state == "waiting"


def test_a_lease_that_has_not_long_to_last_is_not_begun_with(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.lease(1, 104.0, FENCED_AT)
    assert side.custody.taker.may_activate(101.9)
    assert not side.custody.taker.may_activate(102.0), "its answer must still be good for a fence's timeout"


def test_the_lease_of_another_handover_is_of_no_use(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.lease(2, LEASE, FENCED_AT)

    assert not side.custody.taker.may_activate(FENCED_AT)


def test_with_its_lease_it_delivers_what_comes_with_its_content(taker, live, numbered):
    side = live(taker())
    assert side.state == "live"
    assert side.receive(1, key=0, at=100.5) is Verdict.OURS

    assert side.deliver() == [1]
    event = numbered(1)
    assert side.contents[1] == fingerprint(event.type, event.raw).hex()


def test_before_anything_is_sent_it_can_be_asked_whether_its_lease_is_over(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    assert not side.custody.expires(109.9)

    assert side.custody.expires(LEASE)
    side.carry_out()
    assert side.deliver() == []
    assert not side.custody.expires(LEASE + 1), "that is known already"


def test_other_ranges_are_as_before(taker, live):
    side = live(taker(handed=((5, 5),)))

    assert side.receive(1, key=3, at=100.5) is Verdict.NOT_OURS
    assert side.receive(2, key=5, at=100.5) is Verdict.OURS


def test_when_its_lease_runs_out_it_sends_nothing_more_and_holds_what_comes(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    side.tick(LEASE)
    assert side.state == "expired"
    assert side.receive(2, key=0, at=110.5) is Verdict.HELD
    assert side.deliver() == []


def test_the_first_event_after_the_end_of_the_lease_notices_it_before_any_tick(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)

    assert side.receive(2, key=0, at=LEASE) is Verdict.HELD
    assert side.state == "expired"
    assert side.deliver() == []


def test_with_a_new_lease_it_goes_on_where_it_stopped(taker, live):
    side = live(taker())
    side.receive(1, key=0, at=109.0)
    side.tick(LEASE)
    side.receive(2, key=0, at=110.5)
    side.lease(1, 115.0, 111.0)
    side.receive(3, key=0, at=111.5)

    assert side.state == "live"
    assert side.deliver() == [1, 2, 3]


def test_a_lease_is_never_shortened_nor_taken_up_when_it_is_over(taker, live):
    side = live(taker())
    side.lease(1, 105.0, 100.1)
    side.tick(109.9)
    assert side.state == "live"

    side.tick(LEASE)
    side.lease(1, 110.5, 110.5)
    assert side.state == "expired"


def test_other_guilds_go_on_while_the_lease_is_over(taker, live):
    side = live(taker(handed=((5, 5),)))
    side.receive(1, key=0, at=109.0)
    side.receive(2, key=5, at=109.0)
    side.tick(LEASE)

    assert side.deliver() == [2]
