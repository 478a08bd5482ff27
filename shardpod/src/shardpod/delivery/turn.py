"""Whose turn it is among the lanes that are ready.

After an outage thousands of lanes hold a backlog, and an event that comes now, in a lane of its own, must not wait
until all of it is delivered. So lanes with one event and lanes with more take turns, each kind in order.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lane import Lane


class Turn:
    """The lanes that are ready, each once. `single` and `backlogged` are for those in a hurry: each in its order."""

    __slots__ = ("_backlogged_next", "backlogged", "single")

    def __init__(self) -> None:
        # Ordered, and a lane that was emptied by dropping leaves from the middle at no cost.
        self.single: OrderedDict[Lane, None] = OrderedDict()
        self.backlogged: OrderedDict[Lane, None] = OrderedDict()
        self._backlogged_next = False

    def __bool__(self) -> bool:
        return bool(self.single or self.backlogged)

    def __iter__(self) -> "Iterator[Lane]":
        yield from self.single
        yield from self.backlogged

    @property
    def both_wait(self) -> bool:
        """Whether each kind has lanes, so that none should take more than its share."""
        return bool(self.single and self.backlogged)

    def join(self, lane: "Lane") -> None:
        """Take a place at the end, if it has none."""
        if lane.live == 1 and lane not in self.backlogged:
            self.single[lane] = None
        elif lane not in self.single:
            self.backlogged[lane] = None

    def leave(self, lane: "Lane") -> None:
        self.single.pop(lane, None)
        self.backlogged.pop(lane, None)

    def next(self) -> "Lane":
        """The lane whose turn it is; it has no place any more."""
        single, backlogged = self.single, self.backlogged
        if not (self._backlogged_next and backlogged):
            while single:
                lane = single.popitem(last=False)[0]
                if lane.live == 1:
                    self._backlogged_next = True
                    return lane
                backlogged[lane] = None  # more has come since it joined
        self._backlogged_next = False
        return backlogged.popitem(last=False)[0]

    def next_again(self, lane: "Lane") -> None:
        """It was its turn, and it could not be taken: it is the next."""
        kind = self.single if lane.live == 1 else self.backlogged
        self._backlogged_next = kind is self.backlogged
        kind[lane] = None
        kind.move_to_end(lane, last=False)
