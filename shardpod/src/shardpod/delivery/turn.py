"""Whose turn it is among the lanes that are ready.

After an outage thousands of lanes hold a backlog, and an event that comes now, in a lane of its own, must not wait
until all of it is delivered. So fresh lanes and those with a backlog take turns, each kind in order. A lane with a
backlog was made while the bot was down, or holds more than a few events; it stays one until it is empty.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lane import Lane

_A_FEW = 8
"""Events that a busy guild may send before its first is taken, without counting as one that has fallen behind."""


class Turn:
    """The lanes that are ready, each once. `fresh` and `backlogged` are for those in a hurry: each in its order."""

    __slots__ = ("_backlogged_next", "backlogged", "fresh")

    def __init__(self) -> None:
        # Ordered, and a lane that was emptied by dropping leaves from the middle at no cost.
        self.fresh: OrderedDict[Lane, None] = OrderedDict()
        self.backlogged: OrderedDict[Lane, None] = OrderedDict()
        self._backlogged_next = False

    def __bool__(self) -> bool:
        return bool(self.fresh or self.backlogged)

    def __iter__(self) -> "Iterator[Lane]":
        yield from self.fresh
        yield from self.backlogged

    @property
    def both_wait(self) -> bool:
        """Whether each kind has lanes, so that none should take more than its share."""
        return bool(self.fresh and self.backlogged)

    def join(self, lane: "Lane") -> None:
        """Take a place at the end, if it has none."""
        if lane not in self.fresh:
            self._kind_of(lane)[lane] = None

    def leave(self, lane: "Lane") -> None:
        self.fresh.pop(lane, None)
        self.backlogged.pop(lane, None)

    def next(self) -> "Lane":
        """The lane whose turn it is; it has no place any more."""
        fresh, backlogged = self.fresh, self.backlogged
        if not (self._backlogged_next and backlogged):
            while fresh:
                lane = fresh.popitem(last=False)[0]
                if lane.live <= _A_FEW:
                    self._backlogged_next = True
                    return lane
                lane.backlogged = True  # more has come since it joined
                backlogged[lane] = None
        self._backlogged_next = False
        return backlogged.popitem(last=False)[0]

    def next_again(self, lane: "Lane") -> None:
        """It was its turn, and it could not be taken: it is the next."""
        kind = self._kind_of(lane)
        self._backlogged_next = kind is self.backlogged
        kind[lane] = None
        kind.move_to_end(lane, last=False)

    def _kind_of(self, lane: "Lane") -> "OrderedDict[Lane, None]":
        lane.backlogged = lane.backlogged or lane.live > _A_FEW
        return self.backlogged if lane.backlogged else self.fresh
