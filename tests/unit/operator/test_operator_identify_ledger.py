"""The ledger's rules one by one: buckets, the start, permits, the queue, the budget."""

import math
from dataclasses import replace

import pytest

from gateway_operator.core.identify_budget import (
    IN_FLIGHT,
    NEW_WINDOW,
    PERMIT_LIFETIME,
    REPORT_GRACE,
    RESET_MARGIN,
)
from gateway_operator.core.identify_ledger import (
    INTERVAL,
    LONGEST_RETRY,
    UNKNOWN_BUDGET_RETRY,
    Granted,
    IdentifyLedger,
    Wait,
)
from gateway_operator.core.identify_queue import WAITER_GRACE
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


def ledger(
    info: GatewayInfo | None = INFO, *, reserve: int = 0, override: int | None = None, spawn_delay: float = 0.0
) -> IdentifyLedger:
    made = IdentifyLedger(started_at=START)
    if info is not None:
        made.update(info, reserve=reserve, max_concurrency=override, spawn_delay=spawn_delay)
    return made


def ask(made: IdentifyLedger, shard_id: int, now: float, *, ready: bool = True, epoch: int = 1) -> Granted | Wait:
    return made.ask(epoch, shard_id, 16, ready=ready, now=now)


def granted(made: IdentifyLedger, shard_id: int, now: float, *, epoch: int = 1) -> Granted:
    answer = ask(made, shard_id, now, epoch=epoch)
    assert isinstance(answer, Granted), answer
    return answer


def waits(made: IdentifyLedger, shard_id: int, now: float, *, ready: bool = True) -> float:
    answer = ask(made, shard_id, now, ready=ready)
    assert isinstance(answer, Wait), answer
    assert answer.reason
    return answer.retry_in


# The start


def test_nothing_is_granted_before_discord_has_said_what_is_left():
    made = ledger(None)

    assert ask(made, 0, OPEN) == Wait(UNKNOWN_BUDGET_RETRY, "waiting for Discord to say how many identifies are left")
    assert not made.view(OPEN).known


def test_an_answer_from_before_the_start_does_not_count():
    made = ledger(replace(INFO, read_at=START - 0.1))

    assert isinstance(ask(made, 0, OPEN), Wait)


def test_a_new_ledger_waits_out_what_another_leader_may_have_granted():
    made = ledger()

    assert waits(made, 0, START) == OPEN - START
    assert waits(made, 0, OPEN - 0.1) == pytest.approx(0.1)
    assert granted(made, 0, OPEN).expires_in == PERMIT_LIFETIME


def test_two_leaders_permits_have_different_numbers():
    made = ledger()
    earlier = IdentifyLedger(started_at=START - 60)
    earlier.update(replace(INFO, read_at=START - 60), reserve=0, max_concurrency=None, spawn_delay=0)

    assert granted(made, 0, OPEN).permit != granted(earlier, 0, OPEN - 60).permit


# Buckets


def test_the_bucket_opens_an_interval_after_the_reported_send():
    made = ledger()
    first = granted(made, 0, OPEN)

    made.sent(first.permit, OPEN + 0.4)

    assert waits(made, 1, OPEN + 0.5) == pytest.approx(INTERVAL - 0.1)
    assert isinstance(granted(made, 1, OPEN + 0.4 + INTERVAL), Granted)


def test_the_bucket_opens_an_interval_after_the_expiry_when_no_send_is_reported():
    made = ledger()
    granted(made, 0, OPEN)

    opens = OPEN + PERMIT_LIFETIME + INTERVAL
    assert waits(made, 1, opens - 0.01) == pytest.approx(0.01)
    assert granted(made, 1, opens)


def test_a_report_that_comes_after_the_expiry_counts_from_the_expiry():
    made = ledger()
    first = granted(made, 0, OPEN)

    made.sent(first.permit, OPEN + PERMIT_LIFETIME + 3)

    assert granted(made, 1, OPEN + PERMIT_LIFETIME + INTERVAL)


def test_a_report_that_comes_twice_counts_once():
    made = ledger()
    first = granted(made, 0, OPEN)

    made.sent(first.permit, OPEN + 0.1)
    made.sent(first.permit, OPEN + 3)

    assert granted(made, 1, OPEN + 0.1 + INTERVAL)
    assert made.remaining(OPEN + 6) == 998


def test_shards_of_different_buckets_identify_together():
    made = ledger(replace(INFO, max_concurrency=4))

    assert len({granted(made, shard, OPEN).permit for shard in range(4)}) == 4
    assert waits(made, 4, OPEN) > 0


def test_epochs_share_buckets():
    made = ledger()
    granted(made, 0, OPEN, epoch=1)

    assert isinstance(ask(made, 0, OPEN, epoch=2), Wait)


@pytest.mark.parametrize(("discord", "override", "used"), [(16, 1, 1), (16, 8, 8), (16, 3, 1), (16, 12, 4), (1, 8, 1)])
def test_an_override_slows_down_and_never_breaks_a_bucket_of_discord(discord, override, used):
    made = ledger(replace(INFO, max_concurrency=discord), override=override)

    assert made.view(OPEN).max_concurrency == used


def test_a_smaller_concurrency_holds_for_permits_granted_under_a_larger_one():
    made = ledger(replace(INFO, max_concurrency=16))
    granted(made, 0, OPEN)

    made.update(replace(INFO, max_concurrency=1, read_at=OPEN), reserve=0, max_concurrency=None, spawn_delay=0)

    assert waits(made, 1, OPEN + 0.1) > 5


def test_the_spawn_delay_keeps_any_two_permits_apart():
    made = ledger(replace(INFO, max_concurrency=16), spawn_delay=2.0)
    granted(made, 0, OPEN)

    assert waits(made, 1, OPEN) == pytest.approx(2.0)
    assert waits(made, 2, OPEN) == pytest.approx(4.0)
    assert granted(made, 1, OPEN + 2)


# Permits


def test_asking_again_gives_the_same_permit_while_it_may_be_used():
    made = ledger()
    first = granted(made, 0, OPEN)

    again = granted(made, 0, OPEN + 0.75)

    assert again == Granted(permit=first.permit, expires_in=0.25)


def test_a_permit_that_was_used_or_has_expired_is_not_given_again():
    made = ledger(replace(INFO, max_concurrency=2))
    used, _expired = granted(made, 0, OPEN), granted(made, 1, OPEN)
    made.sent(used.permit, OPEN + 0.1)

    assert isinstance(ask(made, 0, OPEN + 0.2), Wait)
    assert isinstance(ask(made, 1, OPEN + PERMIT_LIFETIME), Wait)


# The queue


def test_waiting_shards_are_told_to_come_back_one_after_the_other_in_order():
    made = ledger()

    assert [waits(made, shard, START) for shard in range(4)] == pytest.approx(
        [OPEN - START + shard * INTERVAL for shard in range(4)]
    )


def test_whoever_asks_first_the_lower_shard_identifies_first():
    made = ledger()
    waits(made, 1, START)
    waits(made, 0, START)

    assert waits(made, 1, OPEN) == pytest.approx(INTERVAL)
    assert granted(made, 0, OPEN)


def test_an_older_epoch_goes_first():
    made = ledger()
    ask(made, 9, START, epoch=1)

    assert isinstance(ask(made, 0, OPEN, epoch=2), Wait)
    assert granted(made, 9, OPEN, epoch=1)


def test_who_does_not_come_back_is_forgotten_and_holds_nobody_up():
    made = ledger()
    waits(made, 0, START)

    assert isinstance(ask(made, 1, OPEN + WAITER_GRACE), Wait)
    assert granted(made, 1, OPEN + WAITER_GRACE + 0.01)
    assert made.view(OPEN + 60).waiting == 0


def test_a_bucket_is_not_kept_free_for_a_shard_whose_turn_is_later():
    made = ledger()
    waits(made, 5, OPEN - 0.5, ready=False)
    waits(made, 5, OPEN, ready=False)

    assert granted(made, 6, OPEN)


def test_a_shard_that_is_not_ready_is_only_told_when():
    made = ledger()

    assert waits(made, 0, OPEN, ready=False) == 0
    assert granted(made, 0, OPEN + 0.3)


def test_a_shard_not_ready_at_its_turn_lets_another_pass():
    made = ledger()
    waits(made, 0, OPEN, ready=False)

    assert waits(made, 0, OPEN + 0.1, ready=False) == pytest.approx(INTERVAL)
    assert granted(made, 1, OPEN + 0.2)


def test_nobody_is_told_to_stay_away_for_longer_than_a_minute():
    made = ledger()
    for shard in range(100):
        assert waits(made, shard, START) <= LONGEST_RETRY
    assert made.view(START).waiting == 100


def test_the_reason_says_how_many_come_before():
    made = ledger()
    granted(made, 0, OPEN)
    ask(made, 1, OPEN)

    answer = ask(made, 2, OPEN)

    assert isinstance(answer, Wait)
    assert answer.reason == "Discord allows 1 identifies in 5 s (max_concurrency); 1 shards come before this one"


# The budget


def test_the_reserve_is_never_touched():
    made = ledger(replace(INFO, remaining=101, max_concurrency=16), reserve=100)
    granted(made, 0, OPEN)

    answer = ask(made, 1, OPEN)

    assert answer == Wait(
        LONGEST_RETRY,
        "the identify budget is used up: 100 of 1000 are left and 100 are kept back (spec.reshard.identifyReserve); "
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

    assert waits(made, 0, OPEN) == pytest.approx(7)


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
    made = ledger(replace(INFO, remaining=1, reset_at=OPEN + 10))
    made.sent(granted(made, 0, OPEN).permit, OPEN)

    assert made.remaining(OPEN + 10) == 0
    assert made.remaining(OPEN + 10 + RESET_MARGIN) == 1000


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

    cached = replace(INFO, reset_at=OPEN + 10, read_at=OPEN + 10)
    assert merged(made, cached, OPEN + 10) == 999
    assert made.remaining(OPEN + 20) == 999


def test_after_a_refill_the_first_answer_of_the_new_window_tells_its_end():
    made = ledger(replace(INFO, reset_at=OPEN))
    made.sent(granted(made, 0, OPEN + 2).permit, OPEN + 2)

    assert merged(made, replace(INFO, remaining=998, reset_at=OPEN + DAY, read_at=OPEN + 60), OPEN + 60) == 998
    assert made.view(OPEN + 60).reset_at == OPEN + DAY


def test_a_reset_that_is_always_now_as_long_as_nothing_is_used_does_no_harm():
    made = ledger(replace(INFO, reset_at=START))
    for polled in (OPEN, OPEN + 600, OPEN + 7200):
        assert merged(made, replace(INFO, reset_at=polled, read_at=polled), polled + 2) == 1000


def test_another_leaders_permit_counts_and_closes_all_buckets():
    made = ledger(replace(INFO, max_concurrency=16))

    made.sent(7, OPEN)

    assert made.remaining(OPEN) == 999
    assert waits(made, 3, OPEN) == pytest.approx(INTERVAL)
    assert granted(made, 3, OPEN + INTERVAL)
