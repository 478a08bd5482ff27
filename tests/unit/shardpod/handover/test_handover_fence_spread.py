"""Fences of several givers: how far apart they may be, so that what the last one tells reaches far enough back.

Found by the simulated reshards: a giver that was cut off from the operator fenced long after the others, and what it
had delivered before was told by nobody, so that the taker delivered it again.
"""

import pytest

from shardpod.handover import Windows

FENCED_AT = 100.0
LEASE = 1000.0
WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)
"""As those of the sides made here."""


@pytest.fixture
def activated(taker, order):
    """A taker that is told to go at the first fence, and goes live at the last; it has received one event."""

    def make(last_fence_at, *, theirs=(), received_at=99.0):
        side = taker()
        if received_at < FENCED_AT:
            side.receive(1, key=0, at=received_at)
        side.follow(FENCED_AT, handover=order(go=True))
        if received_at >= FENCED_AT:
            side.receive(1, key=0, at=received_at)
        now = FENCED_AT if last_fence_at is None else last_fence_at
        side.lease(1, LEASE, now)
        side.custody.activate(1, list(theirs), FENCED_AT, now, last_fence_at=last_fence_at)
        side.carry_out()
        return side

    return make


@pytest.mark.parametrize("apart", [0.0, 1.0, WINDOWS.fence_spread])
def test_fences_that_lie_near_each_other_are_gone_live_with(activated, apart):
    side = activated(FENCED_AT + apart)

    assert side.state == "live"
    assert side.deliver() == [1]


def test_fences_that_lie_too_far_apart_send_the_range_back(activated):
    side = activated(FENCED_AT + WINDOWS.fence_spread + 0.1)

    assert side.state == "lost"
    assert "too far apart" in side.reason
    assert side.deliver() == []


def test_a_single_fence_is_not_apart_from_another(activated):
    assert activated(None).state == "live"


@pytest.mark.parametrize("max_skew", [0.5, 5.0, 30.0])
@pytest.mark.parametrize("fence_timeout", [0.1, 2.0, 10.0])
def test_the_tail_of_the_last_reaches_back_to_all_that_may_have_a_counterpart_here(max_skew, fence_timeout):
    """What is kept here is as old as the ring; its counterpart there is older by the tolerance at most."""
    windows = Windows(max_skew=max_skew, fence_timeout=fence_timeout)
    slack = fence_timeout / 2  # by which the fence that is aligned by may be later than the first
    last_fence_at = FENCED_AT + windows.fence_spread
    oldest_that_is_delivered = FENCED_AT + slack - windows.ring

    assert last_fence_at - windows.tail <= oldest_that_is_delivered - windows.tolerance + 1e-9


@pytest.mark.parametrize("max_skew", [0.5, 5.0, 30.0])
@pytest.mark.parametrize("fence_timeout", [0.1, 2.0, 10.0])
def test_fences_that_come_in_time_are_never_too_far_apart(max_skew, fence_timeout):
    windows = Windows(max_skew=max_skew, fence_timeout=fence_timeout)

    assert windows.fence_spread >= fence_timeout


def test_what_the_last_one_delivered_between_the_fences_is_not_delivered_again(activated, told):
    last = FENCED_AT + WINDOWS.fence_spread
    side = activated(last, theirs=told((1, last - 1.0)), received_at=last - 1.0)

    assert side.state == "live"
    assert side.deliver() == []
