"""Finds what overlaps a range: a gateway may have thousands of instances, and each is looked for in every pass."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class RangeIndex(Generic[T]):
    """Things by the range that each has, both ends inclusive."""

    def __init__(self, things: Iterable[tuple[int, int, T]]) -> None:
        self._things = sorted(things, key=lambda thing: thing[0])
        self._firsts = [first for first, _last, _thing in self._things]
        self._longest = max((last - first for first, last, _thing in self._things), default=0)

    def overlapping(self, first: int, last: int) -> list[T]:
        """All whose range has a number in common with `first..last`."""
        begin = bisect_left(self._firsts, first - self._longest)
        end = bisect_right(self._firsts, last)
        return [thing for _first, its_last, thing in self._things[begin:end] if its_last >= first]
