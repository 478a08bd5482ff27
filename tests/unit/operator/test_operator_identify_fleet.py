"""Whole fleets against the ledger on a virtual clock: order, throughput, and Discord's rules under any history."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway_operator.core.identify_budget import PERMIT_LIFETIME
from gateway_operator.core.identify_ledger import INTERVAL, LONGEST_RETRY, Granted, IdentifyLedger, Wait
from gateway_operator.core.world import GatewayInfo

START = 500.0
FIRST = START + PERMIT_LIFETIME + INTERVAL
DISCORD_INTERVAL = 5.0
"""Written out again: the checker must not share the constant with what it checks."""


@dataclass
class Discord:
    """Counts identifies as Discord does: buckets, and a budget in windows of fixed length."""

    max_concurrency: int
    total: int
    window: float
    identifies: list[tuple[float, int]] = field(default_factory=list)

    def remaining(self, now: float) -> int:
        begin = now - (now % self.window)
        return self.total - sum(begin <= at <= now for at, _shard in self.identifies)

    def answer(self, *, asked: float, evaluated: float, arrived: float) -> GatewayInfo:
        return GatewayInfo(
            url="wss://x",
            recommended_shards=1,
            total=self.total,
            remaining=self.remaining(evaluated),
            reset_at=arrived + self.window - (evaluated % self.window),
            max_concurrency=self.max_concurrency,
            read_at=asked,
        )

    def broken_rules(self, reserve: int) -> list[str]:
        broken = []
        last: dict[int, float] = {}
        used: dict[int, int] = {}
        for at, shard in sorted(self.identifies):
            bucket = shard % self.max_concurrency
            if at - last.get(bucket, -DISCORD_INTERVAL) < DISCORD_INTERVAL:
                broken.append(f"bucket {bucket}: {last[bucket]} and {at}")
            last[bucket] = at
            window = int(at // self.window)
            used[window] = used.get(window, 0) + 1
        broken += [
            f"budget: {count} in window {window}" for window, count in used.items() if count > self.total - reserve
        ]
        return broken


def identify_all(
    shards: Sequence[int],
    *,
    max_concurrency: int,
    answer_takes: float = 0.02,
    spawn_delay: float = 0.0,
    discord_takes: Callable[[int], float] = lambda _shard: 0.02,
) -> list[tuple[float, int]]:
    """Every shard does as it is told from START on; when each identified. Ends when all have, or fails.

    `discord_takes`: seconds from a shard's Identify until Discord handles it, and READY follows.
    """
    ledger = IdentifyLedger(started_at=START)
    discord = Discord(max_concurrency=max_concurrency, total=5000, window=1e9)
    info = discord.answer(asked=START, evaluated=START, arrived=START)
    ledger.update(info, reserve=100, max_concurrency=None, spawn_delay=spawn_delay)
    agenda: list[tuple[float, int, int, int | str | None]] = [(START, n, shard, None) for n, shard in enumerate(shards)]
    heapq.heapify(agenda)
    counter = len(agenda)
    asked = 0
    while agenda:
        now, _order, shard, what = heapq.heappop(agenda)
        if what == "connected":
            ledger.connected(1, len(shards), {shard}, now)
            continue
        if isinstance(what, int):
            ledger.sent(what, now)
            continue
        asked += 1
        assert asked < 20 * len(shards), "shards are told to come back far too often"
        answer = ledger.ask(1, shard, len(shards), ready=True, now=now)
        counter += 1
        if isinstance(answer, Granted):
            handled = now + answer_takes + discord_takes(shard)
            discord.identifies.append((handled, shard))
            heapq.heappush(agenda, (now + 2 * answer_takes, counter, shard, answer.permit))
            heapq.heappush(agenda, (handled + 3 * answer_takes, counter, shard, "connected"))
        else:
            heapq.heappush(agenda, (now + answer_takes + answer.retry_in, counter, shard, None))
    assert discord.broken_rules(reserve=100) == []
    return discord.identifies


@pytest.mark.parametrize(
    "shards", [range(16), range(15, -1, -1), [7, 3, 15, 0, 9, 1, 2, 4, 5, 6, 8, 10, 11, 12, 13, 14]]
)
def test_sixteen_shards_get_through_in_order_and_in_about_sixteen_intervals(shards):
    identifies = identify_all(shards, max_concurrency=1)

    assert [shard for _at, shard in identifies] == list(range(16))
    ideal = 15 * DISCORD_INTERVAL
    assert identifies[-1][0] - identifies[0][0] <= 1.1 * ideal
    assert identifies[0][0] < FIRST + 0.1


@pytest.mark.parametrize("late", [0.3, 1.0, 1.9])
def test_an_identify_that_discord_handles_late_lets_the_next_of_its_bucket_wait(late):
    identifies = identify_all(range(12), max_concurrency=4, discord_takes=lambda shard: late if shard < 4 else 0.0)

    # That no bucket was broken is checked at its end.
    assert identifies[-1][0] - identifies[0][0] <= 1.1 * 2 * DISCORD_INTERVAL + late


def test_buckets_start_in_parallel_and_each_in_order():
    identifies = identify_all(range(64), max_concurrency=16)

    ideal = 3 * DISCORD_INTERVAL
    assert identifies[-1][0] - identifies[0][0] <= 1.1 * ideal
    for bucket in range(16):
        in_bucket = [shard for _at, shard in identifies if shard % 16 == bucket]
        assert in_bucket == [bucket, bucket + 16, bucket + 32, bucket + 48]


def test_throughput_holds_for_a_queue_longer_than_the_longest_retry():
    identifies = identify_all(range(60), max_concurrency=2)

    assert [shard for _at, shard in identifies if shard % 2] == list(range(1, 60, 2))
    assert identifies[-1][0] - identifies[0][0] <= 1.1 * 29 * DISCORD_INTERVAL


def test_a_spawn_delay_spaces_all_shards_in_order():
    identifies = identify_all(range(12), max_concurrency=16, spawn_delay=2.0)

    times = [at for at, _shard in identifies]
    assert [shard for _at, shard in identifies] == list(range(12))
    assert all(later - earlier >= 2.0 - 1e-6 for earlier, later in pairwise(times))
    assert times[-1] - times[0] <= 1.1 * 11 * 2.0


class AnyHistory(RuleBasedStateMachine):
    """Pods that use permits, or do not, or report late; answers that come late, in any order, or from a cache."""

    RESERVE = 2
    WINDOW = 7200.0
    BEGIN = 3 * WINDOW
    SLOWEST_ANSWER, CACHED_FOR = 4.0, 10.0
    """Together less than the age that the ledger reckons with (ANSWER_AGE)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.BEGIN
        self.discord = Discord(max_concurrency=2, total=7, window=self.WINDOW)
        self.ledger = IdentifyLedger(started_at=self.now)
        self.answers: list[tuple[GatewayInfo, float]] = []
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.entries = 0
        self.used: set[int] = set()
        self.discord_answers(took=0.0, slow_back=False)

    def at(self, time: float, action: Callable[[], None]) -> None:
        self.entries += 1
        heapq.heappush(self.agenda, (time, self.entries, action))

    @rule(seconds=st.sampled_from([0.01, 0.9, 1.0, 4.9, 5.0, 5.25, 6.3, 31.0, 1000.0, 7000.0]))
    def time_passes(self, seconds):
        self.go_to(self.now + seconds)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.0, 1.5, 6.0]), after=st.booleans())
    def the_window_is_about_to_end(self, seconds, after):
        end = self.now - (self.now % self.WINDOW) + self.WINDOW
        self.go_to(max(self.now, end + seconds if after else end - seconds))

    def go_to(self, goal: float) -> None:
        while self.agenda and self.agenda[0][0] <= goal:
            self.now, _entry, action = heapq.heappop(self.agenda)
            action()
        self.now = goal

    @rule(shard=st.integers(0, 5), ready=st.booleans(), epoch=st.integers(1, 2))
    def a_shard_asks(self, shard, ready, epoch):
        self.ask(epoch, shard, ready=ready, used_after=0.0, reported_after=0.1)

    @rule(
        seconds=st.sampled_from([1.0, 7.0, 14.0]),
        used_after=st.sampled_from([None, 0.0, 0.3, 0.99]),
        reported_after=st.sampled_from([0.0, 0.1, 3.0, 28.0]),
    )
    def keen_shards_ask_all_the_time(self, seconds, used_after, reported_after):
        until = self.now + seconds
        while self.now < until:
            for shard in range(3):
                self.ask(1, shard, ready=True, used_after=used_after, reported_after=reported_after)
            self.go_to(self.now + 0.21)

    def ask(self, epoch: int, shard: int, *, ready: bool, used_after: float | None, reported_after: float) -> None:
        answer = self.ledger.ask(epoch, shard, 6, ready=ready, now=self.now)
        if isinstance(answer, Wait):
            assert 0 <= answer.retry_in <= LONGEST_RETRY
            return
        assert ready
        assert 0 < answer.expires_in <= PERMIT_LIFETIME
        if used_after is not None and used_after < answer.expires_in and answer.permit not in self.used:
            self.use(answer.permit, shard, self.now + used_after, reported_after)

    def use(self, permit: int, shard: int, time: float, reported_after: float) -> None:
        self.used.add(permit)
        self.at(time, lambda: self.discord.identifies.append((time, shard)))
        self.at(time + reported_after, lambda: self.ledger.sent(permit, self.now))

    @rule(took=st.sampled_from([0.0, 0.2, SLOWEST_ANSWER]), slow_back=st.booleans())
    def discord_answers(self, took, slow_back):
        asked, arrives = self.now, self.now + took

        def evaluate() -> None:
            info = self.discord.answer(asked=asked, evaluated=self.now, arrived=arrives)
            self.at(arrives, lambda: self.take(info))

        self.at(asked if slow_back else arrives, evaluate)
        self.go_to(self.now)

    def take(self, info: GatewayInfo) -> None:
        self.answers.append((info, self.now))
        self.ledger.update(info, reserve=self.RESERVE, max_concurrency=None, spawn_delay=0.0)

    @precondition(lambda self: self.answers)
    @rule(back=st.integers(1, 3), fresh=st.booleans())
    def an_old_answer_arrives(self, back, fresh):
        info, made = self.answers[-min(back, len(self.answers))]
        age = self.now - made
        if fresh and age < self.CACHED_FOR:
            # Out of a proxy's cache it looks like a new one.
            info = replace(info, read_at=self.now, reset_at=info.reset_at + age)
        self.ledger.update(info, reserve=self.RESERVE, max_concurrency=None, spawn_delay=0.0)

    @invariant()
    def discords_rules_hold(self):
        assert self.discord.broken_rules(self.RESERVE) == []


AnyHistory.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase
