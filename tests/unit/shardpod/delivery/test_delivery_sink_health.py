"""Whether the sink is up, and how long to wait before it is asked again."""

from random import Random

import pytest

from shardpod.delivery import SinkError, SinkHealth
from shardpod.delivery.sink_health import FAILURES_UNTIL_DOWN


def refused(**details):
    return SinkError("the bot answered 500", **details)


@pytest.fixture
def health():
    return SinkHealth(Random(7))


def test_the_sink_begins_up(health):
    assert not health.down
    assert health.problem is None


def test_single_failures_do_not_mean_down_many_in_a_row_do(health):
    outcomes = [health.failed(refused()) for _ in range(FAILURES_UNTIL_DOWN)]

    assert outcomes == [False] * (FAILURES_UNTIL_DOWN - 1) + [True]
    assert health.down
    assert health.problem == "the bot answered 500"


def test_an_acknowledgement_in_between_starts_the_count_anew(health):
    for _ in range(10):
        for _ in range(FAILURES_UNTIL_DOWN - 1):
            assert not health.failed(refused())
        assert not health.acknowledged()

    assert not health.down
    assert health.problem is None


@pytest.mark.parametrize("details", [{"unreachable": True}, {"retry_after": 0.0}, {"retry_after": 3.0}])
def test_a_sink_that_is_away_or_asks_for_time_is_down_at_once(health, details):
    assert health.failed(refused(**details))


def test_going_down_is_told_once_and_coming_back_is_told_once(health):
    assert health.failed(refused(unreachable=True))
    assert not health.failed(refused(unreachable=True))
    assert health.acknowledged()
    assert not health.acknowledged()


def test_probes_are_spaced_out_up_to_five_seconds_and_begin_anew_after_recovery(health):
    health.failed(refused(unreachable=True))
    delays = []
    for _ in range(20):
        delays.append(health.probe_delay())
        health.failed(refused(unreachable=True), probe=True)

    assert 0.05 <= delays[0] <= 0.1
    assert 0.1 <= delays[1] <= 0.2
    assert all(2.5 <= delay <= 5.0 for delay in delays[6:])
    health.acknowledged()
    health.failed(refused(unreachable=True))
    assert health.probe_delay() <= 0.1


def test_the_requests_that_were_under_way_when_the_sink_went_down_do_not_delay_the_first_probe(health):
    """With 64 connections a bot that restarts fails 64 requests at once; it may be back in half a second."""
    for _ in range(64):
        health.failed(refused(unreachable=True))

    assert health.probe_delay() <= 0.1


def test_retry_after_is_obeyed_up_to_a_minute(health):
    health.failed(refused(retry_after=7.0))
    assert health.probe_delay() == 7.0
    health.failed(refused(retry_after=9999.0), probe=True)

    assert health.probe_delay() == 60.0


def test_retry_after_is_not_forgotten_for_the_failures_of_requests_under_way(health):
    health.failed(refused(retry_after=7.0))
    health.failed(refused(unreachable=True))

    assert health.probe_delay() == 7.0


def test_a_probe_that_fails_without_retry_after_ends_the_former_one(health):
    health.failed(refused(retry_after=30.0))
    health.failed(refused(), probe=True)

    assert health.probe_delay() <= 0.2


@pytest.mark.parametrize(("attempts", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (1000, 30.0)])
def test_a_lane_rests_longer_with_each_failure(health, attempts, longest):
    delays = [health.lane_delay(attempts) for _ in range(50)]

    assert longest / 2 <= min(delays)
    assert max(delays) <= longest
    assert len(set(delays)) == 50
