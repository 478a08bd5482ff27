"""From the last rehearsal to the comparison at the fence nothing may be left that neither of them looks at.

Found by the simulated reshards: a giver whose node had no network fenced as soon as it had one again, and got what it
had missed after that. The taker had it, and took it for delivered: too old, and not in the window that it compared.
"""

import pytest

from shardpod.handover import Windows, rehearse

FENCED_AT = 100.0
LEASE = 110.0
WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)
"""As those of the sides made here."""
REACH = WINDOWS.comparison_reach


def test_a_fence_soon_after_a_comparison_is_gone_live_with(taker, live):
    assert live(taker(compared_at=FENCED_AT - REACH)).state == "live"


@pytest.mark.parametrize("compared_at", [FENCED_AT - REACH - 0.1, None])
def test_a_fence_long_after_the_last_comparison_sends_the_range_back(taker, live, compared_at):
    side = taker(compared_at=compared_at)
    side.receive(1, key=0, at=FENCED_AT - REACH - 4.0)
    live(side)

    assert side.state == "lost"
    assert "too long after" in side.reason
    assert side.deliver() == []


def test_a_comparison_that_found_a_difference_does_not_count(taker, live, told):
    side = taker(compared_at=FENCED_AT - REACH - 1.0)
    side.custody.rehearse(1, told((1, 80.0)), 90.0, 90.0)

    assert live(side).state == "lost"


def test_where_nothing_can_be_compared_nothing_is_asked_for(taker, order):
    """Discord has refused a giver's shard: its range is handed over without what it should have seen."""
    side = taker(compared_at=None)
    blind = order(go=True)
    side.follow(
        FENCED_AT, handover=type(blind)(**{f: getattr(blind, f) for f in blind.__struct_fields__} | {"blind": True})
    )
    side.lease(1, LEASE, FENCED_AT)
    side.activate(1, [], FENCED_AT, FENCED_AT)

    assert side.state == "live"


@pytest.mark.parametrize("max_skew", [0.1, 0.5, 5.0, 30.0])
@pytest.mark.parametrize("fence_timeout", [0.1, 2.0, 10.0])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_whatever_one_side_missed_is_found_by_one_of_the_two_comparisons(told, max_skew, fence_timeout, part):
    """An event of any time before the fence's own window, with the longest that may be between the two."""
    windows = Windows(max_skew=max_skew, fence_timeout=fence_timeout)
    first_at = FENCED_AT - windows.comparison_reach
    oldest_of_the_first = first_at - windows.comparison_reach - max_skew - fence_timeout
    newest_of_the_second = FENCED_AT - max_skew
    at = oldest_of_the_first + 1e-6 + part * (newest_of_the_second - oldest_of_the_first - 2e-6)
    missed = told((1, at))

    by_the_first = rehearse([one for one in missed if one.at <= first_at], [], first_at, windows)
    by_the_second = rehearse(missed, [], FENCED_AT, windows)

    assert by_the_first or by_the_second
