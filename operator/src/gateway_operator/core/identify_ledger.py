"""Grants permits to identify: the one place that does, for all pods and epochs of a token (invariant I4).

Discord allows one Identify per bucket (`shard_id % max_concurrency`) in 5 s, buckets starting in order, and a budget
a day; whoever uses that up loses all sessions and the token (Discord docs, Gateway: Sharding; Rate Limiting). So each
doubt is decided for waiting: a permit counts as used until it is known that it was not.

Pure: the times passed in are seconds on the operator's monotonic clock. `identify_budget` knows how many are left,
`identify_queue` who is next.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from .identify_budget import PERMIT_LIFETIME, IdentifyBudget
from .identify_queue import IdentifyQueue, Place
from .spoken import spoken_duration
from .world import GatewayInfo

BUCKET_INTERVAL = 5.0
"""Seconds between two identifies of one bucket (Discord docs, Gateway: Sharding, max_concurrency)."""

BUCKET_MARGIN = 0.25
"""Seconds on top, for an Identify that travels faster than the one before it."""

INTERVAL = BUCKET_INTERVAL + BUCKET_MARGIN

ANSWER_PATIENCE = 2.0
"""Seconds on top for an Identify that Discord has not answered yet: it counts from when Discord handles it."""

UNANSWERED_RETRY = 0.2
"""Seconds after which a shard asks again whose turn waits for that answer."""

LONGEST_RETRY = 60.0
"""Seconds a shard is told to wait at most: a changed budget or a shorter queue is noticed by then."""

UNKNOWN_BUDGET_RETRY = 1.0
"""Seconds to wait while Discord has not said what is allowed; at the start its answer is under way."""


@dataclass(frozen=True, slots=True)
class Granted:
    """Leave to identify, for `expires_in` seconds from the asking."""

    permit: int
    expires_in: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again in `retry_in` seconds; `reason` is fit for users."""

    retry_in: float
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the status shows of the ledger. Nothing is `known` before Discord's first answer.

    `reset_at` is on the operator's monotonic clock, and infinite until Discord has told when a new window ends.
    """

    known: bool
    total: int
    remaining: int
    reserve: int
    reset_at: float
    max_concurrency: int
    waiting: int
    seen_at: float = 0.0

    @property
    def resets_in(self) -> float:
        """Seconds from when this was seen until the budget is refilled; infinite while that is not known."""
        return self.reset_at - self.seen_at

    @property
    def budget_left(self) -> bool:
        """Whether one more identify would leave the reserve alone."""
        return self.remaining > self.reserve


@dataclass(slots=True)
class _Permit:
    place: Place
    granted_at: float
    sent_at: float | None = None
    answered_at: float | None = None

    @property
    def expires_at(self) -> float:
        return self.granted_at + PERMIT_LIFETIME

    @property
    def used_at(self) -> float:
        """When its Identify went out, at the latest."""
        return self.expires_at if self.sent_at is None else self.sent_at

    @property
    def bucket_opens_at(self) -> float:
        """When Discord takes another of this bucket for sure, as far as that can be known."""
        earliest = self.used_at + INTERVAL
        if self.sent_at is None:
            return earliest
        if self.answered_at is None:
            return earliest + ANSWER_PATIENCE
        # By the answer at the latest it was handled.
        return max(earliest, min(self.answered_at + BUCKET_INTERVAL, earliest + ANSWER_PATIENCE))

    def pending(self, now: float) -> bool:
        return self.sent_at is None and now < self.expires_at


class IdentifyLedger:
    """The ledger of one token under one leader, who has led since `started_at`.

    Make it first and ask Discord then: another leader may have granted permits that an older answer does not count.
    """

    def __init__(self, *, started_at: float) -> None:
        self._started_at = started_at
        # Another leader may have granted a permit just before, which is used at the end of its lifetime.
        self._opens_at = started_at + PERMIT_LIFETIME + INTERVAL
        self._budget = IdentifyBudget()
        self._queue = IdentifyQueue()
        self._recent: dict[int, _Permit] = {}
        # Leaders' numbers must not be taken for one another: nobody grants a thousand permits a second.
        self._last_number = int(started_at * 1000)
        self._last_granted_at = -math.inf
        self._discord_concurrency = self._concurrency = 1
        self._spawn_delay = 0.0
        self._reserve = 0

    def update(self, info: GatewayInfo, *, reserve: int, max_concurrency: int | None, spawn_delay: float) -> None:
        """Take in Discord's answer and the manifest's settings; the same again changes nothing.

        An answer asked for before `started_at`, or before the last one, is passed over. `max_concurrency` can only
        slow down: used is the largest number up to it that divides Discord's, since with any other, two of our
        buckets would share one of Discord's.
        """
        self._reserve, self._spawn_delay = reserve, spawn_delay
        if info.read_at >= self._started_at and self._budget.merge(info):
            self._discord_concurrency = info.max_concurrency
        wished = min(max_concurrency or self._discord_concurrency, self._discord_concurrency)
        self._concurrency = next(n for n in range(wished, 0, -1) if self._discord_concurrency % n == 0)

    def ask(self, epoch: int, shard_id: int, shard_count: int, *, ready: bool, now: float) -> Granted | Wait:
        """Whether this shard may identify now. Not `ready`, it is never granted and only told an estimate."""
        place = Place(epoch=epoch, shard_id=shard_id, shard_count=shard_count)
        self._queue.forget_absent(now)
        self._forget_old_permits(now)
        if ready and (held := self._held(place, now)) is not None:
            return held
        if (refused := self._refused(now)) is not None:
            return refused
        ahead = self._queue.ahead(place, lambda other: self._rivals(place, other))
        kept_free = any(self._queue.about_to_come(other, now) for other in ahead)
        if ready and not kept_free and self._opens_for(place) <= now:
            return self._grant(place, now)
        return self._wait(place, ahead, ready=ready, now=now)

    def sent(self, permit: int, now: float) -> None:
        """The Identify of `permit` has been written to a socket."""
        recent = self._recent.get(permit)
        if recent is not None and recent.sent_at is None:
            # The pod kept to the permit's lifetime; its report may come later.
            recent.sent_at = min(now, recent.expires_at)
        if not self._budget.sent(permit, now):
            # Another leader's permit: its bucket is not known, so all of them wait.
            self._opens_at = max(self._opens_at, now + INTERVAL)

    def connected(self, epoch: int, shard_count: int, shard_ids: Collection[int], now: float) -> None:
        """These shards have a session: Discord has answered their Identifies."""
        for permit in self._recent.values():
            place = permit.place
            if permit.sent_at is None or permit.answered_at is not None:
                continue
            if (place.epoch, place.shard_count) == (epoch, shard_count) and place.shard_id in shard_ids:
                permit.answered_at = now

    def remaining(self, now: float) -> int:
        """Identifies left in Discord's budget, the reserve among them; 0 while that is not known."""
        return self._budget.remaining(now)

    def view(self, now: float) -> LedgerView:
        """The ledger as the status shows it."""
        self._queue.forget_absent(now)
        return LedgerView(
            known=self._budget.known,
            total=self._budget.total,
            remaining=self._budget.remaining(now),
            reserve=self._reserve,
            reset_at=self._budget.reset_at,
            max_concurrency=self._concurrency,
            waiting=len(self._queue),
            seen_at=now,
        )

    def _held(self, place: Place, now: float) -> Granted | None:
        for number, permit in self._recent.items():
            # A pod whose answer got lost asks again.
            if permit.place == place and permit.pending(now):
                return Granted(permit=number, expires_in=permit.expires_at - now)
        return None

    def _refused(self, now: float) -> Wait | None:
        """Whatever the queue: no identify is left to give."""
        if not self._budget.known:
            return Wait(UNKNOWN_BUDGET_RETRY, "waiting for Discord to say how many identifies are left")
        left = self._budget.remaining(now)
        if left > self._reserve:
            return None
        until = self._budget.reset_at - now
        refill = f"; Discord refills it in {spoken_duration(until)}" if math.isfinite(until) else ""
        return Wait(
            min(LONGEST_RETRY, max(until, UNKNOWN_BUDGET_RETRY)),
            f"the identify budget is used up: {left:,} of {self._budget.total:,} are left and {self._reserve:,} are "
            f"kept back (spec.reshard.identifyReserve){refill}",
        )

    def _grant(self, place: Place, now: float) -> Granted:
        self._last_number += 1
        self._last_granted_at = now
        self._recent[self._last_number] = _Permit(place, granted_at=now)
        self._budget.granted(self._last_number, now)
        self._queue.leave(place)
        return Granted(permit=self._last_number, expires_in=PERMIT_LIFETIME)

    def _wait(self, place: Place, ahead: tuple[Place, ...], *, ready: bool, now: float) -> Wait:
        in_bucket = sum(self._same_bucket(place, other) for other in ahead)
        if not ready and self._queue.is_due(place, now):
            # Its turn came before its socket was ready: it lets one pass, or it would keep the bucket free for ever.
            in_bucket += 1
        bucket_turn = max(now, self._bucket_opens_for(place, expected_at=now)) + in_bucket * INTERVAL
        spawn_turn = max(now, self._last_granted_at + self._spawn_delay) + len(ahead) * self._spawn_delay
        turn = max(bucket_turn, spawn_turn, self._opens_at + in_bucket * INTERVAL)
        if turn <= now < self._opens_for(place):
            turn = now + UNANSWERED_RETRY  # all that is missing is an answer, which may come any moment
        retry_in = min(LONGEST_RETRY, turn - now)
        self._queue.expect(place, now + retry_in)
        return Wait(retry_in, self._why(len(ahead), now))

    def _why(self, ahead: int, now: float) -> str:
        if now < self._opens_at:
            return "the operator has just started, and identifies of the one before it may be under way"
        allowed = "one identify" if self._concurrency == 1 else f"{self._concurrency} identifies"
        delay = f" and spawnShardDelay is {self._spawn_delay:g} s" if self._spawn_delay else ""
        before = "1 shard comes" if ahead == 1 else f"{ahead or 'no'} shards come"
        return (
            f"Discord allows {allowed} in {BUCKET_INTERVAL:g} s (max_concurrency {self._concurrency}){delay}; "
            f"{before} before this one"
        )

    def _opens_for(self, place: Place) -> float:
        """When this shard may identify at the earliest, if nobody is before it."""
        return max(self._opens_at, self._last_granted_at + self._spawn_delay, self._bucket_opens_for(place))

    def _bucket_opens_for(self, place: Place, expected_at: float | None = None) -> float:
        """When its bucket is free. With `expected_at`, as things mostly go: used when granted, answered at once."""
        permits = [permit for permit in self._recent.values() if self._same_bucket(place, permit.place)]
        if expected_at is None:
            return max((permit.bucket_opens_at for permit in permits), default=-math.inf)
        used = (permit.granted_at if permit.pending(expected_at) else permit.used_at for permit in permits)
        return max((used_at + INTERVAL for used_at in used), default=-math.inf)

    def _rivals(self, one: Place, other: Place) -> bool:
        # A delay between any two permits makes all shards one queue.
        return self._spawn_delay > 0 or self._same_bucket(one, other)

    def _same_bucket(self, one: Place, other: Place) -> bool:
        # Discord docs, Gateway: Sharding. rate_limit_key = shard_id % max_concurrency, whatever the shard count.
        return one.shard_id % self._concurrency == other.shard_id % self._concurrency

    def _forget_old_permits(self, now: float) -> None:
        self._recent = {number: permit for number, permit in self._recent.items() if now < permit.bucket_opens_at}
