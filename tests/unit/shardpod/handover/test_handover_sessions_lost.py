"""Sessions that end for good just before a handover: the operator decided by a report of before that."""

import pytest


def test_a_taker_whose_session_was_lost_just_before_the_go_never_goes_live(taker, order, live):
    """Of what came until its new session began nothing is replayed, and only the giver has it."""
    side = taker()
    side.custody.session_lost(1, 99.9)
    live(side)

    assert side.state == "lost"
    assert side.reason == "a session was lost or interrupted just before"


def test_a_giver_whose_session_was_lost_just_before_the_go_does_not_fence(active, order):
    side = active(now=-100.0, handover=order())
    side.custody.session_lost(1, 99.9)
    side.follow(100.0, handover=order(go=True))

    assert side.state == "undone"


@pytest.mark.parametrize(("shard", "at"), [(1, 50.0), (4, 99.9)])
def test_one_lost_long_before_or_of_a_shard_not_concerned_is_of_no_consequence(taker, live, shard, at):
    side = taker()
    side.custody.session_lost(shard, at)

    assert live(side).state == "live"


def test_a_taker_does_not_settle_while_one_of_its_sessions_is_not_connected(taker, live):
    """If that cannot be resumed, only the giver has what it missed, and drops it once the range is committed."""
    side = live(taker())
    side.tick(100.1, connected=False)
    assert not side.custody.taker.to_store
    assert side.reason == "one of its sessions is not connected"
    side.tick(100.2)

    assert side.custody.taker.to_store
    assert side.reason == "its checkpoint is being written to disk"
