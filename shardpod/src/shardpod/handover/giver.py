"""The side of a handover that delivers the range until its fence, and holds what follows until it is over.

What it holds is delivered by nobody else until the operator says whose it is: a giver that was asked to fence never
decides that by itself, but for a fence that it could not complete (architecture, handover: Fence).
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from shardpod.protocol import Event

from .effects import Effect, Release, Settle, Wanted
from .fingerprint import fingerprint
from .history import History, Seen
from .orders import HandoverOrder
from .verdict import Verdict
from .windows import Windows


class Backlog(Protocol):
    """What is outstanding in the worker's queue, without what is held."""

    def waiting(self, wanted: Wanted) -> list[Event]: ...

    def is_waiting(self, event: Event) -> bool: ...


class GiverState(StrEnum):
    """`OPEN` delivers as ever; the others are the contract's words (HandoverObserved)."""

    OPEN = "rehearsing"
    FENCING = "fencing"
    FENCED = "fenced"
    UNDONE = "undone"
    LOST = "lost"


def keep_held(held: list[Event], event: Event) -> None:
    """Note one more. If a full queue did not take the one before, that is given up, and must take no memory here."""
    if held and not held[-1].held:
        held.pop()
    held.append(event)


class Giver:
    """One handover from here to the other epoch. `lost`: the worker begins in its middle, with nothing remembered."""

    role = "giver"

    def __init__(
        self,
        order: HandoverOrder,
        windows: Windows,
        history: History,
        backlog: Backlog,
        wanted: Wanted,
        *,
        covers: Callable[[int], bool],
        lost: bool,
    ) -> None:
        self.order = order
        self.state = GiverState.LOST if lost else GiverState.OPEN
        self.effects: list[Effect] = []
        self._windows = windows
        self._history = history
        self._backlog = backlog
        self._wanted = wanted
        self._covers = covers
        self._held: list[Event] = []
        self._taken: list[Event] = []
        self._tail: list[Seen] = []
        self._fenced_at = 0.0
        self._why_undone = f"the bot had not acknowledged all of the range within {windows.fence_timeout:g} s"

    @property
    def fenced_at(self) -> float:
        """When the fence was made, if it was."""
        return self._fenced_at

    @property
    def reason(self) -> str | None:
        match self.state:
            case GiverState.FENCING:
                return f"{len(self._taken)} events of the range are on their way to the bot"
            case GiverState.UNDONE:
                return self._why_undone
            case GiverState.LOST:
                return "a worker was started again in the middle"
            case _:
                return None

    def received(self, event: Event) -> Verdict:
        """Whose an event of the range is."""
        if self.state in (GiverState.OPEN, GiverState.UNDONE):
            return Verdict.OURS
        keep_held(self._held, event)
        return Verdict.HELD

    def stood_still(self, now: float) -> None:
        """Of no consequence once it has fenced; before, `cannot` follows if it is to."""

    def cannot(self, why: str) -> None:
        """Never fence under this number: too little is remembered."""
        if self.state is GiverState.OPEN:
            self.state, self._why_undone = GiverState.UNDONE, why

    def go(self, order: HandoverOrder, now: float) -> None:
        """Fence: nothing of the range is taken from this moment on."""
        self.order = order
        if self.state is not GiverState.OPEN:
            return
        self._tail = self._history.tail(now, self._covers)
        self._taken = self._backlog.waiting(self._wanted)
        self._fenced_at = now
        self.state = GiverState.FENCING
        self.tick(now, connected=True)

    def tick(self, now: float, *, connected: bool) -> None:
        """See whether the bot has all that was taken; else, after a while, undo the fence."""
        del connected
        if self.state is not GiverState.FENCING:
            return
        self._taken = [event for event in self._taken if self._backlog.is_waiting(event)]
        if not self._taken:
            self.state = GiverState.FENCED
        elif now - self._fenced_at > self._windows.fence_timeout:
            self.state = GiverState.UNDONE
            self._give_up_hold()

    def tail(self, now: float, wanted: Callable[[int], bool], *, go: bool) -> list[Seen] | None:
        """What was received for the range lately, up to the fence if there is one; None if that cannot be said."""
        if not go:
            seen = self._history.tail(now, self._covers) if self.state is GiverState.OPEN else []
            return [one for one in seen if wanted(one.key)] if self.state is GiverState.OPEN else None
        if self.state is not GiverState.FENCED:
            return None
        return [one for one in self._tail if wanted(one.key)]

    def session_lost(self) -> None:
        """Of no consequence here: what is held stays."""

    def end(self, *, ours: bool) -> None:
        """The handover is over, and the range ours again, or the other's."""
        if ours:
            for event in self._held:
                event.content = fingerprint(event.type, event.raw).hex()
            self._give_up_hold()
        elif self._held:
            self.effects.append(Settle(self._held))
            self._held = []

    def _give_up_hold(self) -> None:
        if self._held:
            self.effects.append(Release(self._held))
            self._held = []
