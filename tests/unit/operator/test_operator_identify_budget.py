"""The identify budget as the ledger keeps it: the reserve, what counts as spent, Discord's answers, the refill."""

import math
from dataclasses import replace

import pytest

from gateway_operator.core.identify_budget import (
    ANSWER_AGE,
    IN_FLIGHT,
    NEW_WINDOW,
    PERMIT_LIFETIME,
    REPORT_GRACE,
    RESET_MARGIN,
)
from gateway_operator.core.identify_ledger import INTERVAL, LONGEST_RETRY, Granted, IdentifyLedger, Wait
from gateway_operator.core.world import GatewayInfo

START = 1000.0
OPEN = START + PERMIT_LIFETIME + INTERVAL
"""When a ledger that began at START may grant for the first time."""

DAY = 86_400.0

INFO = GatewayInfo(
    url="wss://gateway.discord.gg/",
    recommended_shards=16,
    total=1000,
    remaining=1000,
    reset_at=START + DAY,
    max_concurrency=1,
    read_at=START,
)


def ledger(info: GatewayInfo = INFO, *, reserve: int = 0) -> IdentifyLedger:
    made = IdentifyLedger(started_at=START)
    made.update(info, reserve=reserve, max_concurrency=None, spawn_delay=0)
    return made


def ask(made: IdentifyLedger, shard_id: int, now: float) -> Granted | Wait:
    return made.ask(1, shard_id, 16, ready=True, now=now)


def granted(made: IdentifyLedger, shard_id: int, now: float) -> Granted:
    answer = ask(made, shard_id, now)
    assert isinstance(answer, Granted), answer
    return answer


def test_the_reserve_is_never_touched():
    made = ledger(replace(INFO, remaining=101, max_concurrency=16), reserve=100)
    granted(made, 0, OPEN)

    answer = ask(made, 1, OPEN)

    assert answer == Wait(
        LONGEST_RETRY,
        "the identify budget is used up: 100 of 1,000 are left and 100 are kept back (spec.reshard.identifyReserve); "
        "Discord refills it in 23 h 59 min",
    )
    assert not made.view(OPEN).budget_left


def test_a_smaller_reserve_takes_effect_at_once():
    made = ledger(replace(INFO, remaining=100), reserve=100)
    assert isinstance(ask(made, 0, OPEN), Wait)

    made.update(replace(INFO, remaining=100), reserve=50, max_concurrency=None, spawn_delay=0)

    assert granted(made, 0, OPEN)


def test_shortly_before_the_refill_one_is_told_to_come_back_then():
    made = ledger(replace(INFO, remaining=0, reset_at=OPEN + 7))

    answer = ask(made, 0, OPEN)
    assert isinstance(answer, Wait)
    assert answer.retry_in == pytest.approx(7)


def test_a_permit_counts_as_spent_until_it_is_known_to_be_unused():
    made = ledger()
    granted(made, 0, OPEN)

    given_up = OPEN + PERMIT_LIFETIME + REPORT_GRACE
    assert made.remaining(given_up - 0.01) == 999
    assert made.remaining(given_up) == 1000


def test_a_permit_whose_use_is_reported_stays_spent():
    made = ledger()
    made.sent(granted(made, 0, OPEN).permit, OPEN + 0.1)

    assert made.remaining(OPEN + 100) == 999


def test_at_the_reset_the_budget_is_the_whole_again():
    reset = OPEN + 60
    made = ledger(replace(INFO, remaining=1, reset_at=reset))
    made.sent(granted(made, 0, OPEN).permit, OPEN)

    assert made.remaining(reset) == 0
    assert made.remaining(reset + RESET_MARGIN) == 1000


def test_what_is_used_in_the_time_an_answer_may_be_late_by_counts_in_the_new_window():
    reset = OPEN + ANSWER_AGE - 1
    made = ledger(replace(INFO, remaining=9, reset_at=reset))
    made.sent(granted(made, 0, OPEN).permit, OPEN)

    assert made.remaining(reset + RESET_MARGIN) == 999


def test_what_is_used_about_the_reset_counts_in_the_new_window():
    made = ledger(replace(INFO, remaining=9, reset_at=OPEN + 0.5))
    made.sent(granted(made, 0, OPEN).permit, OPEN + 0.4)

    assert made.remaining(OPEN + 2) == 999


def test_the_budget_refills_once_until_discord_tells_of_the_next_window():
    made = ledger(replace(INFO, remaining=500, reset_at=OPEN + 10))
    assert made.remaining(OPEN + 20) == 1000

    assert math.isinf(made.view(OPEN + 20).reset_at)
    made.sent(granted(made, 0, OPEN + 20).permit, OPEN + 20)
    assert made.remaining(OPEN + 10 * DAY) == 999


def merged(made: IdentifyLedger, info: GatewayInfo, now: float) -> int:
    made.update(info, reserve=0, max_concurrency=None, spawn_delay=0)
    return made.remaining(now)


def test_an_answer_lower_than_the_own_count_is_believed():
    made = ledger()

    assert merged(made, replace(INFO, remaining=700, read_at=OPEN), OPEN) == 700


def test_an_answer_higher_than_the_own_count_is_not():
    made = ledger()
    made.sent(granted(made, 0, OPEN).permit, OPEN)

    assert merged(made, replace(INFO, remaining=1000, read_at=OPEN + 100), OPEN + 100) == 999


def test_identifies_granted_after_the_answer_was_asked_for_are_subtracted():
    made = ledger(replace(INFO, max_concurrency=4))
    for shard in range(3):
        made.sent(granted(made, shard, OPEN + shard / 10).permit, OPEN + shard / 10)

    assert merged(made, replace(INFO, remaining=900, read_at=OPEN), OPEN + 1) == 897


def test_identifies_that_discord_has_counted_are_not_subtracted_twice():
    made = ledger()
    made.sent(granted(made, 0, OPEN).permit, OPEN)

    asked = OPEN + IN_FLIGHT + 0.1
    assert merged(made, replace(INFO, remaining=999, read_at=asked), asked) == 999


def test_a_permit_not_yet_used_is_subtracted_from_a_new_answer_and_given_back_unused():
    made = ledger()
    granted(made, 0, OPEN)

    assert merged(made, replace(INFO, remaining=900, read_at=OPEN + 0.5), OPEN + 0.6) == 899
    assert made.remaining(OPEN + PERMIT_LIFETIME + REPORT_GRACE) == 900


def test_answers_out_of_order_are_passed_over():
    made = ledger()
    merged(made, replace(INFO, remaining=700, read_at=OPEN + 2), OPEN + 2)

    assert merged(made, replace(INFO, remaining=600, max_concurrency=16, read_at=OPEN + 1), OPEN + 2) == 700
    assert made.view(OPEN + 2).max_concurrency == 1


def test_the_answer_of_a_new_window_is_believed_even_before_the_reset():
    made = ledger(replace(INFO, remaining=0))
    later = replace(INFO, remaining=2000, total=2000, reset_at=INFO.reset_at + NEW_WINDOW + 1, read_at=OPEN)

    assert merged(made, later, OPEN) == 2000


def test_an_answer_out_of_a_cache_moves_the_reset_and_raises_nothing():
    made = ledger(replace(INFO, remaining=5))
    cached = replace(INFO, remaining=900, reset_at=INFO.reset_at + 300, read_at=OPEN)

    assert merged(made, cached, OPEN) == 5
    assert made.view(OPEN).reset_at == INFO.reset_at + 300


def test_an_answer_about_the_window_before_does_not_refill_the_budget_twice():
    made = ledger(replace(INFO, reset_at=OPEN))
    made.sent(granted(made, 0, OPEN + 2).permit, OPEN + 2)

    kept = replace(INFO, reset_at=OPEN + 60, read_at=OPEN + 60)
    assert merged(made, kept, OPEN + 60) == 999
    assert made.remaining(OPEN + 70) == 999


def test_after_a_refill_the_first_answer_of_the_new_window_tells_its_end():
    made = ledger(replace(INFO, reset_at=OPEN))
    made.sent(granted(made, 0, OPEN + 2).permit, OPEN + 2)

    assert merged(made, replace(INFO, remaining=998, reset_at=OPEN + DAY, read_at=OPEN + 60), OPEN + 60) == 998
    assert made.view(OPEN + 60).reset_at == OPEN + DAY


def test_a_reset_that_is_always_now_as_long_as_nothing_is_used_does_no_harm():
    made = ledger(replace(INFO, reset_at=START))
    for polled in (OPEN, OPEN + 600, OPEN + 7200):
        assert merged(made, replace(INFO, reset_at=polled, read_at=polled), polled + 2) == 1000


def test_a_total_that_has_grown_at_the_reset_counts_from_the_first_answer_of_the_new_window_on():
    """The refill goes by the old total, as nothing else is known then."""
    made = ledger(replace(INFO, remaining=500, reset_at=OPEN + 10))
    assert made.remaining(OPEN + 20) == 1000
    made.sent(granted(made, 0, OPEN + 20).permit, OPEN + 20)

    grown = replace(INFO, total=2000, remaining=1999, reset_at=OPEN + 10 + DAY, read_at=OPEN + 60)
    assert merged(made, grown, OPEN + 60) == 1999

    assert merged(made, replace(grown, total=3000, remaining=2999, read_at=OPEN + 120), OPEN + 120) == 1999
