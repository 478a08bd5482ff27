"""The taker that goes live: it aligns with what the giver saw, and settles."""

from shardpod.handover import Verdict

FENCED_AT = 100.0
LEASE = 110.0


def test_it_delivers_first_what_came_here_and_not_to_the_giver_before_its_fence(taker, live, told):
    side = taker()
    for n, at in ((1, 97.0), (2, 98.0), (3, 99.5)):
        side.receive(n, key=0, at=at)
    live(side, told((1, 97.5)))
    side.receive(4, key=0, at=100.5)

    assert side.deliver() == [2, 3, 4]
    assert all(side.contents.values())


def test_what_the_giver_delivered_and_comes_here_later_is_passed_over_once(taker, live, told):
    side = live(taker(), told((1, 99.0)))

    assert side.receive(1, key=0, at=101.0) is Verdict.NOT_OURS
    assert side.custody.taker.suppressed == 1
    assert side.receive(1, key=0, at=101.5) is Verdict.OURS, "its look-alike is another event"


def test_a_counterpart_that_comes_while_the_lease_is_over_is_passed_over_too(taker, live, told):
    side = live(taker(), told((1, 109.0)))
    side.tick(LEASE)

    assert side.receive(1, key=0, at=110.5) is Verdict.NOT_OURS


def test_an_event_with_an_id_of_its_own_is_matched_although_it_comes_late(taker, live, told):
    side = live(taker(), told((1, 95.0), type="MESSAGE_CREATE"), until=1000.0)

    assert side.receive(1, key=0, at=101.9, type="MESSAGE_CREATE") is Verdict.NOT_OURS


def test_what_is_missing_on_the_other_side_and_too_old_to_be_delivered_sends_the_range_back(taker, live):
    side = taker()
    side.receive(1, key=0, at=90.0)
    live(side)

    assert side.state == "lost"
    assert "1 came to the takers only" in side.reason
    assert side.deliver() == []


def test_what_is_older_than_what_the_giver_tells_is_not_delivered(taker, live):
    side = taker()
    side.receive(1, key=0, at=75.0)
    side.receive(2, key=0, at=96.0)
    live(side)

    assert side.deliver() == [2]


def test_a_long_wait_for_the_lease_forgets_nothing(taker, order, live):
    side = taker()
    side.receive(1, key=0, at=96.0)
    side.follow(FENCED_AT, handover=order(go=True))
    for second in range(101, 131):
        side.receive(second, key=0, at=float(second))
        side.tick(float(second))
    side.lease(1, 140.0, 131.0)
    side.activate(1, [], FENCED_AT, 131.0)

    assert side.deliver() == [1, *range(101, 131)]


def test_when_payloads_since_the_fence_are_forgotten_the_range_has_to_go_back(taker, order):
    side = taker()
    side.receive(1, key=0, at=99.0)
    side.follow(FENCED_AT, handover=order(go=True))
    for now in (101.0, 161.0, 161.1):  # longer than anybody waits
        side.tick(now)
    side.lease(1, 170.0, 162.0)
    side.activate(1, [], FENCED_AT, 162.0)

    assert side.state == "lost"
    assert "too long ago" in side.reason
    assert side.deliver() == []


# Settling.


def test_it_is_settled_when_what_it_kept_is_acknowledged_and_stored(taker, live):
    side = taker()
    side.receive(1, key=0, at=99.0)
    live(side)
    taker_of = side.custody.taker
    side.tick(100.1)
    assert (side.state, taker_of.to_store) == ("live", False)
    assert "1 kept events" in side.reason

    side.deliver()
    side.tick(100.2)
    assert (side.state, taker_of.to_store) == ("live", True)
    taker_of.stored()
    assert (side.state, taker_of.to_store) == ("settled", False)


def test_it_is_not_settled_before_expected_events_came(taker, live, told):
    side = live(taker(), told((1, 99.0)))
    assert not side.custody.taker.to_store

    side.receive(1, key=0, at=100.5)
    side.tick(100.6)
    assert side.custody.taker.to_store


def test_it_is_not_settled_by_the_silence_of_a_session_that_may_be_dead(taker, live, told):
    side = live(taker(), told((1, 99.0)), until=1000.0)
    side.tick(140.0, heard_at=100.0)
    assert not side.custody.taker.to_store

    assert side.receive(1, key=0, at=141.0, since=98.0) is Verdict.NOT_OURS
    side.tick(141.1)
    assert side.custody.taker.to_store


def test_it_is_settled_when_expected_events_can_come_no_more(taker, live, told):
    side = live(taker(), told((1, 99.0)), until=1000.0)
    side.tick(106.0)
    assert not side.custody.taker.to_store

    side.tick(106.1)
    assert side.custody.taker.to_store


def test_while_its_session_is_not_connected_nothing_expected_expires(taker, live, told):
    side = live(taker(), told((1, 99.0)), until=1000.0)
    side.tick(101.0, connected=False)
    side.tick(151.0, connected=False)
    side.tick(151.1)
    assert not side.custody.taker.to_store
    assert side.receive(1, key=0, at=152.0) is Verdict.NOT_OURS


def test_it_is_not_settled_by_a_checkpoint_that_is_stored_after_the_lease(taker, live):
    side = live(taker())
    side.tick(100.1)
    side.tick(LEASE)
    side.custody.taker.stored()

    assert side.state == "expired"
    side.lease(1, 120.0, 111.0)
    assert side.state == "live"


def test_a_settled_taker_needs_its_lease_as_well(taker, live):
    side = live(taker())
    side.custody.taker.stored()
    side.tick(LEASE)
    assert side.state == "expired"

    side.lease(1, 120.0, 111.0)
    assert side.state == "settled"
