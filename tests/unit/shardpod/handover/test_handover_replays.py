"""What a taker's session gets by a replay, long after the giver had it, is the same event all the same.

Found by the simulated reshards: a new pod whose node lost its network before the fence, and had it again seconds later,
delivered once more what the giver had delivered just before the fence.
"""

import pytest

from shardpod.handover import Verdict

FENCED_AT = 100.0
LONG_AFTER = 120.0
LEASE = 140.0


@pytest.fixture
def gone_live_late(live):
    """Bring a taker from the go to a lease that came long after."""

    def gone(side, theirs):
        return live(side, theirs, until=LEASE, now=LONG_AFTER, gone_at=FENCED_AT)

    return gone


def test_what_was_replayed_before_it_is_live_is_matched_with_what_the_giver_delivered(
    taker, gone_live_late, told, order
):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.receive(1, key=0, at=LONG_AFTER - 0.1, since=98.0)
    side.receive(2, key=0, at=LONG_AFTER - 0.1, since=98.0)
    gone_live_late(side, told((1, 99.0)))

    assert side.state == "live"
    assert side.deliver() == [2]


def test_what_is_replayed_once_it_is_live_is_matched_as_well(taker, gone_live_late, told):
    side = gone_live_late(taker(), told((1, 99.0)))

    assert side.receive(1, key=0, at=LONG_AFTER + 0.1, since=98.0) is Verdict.NOT_OURS
    assert side.receive(1, key=0, at=LONG_AFTER + 0.2, since=98.0) is Verdict.OURS, "its look-alike is another event"


@pytest.mark.parametrize("since", [None, LONG_AFTER - 1.0])
def test_a_look_alike_that_cannot_have_come_so_early_is_another_event(taker, gone_live_late, told, since):
    side = gone_live_late(taker(), told((1, 99.0)))

    assert side.receive(1, key=0, at=LONG_AFTER + 0.1, since=since) is Verdict.OURS


def test_of_look_alikes_on_both_sides_of_an_interruption_each_finds_its_own(taker, gone_live_late, told, order):
    """The giver delivered three; one came here in time, two by the replay, and a fourth after the fence."""
    side = taker()
    side.receive(1, key=0, at=96.0)
    side.follow(FENCED_AT, handover=order(go=True))
    for _ in range(3):
        side.receive(1, key=0, at=LONG_AFTER - 0.1, since=97.0)
    gone_live_late(side, told((1, 96.2), (1, 98.0), (1, 99.9)))

    assert side.deliver() == [1]
