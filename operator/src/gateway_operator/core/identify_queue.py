"""Who waits to identify, in the order in which Discord wants shards to start: by shard id, an older epoch first.

Nobody is called: each shard is told when to come back, and keeps its place only if it does.
"""

from collections.abc import Callable
from dataclasses import dataclass

WAITER_GRACE = 1.0
"""Seconds past its turn in which a shard may still come back; then it is forgotten and holds nobody up."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A shard that wants to identify, and its place in the order."""

    epoch: int
    shard_id: int
    shard_count: int


class IdentifyQueue:
    """The places that wait, and when each was told to come back."""

    def __init__(self) -> None:
        self._turns: dict[Place, float] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def forget_absent(self, now: float) -> None:
        """Drop those who did not come back."""
        self._turns = {place: turn for place, turn in self._turns.items() if now <= turn + WAITER_GRACE}

    def is_due(self, place: Place, now: float) -> bool:
        """Whether it waits and its turn has come."""
        return place in self._turns and self._turns[place] <= now

    def ahead(self, place: Place, rival: Callable[[Place], bool]) -> tuple[Place, ...]:
        """The waiting rivals before `place` in the order."""
        return tuple(other for other in self._turns if other < place and rival(other))

    def about_to_come(self, place: Place, now: float) -> bool:
        """Whether it is worth keeping a free bucket for it."""
        return self._turns[place] <= now + WAITER_GRACE

    def expect(self, place: Place, turn: float) -> None:
        """Told to come back at `turn`."""
        self._turns[place] = turn

    def leave(self, place: Place) -> None:
        self._turns.pop(place, None)
