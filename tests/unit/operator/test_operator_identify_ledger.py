"""The ledger's rules one by one: buckets, the start, permits, the queue, the budget."""

from dataclasses import replace

import pytest

from gateway_operator.core.identify_budget import (
    PERMIT_LIFETIME,
)
from gateway_operator.core.identify_ledger import (
    ANSWER_PATIENCE,
    INTERVAL,
    LONGEST_RETRY,
    UNANSWERED_RETRY,
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


def connected(made: IdentifyLedger, shard_id: int, now: float) -> None:
    made.connected(1, 16, {shard_id}, now)


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
    connected(made, 0, OPEN + 0.45)

    assert waits(made, 1, OPEN + 0.5) == pytest.approx(INTERVAL - 0.1)
    assert isinstance(granted(made, 1, OPEN + 0.4 + INTERVAL), Granted)


def test_the_bucket_opens_five_seconds_after_the_shard_is_known_to_be_connected_if_that_is_later():
    made = ledger()
    first = granted(made, 0, OPEN)
    made.sent(first.permit, OPEN)
    connected(made, 0, OPEN + 1)

    waits(made, 1, OPEN + 5.99)
    assert granted(made, 1, OPEN + 6)


def test_while_an_identify_is_not_answered_the_next_waits_for_two_seconds_more_and_asks_again_soon():
    made = ledger()
    first = granted(made, 0, OPEN)
    made.sent(first.permit, OPEN)

    assert waits(made, 1, OPEN + INTERVAL) == pytest.approx(UNANSWERED_RETRY)
    waits(made, 1, OPEN + INTERVAL + ANSWER_PATIENCE - 0.01)
    assert granted(made, 1, OPEN + INTERVAL + ANSWER_PATIENCE)


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
    connected(made, 0, OPEN + PERMIT_LIFETIME + 0.2)

    assert granted(made, 1, OPEN + PERMIT_LIFETIME + INTERVAL)


def test_a_report_that_comes_twice_counts_once():
    made = ledger()
    first = granted(made, 0, OPEN)

    made.sent(first.permit, OPEN + 0.1)
    made.sent(first.permit, OPEN + 3)
    connected(made, 0, OPEN + 0.2)

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


@pytest.mark.parametrize(("discord", "override", "used"), [(16, 1, 1), (16, 8, 8), (16, 3, 2), (16, 12, 8), (1, 8, 1)])
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
    assert answer.reason == "Discord allows one identify in 5 s (max_concurrency 1); 1 shard comes before this one"


def test_another_leaders_permit_counts_and_closes_all_buckets():
    made = ledger(replace(INFO, max_concurrency=16))

    made.sent(7, OPEN)

    assert made.remaining(OPEN) == 999
    assert waits(made, 3, OPEN) == pytest.approx(INTERVAL)
    assert granted(made, 3, OPEN + INTERVAL)
