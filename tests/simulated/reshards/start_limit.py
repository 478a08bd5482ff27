"""Discord's session start limit, which other programs of the same token use as well, and what it told of it when."""

from dataclasses import dataclass

TOTAL = 1000
DAY = 86_400.0
APART = 7200.0
"""Seconds between the ends of two windows at least, also where two begin within moments."""
FIRST_WINDOW_ENDS = 80_000.0
"""Seconds from the beginning until the first window ends."""
BUCKET_SECONDS = 5.0
USABLE = 1.05
"""Seconds for which a permit is good, and on its way to Discord, whatever Discord has told meanwhile."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of GET /gateway/bot. `window` counts the windows of the budget."""

    at: float
    window: int
    total: int
    remaining: int
    resets_at: float
    max_concurrency: int


class StartLimit:
    """`identifies` are what came: time, window, shard and shard count. `told_every`: seconds between two answers."""

    def __init__(self, now: float) -> None:
        self.total = self.remaining = TOTAL
        self.window = 1
        self.resets_at = now + FIRST_WINDOW_ENDS
        self.max_concurrency = 16
        self.told_every = 60.0
        self.told: list[Told] = []
        self.identifies: list[tuple[float, int, int, int]] = []

    def identified(self, now: float, shard_id: int, shard_count: int) -> None:
        self._refill_if_due(now)
        self.remaining = max(0, self.remaining - 1)
        self.identifies.append((now, self.window, shard_id, shard_count))

    def tell(self, now: float) -> Told:
        self._refill_if_due(now)
        told = Told(now, self.window, self.total, self.remaining, self.resets_at, self.max_concurrency)
        self.told.append(told)
        return told

    def refill(self, now: float) -> None:
        """A new window begins; its end is hours after the one before, which is how windows are told apart."""
        self.total = self.remaining = TOTAL
        self.window += 1
        self.resets_at = max(now + DAY, self.resets_at + APART)

    def _refill_if_due(self, now: float) -> None:
        if now >= self.resets_at:
            self.refill(now)

    # What must hold, as far as anybody could know (I4).

    def violations(self, reserve: int) -> list[str]:
        return [*self._in_busy_buckets(), *self._without_budget(reserve)]

    def _in_busy_buckets(self) -> list[str]:
        """Who identified less than five seconds after another of its bucket."""
        found = []
        for number, (at, _, shard_id, _) in enumerate(self.identifies):
            concurrency = self._concurrency_known(at)
            for before, _, other, _ in self.identifies[:number]:
                if at - before < BUCKET_SECONDS and other % concurrency == shard_id % concurrency:
                    found.append(f"I4: shards {other} and {shard_id} of one bucket of {concurrency} at {before}, {at}")
        return found

    def _concurrency_known(self, at: float) -> int:
        """The largest that was in force, to the operator's knowledge, while a permit used now could be given."""
        known = [one for one in self.told if one.at <= at]
        last = max((one.at for one in known if one.at <= at - USABLE), default=0.0)
        return max(one.max_concurrency for one in known if one.at >= last)

    def _without_budget(self, reserve: int) -> list[str]:
        """Who identified by what is kept back, though Discord had told how few were left."""
        found = []
        for number, (at, window, shard_id, _) in enumerate(self.identifies, 1):
            for told in self.told:
                if told.window != window or told.at > at - USABLE:
                    continue
                used = sum(told.at < since for since, *_ in self.identifies[:number])
                if told.remaining - used < reserve:
                    found.append(f"I4: {shard_id} at {at}, {used} after {told.remaining} were left at {told.at}")
                    break
        return found
