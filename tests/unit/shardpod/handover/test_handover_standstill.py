"""A worker whose process stood still reads late what came in time: such times must not be compared with anything."""

import msgspec

from shardpod.handover import Verdict

FENCED_AT = 100.0


def test_a_taker_that_stood_still_before_it_was_live_never_becomes_so(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.custody.stood_still(101.0)

    assert side.state == "lost"
    assert "stood still" in side.reason


def test_what_is_expected_of_the_giver_does_not_expire_in_a_standstill(taker, live, told):
    side = live(taker(), told((1, 99.0)), until=1000.0)
    side.tick(100.5)
    side.custody.stood_still(120.0)

    assert side.receive(1, key=0, at=120.0) is Verdict.NOT_OURS, "the giver has delivered it"
    assert side.custody.taker.suppressed == 1


def test_after_a_standstill_it_has_to_watch_anew(taker, order):
    side = taker()
    assert side.custody.watching_for(90.0) == 90.0
    side.custody.stood_still(90.0)

    assert side.custody.watching_for(100.0) == 10.0
    side.follow(FENCED_AT, handover=order(go=True))
    assert side.state == "lost"


def test_a_giver_that_stood_still_does_not_fence(active, order):
    side = active(handover=order())
    side.custody.stood_still(99.0)
    side.follow(FENCED_AT, handover=order(go=True))

    assert side.state == "undone"
    assert side.receive(1, key=0, at=101.0) is Verdict.OURS


def test_a_giver_that_has_fenced_holds_whatever_happens(active, order):
    side = active(handover=order())
    side.follow(FENCED_AT, handover=order(go=True))
    side.custody.stood_still(110.0)

    assert side.state == "fenced"
    assert side.receive(1, key=0, at=110.0) is Verdict.HELD


def test_what_came_to_one_side_only_keeps_a_taker_from_beginning_unless_a_giver_is_known_to_receive_nothing(
    taker, order
):
    for blind, state in ((False, "lost"), (True, "live")):
        side = taker()
        side.receive(1, key=0, at=85.0)
        going = msgspec.structs.replace(order(go=True), blind=blind)
        side.follow(FENCED_AT, handover=going)
        side.lease(1, 110.0, FENCED_AT)
        side.activate(1, [], FENCED_AT, FENCED_AT)

        assert side.state == state
