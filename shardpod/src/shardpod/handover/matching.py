"""Aligning what two sessions saw: by content, one to one, in order, within a tolerance in time.

Look-alikes are told apart by their order alone. Whoever has an id of its own is matched whenever it comes.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from .fingerprint import SIZE, has_own_id
from .history import Seen
from .windows import Windows


class Tail(msgspec.Struct, frozen=True):
    """What one side saw, as it travels: of each event, oldest first, 16 bytes of fingerprint, its age and its key.

    Ages (seconds, float32) and keys (uint64) are packed in little-endian order. Ages, for clocks are not shared.
    """

    fingerprints: bytes = b""
    ages: bytes = b""
    keys: bytes = b""


class Unmatched(msgspec.Struct, frozen=True):
    """So many events of either side that the other should have seen as well; `example_age` is that of the oldest."""

    mine: int
    theirs: int
    example_age: float


def pack(seen: Sequence[Seen], now: float) -> Tail:
    """Make ready to travel what has its fingerprints, at `now` on the clock of its times."""
    return Tail(
        b"".join(each.fingerprint for each in seen),
        struct.pack(f"<{len(seen)}f", *(now - each.at for each in seen)),
        struct.pack(f"<{len(seen)}Q", *(each.key for each in seen)),
    )


def unpack(tail: Tail, now: float) -> list[Seen]:
    """Read a tail, with times on the clock of `now`; ValueError when its parts do not belong together."""
    count = len(tail.fingerprints) // SIZE
    if len(tail.fingerprints) != count * SIZE or len(tail.ages) != count * 4 or len(tail.keys) != count * 8:
        raise ValueError("a tail whose parts are of different length")
    ages = struct.unpack(f"<{count}f", tail.ages)
    keys = struct.unpack(f"<{count}Q", tail.keys)
    prints = (tail.fingerprints[start : start + SIZE] for start in range(0, count * SIZE, SIZE))
    return [Seen(key, now - age, each) for key, age, each in zip(keys, ages, prints, strict=True)]


class _Unclaimed:
    """What the other side saw and nothing of ours was matched with: times by fingerprint, the oldest at the end.

    Lists, for most hold one time, and there are tens of thousands.
    """

    def __init__(self, theirs: Iterable[Seen], tolerance: float) -> None:
        self._tolerance = tolerance
        self._times: dict[bytes, list[float]] = {}
        for seen in sorted(theirs, key=attrgetter("at"), reverse=True):
            self._times.setdefault(seen.fingerprint, []).append(seen.at)

    def claim(self, fingerprint: bytes, at: float, late: float = 0.0, spread: float = 0.0) -> bool:
        """Match an event of ours, received at `at` and `late` by so much, with the oldest of theirs that it can be.

        `spread`: how far apart their fences were.
        """
        times = self._times.get(fingerprint)
        if times is None:
            return False
        if not has_own_id(fingerprint):
            while times and times[-1] < at - late - self._tolerance:
                times.pop()
            if not times or times[-1] > at + self._tolerance + spread:
                return False
        times.pop()
        if not times:
            del self._times[fingerprint]
        return True

    def since(self, at: float) -> list[float]:
        """The times of those which came at `at` or later."""
        return [time for times in self._times.values() for time in times if time >= at]


def rehearse(mine: Iterable[Seen], theirs: Iterable[Seen], now: float, windows: Windows) -> Unmatched | None:
    """Whether both sides saw the same: None, or what is unmatched though it is neither new nor on the edge.

    `mine` reaches back for `tail` at least. `now` is when theirs was asked for, on our clock, and theirs was unpacked
    with it: what came to us since then may be missing there, so mine is taken once theirs is here.
    """
    mine, theirs = list(mine), list(theirs)
    mine_ages = _unmatched_ages(mine, theirs, now, windows)
    their_ages = _unmatched_ages(theirs, mine, now, windows)
    if not mine_ages and not their_ages:
        return None
    return Unmatched(len(mine_ages), len(their_ages), max(mine_ages + their_ages))


def _unmatched_ages(ones: list[Seen], others: list[Seen], now: float, windows: Windows) -> list[float]:
    """The ages of those which have to be among the others as well, and are not.

    Only these take a match: one from the edge, whose own counterpart was cut off, steals none. That there are matches
    for all of both sides at once follows from there being some for each (Mendelsohn and Dulmage, 1958).
    """
    unclaimed = _Unclaimed(others, windows.tolerance)
    newest = now - windows.max_skew
    oldest = now - (windows.tail - windows.max_skew - windows.fence_timeout)
    return [
        now - one.at
        for one in sorted(ones, key=attrgetter("at"))
        if oldest < one.at < newest and not unclaimed.claim(one.fingerprint, one.at)
    ]


class Matching:
    """Aligns what this side saw with what the giver delivered before its fence: one to one, in order, oldest first.

    `theirs`: what the givers saw until their fence and no later, with times on our clock. Call `begin` once with all
    that we remember, then ask `suppresses` about each event that comes, in order, and `tick` regularly.
    """

    def __init__(self, theirs: Iterable[Seen], windows: Windows) -> None:
        self._windows = windows
        self._unclaimed = _Unclaimed(theirs, windows.tolerance)
        self._now = float("-inf")
        self._connected = True
        self._stood_still = 0.0
        self._heard_at = math.inf

    def begin(self, mine: Iterable[Seen], now: float, spread: float = 0.0) -> list[Seen]:
        """Match what we remember; returns what is to be delivered: not older than `ring`, and delivered by nobody.

        `now` is when we go live, but no later than a `fence_timeout` after the first fence: a handover that is held up
        must not shorten how far back we look. So it is best when we were told to go, with the history frozen then.
        What is returned keeps its payload, whatever the history forgets. `spread`: the last fence came so much later
        than the first; what that giver delivered in between may be of long before.
        """
        self._now = max(self._now, now)
        oldest = now - self._windows.ring
        return [
            Seen(seen.key, seen.at, seen.fingerprint, seen.event, seen.kept, seen.late)
            for seen in mine
            if not self._unclaimed.claim(seen.fingerprint, seen.at, seen.late, spread)
            and seen.at > oldest
            and seen.event is not None
        ]

    def suppresses(self, fingerprint: bytes, at: float, late: float = 0.0) -> bool:
        """Whether the giver has delivered an event which only now, at `at`, came to us; it counts as come by this.

        `late`: by so many seconds it might have come earlier.
        """
        return self._unclaimed.claim(fingerprint, at, max(late, self._stood_still))

    def tick(self, now: float, connected: bool, heard_at: float = math.inf) -> None:  # noqa: FBT001
        """Tell the time. While a session of ours is not `connected`, what is expected cannot come: nothing expires.

        `heard_at`: when each of them was last heard of. One that is silent may be so because its connection is dead.
        """
        if self._now > float("-inf") and not (connected and self._connected):
            self._stood_still += max(0.0, now - self._now)
        self._connected = connected
        self._now = max(self._now, now)
        self._heard_at = min(now, heard_at)

    @property
    def expected(self) -> int:
        """How many events the giver has delivered that may still come to us."""
        return len(self._expected())

    @property
    def overdue_since(self) -> float | None:
        """When the last of those should have come that are expected only as a session is silent; None without any."""
        patience = self._windows.tolerance + self._stood_still
        return max((at + patience for at in self._expected() if at + patience < self._now), default=None)

    def _expected(self) -> list[float]:
        return self._unclaimed.since(min(self._now, self._heard_at) - self._windows.tolerance - self._stood_still)
