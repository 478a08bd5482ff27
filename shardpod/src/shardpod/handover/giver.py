"""The side of a handover that delivers the range until its fence, and holds what follows until it is over.

What it holds is delivered by nobody else until the operator says whose it is: a giver that was asked to fence never
decides that by itself, but for a fence that it could not complete (architecture, handover: Fence).
"""

from collections.abc import Callable
from enum import StrEnum

from shardpod.protocol import Event

from .effects import Wanted
from .fingerprint import fingerprint
from .history import History, Seen
from .orders import HandoverOrder
from .part import SILENT, STARTED_AGAIN, Backlog, Part
from .verdict import Verdict
from .windows import Windows

SIGN_PATIENCE = 2.0
"""Seconds that a silent session has to answer, however short `fence_timeout` is."""


class GiverState(StrEnum):
    """`OPEN` delivers as ever; the others are the contract's words (HandoverObserved).

    `FENCING` does so as well until every session concerned was heard of: only then the fence is made.
    """

    OPEN = "rehearsing"
    FENCING = "fencing"
    FENCED = "fenced"
    UNDONE = "undone"
    LOST = "lost"


class Giver(Part):
    """One handover from here to the other epoch. `lost`: the worker begins in its middle, with nothing remembered."""

    role = "giver"

    def __init__(
        self,
        order: HandoverOrder,
        windows: Windows,
        history: History,
        backlog: Backlog,
        *,
        covers: Callable[[int], bool],
        wanted: Wanted,
        lost: bool,
    ) -> None:
        super().__init__(order, windows, history, backlog, covers=covers, wanted=wanted)
        self.state = GiverState.LOST if lost else GiverState.OPEN
        self._taken: list[Event] = []
        self._tail: list[Seen] = []
        self._told_at = self._asked_at = 0.0
        self._fenced_at: float | None = None
        self._heard_at = float("-inf")
        self._why_undone = f"the bot had not acknowledged all of the range within {windows.fence_timeout:g} s"

    @property
    def fenced_at(self) -> float | None:
        """When the fence was made, if it was."""
        return self._fenced_at

    @property
    def reason(self) -> str | None:
        match self.state:
            case GiverState.FENCING if self._fenced_at is None or not self._taken:
                return SILENT
            case GiverState.FENCING:
                return f"{len(self._taken)} events of the range are on their way to the bot"
            case GiverState.UNDONE:
                return self._why_undone
            case GiverState.LOST:
                return STARTED_AGAIN
            case GiverState.OPEN if not self._all_heard:
                return SILENT
            case _:
                return None

    def received(self, event: Event, late: float) -> Verdict:
        """Whose an event of the range is."""
        if self.state is GiverState.FENCING and self._missed_before(event, late):
            self._undo("a session was interrupted before the fence, and what it missed comes only now")
        unfenced = self.state is GiverState.FENCING and self._fenced_at is None
        if unfenced or self.state in (GiverState.OPEN, GiverState.UNDONE):
            return Verdict.OURS
        self._hold(event)
        return Verdict.HELD

    def _missed_before(self, event: Event, late: float) -> bool:
        """Whether an event is so late that a taker of it could not match it, or has forgotten it."""
        if self._fenced_at is None:
            return late > self._windows.max_skew
        return late > 0 and event.received_at - late < self._alive_since(self._fenced_at)

    def _alive_since(self, now: float) -> float:
        """Whatever a session missed after that, if it is dead, the takers of a fence of now still have to deliver.

        They have it in their rings.
        """
        return now - self._windows.fence_timeout / 2

    def stood_still(self, now: float) -> None:
        """Of no consequence once it has fenced; before it was told to, `cannot` follows when it is."""
        del now
        self._interrupted("its worker stood still just before the fence")

    def _interrupted(self, why: str) -> None:
        if self.state is GiverState.FENCING and self._fenced_at is None:
            self._undo(why)

    def cannot(self, why: str) -> None:
        """Never fence under this number: too little is remembered."""
        if self.state is GiverState.OPEN:
            self.state, self._why_undone = GiverState.UNDONE, why

    def go(self, order: HandoverOrder, now: float) -> None:
        """Fence, as soon as every session lives."""
        self.order = order
        if self.state is GiverState.OPEN:
            self.state = GiverState.FENCING
            self._told_at = self._asked_at = now
            self._fence_if_alive(now)

    def tick(self, now: float, *, connected: bool, heard_at: float) -> None:
        """See whether every session lives, and the bot has all that was taken; else, after a while, undo the fence."""
        del connected
        self._heard_at = heard_at
        self._listen(now, heard_at)
        if self.state is GiverState.FENCING:
            self._go_on_fencing(now)
        self._sign_wanted_since = self._silent_since(now)

    def _go_on_fencing(self, now: float) -> None:
        if self._fenced_at is None:
            self._fence_if_alive(now)
        if self._fenced_at is None:
            return
        self._taken = [event for event in self._taken if self._backlog.is_waiting(event)]
        silent = self._heard_at < self._alive_since(self._fenced_at)
        if not self._taken and not silent:
            self.state = GiverState.FENCED
        elif silent and now - self._told_at > max(self._windows.fence_timeout, SIGN_PATIENCE):
            self._undo(f"{SILENT}, and may be dead")
        elif not silent and now - self._fenced_at > self._windows.fence_timeout:
            self._undo(self._why_undone)

    def _fence_if_alive(self, now: float) -> None:
        """Fence when no session is silent; or after a while all the same, to wait for their signs afterwards.

        All are asked at once: each by itself is heard of every second, but never all of many within the same. And the
        answers of some may be further apart than a fence may be from the last of them.
        """
        if self._heard_at >= self._alive_since(now) or now - self._told_at > SIGN_PATIENCE / 2:
            self._fence(now)
        elif self._asked_at < self._alive_since(now):
            self._asked_at = now

    def _fence(self, now: float) -> None:
        """Take nothing of the range from this moment on."""
        self._tail = self._history.tail(now, self._covers)
        self._taken = self._backlog.waiting(self._wanted)
        self._fenced_at = now

    def _silent_since(self, now: float) -> float | None:
        """Since when a session ought to have been heard of, if one was not."""
        match self.state:
            case GiverState.OPEN:
                since = self._listening_since(now)
            case GiverState.FENCING:
                since = self._asked_at if self._fenced_at is None else self._alive_since(self._fenced_at)
            case _:
                return None
        return since if self._heard_at < since else None

    def _undo(self, why: str) -> None:
        self.state, self._why_undone = GiverState.UNDONE, why
        self._release_held()

    def tail(self, now: float, wanted: Callable[[int], bool], *, go: bool) -> list[Seen] | None:
        """What was received for the range lately, up to the fence if there is one; None if that cannot be said."""
        if self.state is not (GiverState.FENCED if go else GiverState.OPEN) or not (go or self._all_heard):
            return None
        seen = self._tail if go else self._history.tail(now, self._covers)
        return [one for one in seen if wanted(one.key)]

    def session_lost(self) -> None:
        """Of no consequence once it has fenced: what is held stays."""
        self._interrupted("a session was lost just before the fence")

    def end(self, *, ours: bool) -> None:
        """The handover is over, and the range ours again, or the other's."""
        if ours:
            for event in self._held:
                event.content = fingerprint(event.type, event.raw).hex()
            self._release_held()
        else:
            self._settle_held()
