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
from .part import STARTED_AGAIN, Backlog, Part
from .verdict import Verdict
from .windows import Windows

SIGN_PATIENCE = 2.0
"""Seconds that a silent session has to answer, however short `fence_timeout` is."""


class GiverState(StrEnum):
    """`OPEN` delivers as ever; the others are the contract's words (HandoverObserved)."""

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
        self._fenced_at = 0.0
        self._heard_at = float("-inf")
        self._why_undone = f"the bot had not acknowledged all of the range within {windows.fence_timeout:g} s"

    @property
    def fenced_at(self) -> float:
        """When the fence was made, if it was."""
        return self._fenced_at

    @property
    def reason(self) -> str | None:
        match self.state:
            case GiverState.FENCING if self.sign_wanted_since is not None:
                return "one of its sessions is silent"
            case GiverState.FENCING:
                return f"{len(self._taken)} events of the range are on their way to the bot"
            case GiverState.UNDONE:
                return self._why_undone
            case GiverState.LOST:
                return STARTED_AGAIN
            case _:
                return None

    @property
    def _alive_since(self) -> float:
        """Whatever a session missed after that, if it is dead, the taker still has to deliver: it is in its ring."""
        return self._fenced_at - self._windows.fence_timeout / 2

    @property
    def sign_wanted_since(self) -> float | None:
        waits = self.state is GiverState.FENCING and self._heard_at < self._alive_since
        return self._alive_since if waits else None

    def received(self, event: Event, late: float) -> Verdict:
        """Whose an event of the range is."""
        if self.state is GiverState.FENCING and late and event.received_at - late < self._alive_since:
            self._undo("a session was interrupted before the fence, and what it missed comes only now")
        if self.state in (GiverState.OPEN, GiverState.UNDONE):
            return Verdict.OURS
        self._hold(event)
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

    def tick(self, now: float, *, connected: bool, heard_at: float) -> None:
        """See whether the bot has all that was taken, and every session lives; else, after a while, undo the fence."""
        del connected
        if self.state is not GiverState.FENCING:
            return
        self._heard_at = heard_at
        self._taken = [event for event in self._taken if self._backlog.is_waiting(event)]
        silent = self.sign_wanted_since is not None
        if not self._taken and not silent:
            self.state = GiverState.FENCED
        elif now - self._fenced_at > max(self._windows.fence_timeout, SIGN_PATIENCE if silent else 0.0):
            self._undo("one of its sessions is silent, and may be dead" if silent else self._why_undone)

    def _undo(self, why: str) -> None:
        self.state, self._why_undone = GiverState.UNDONE, why
        self._release_held()

    def tail(self, now: float, wanted: Callable[[int], bool], *, go: bool) -> list[Seen] | None:
        """What was received for the range lately, up to the fence if there is one; None if that cannot be said."""
        if self.state is not (GiverState.FENCED if go else GiverState.OPEN):
            return None
        seen = self._tail if go else self._history.tail(now, self._covers)
        return [one for one in seen if wanted(one.key)]

    def session_lost(self) -> None:
        """Of no consequence here: what is held stays."""

    def end(self, *, ours: bool) -> None:
        """The handover is over, and the range ours again, or the other's."""
        if ours:
            for event in self._held:
                event.content = fingerprint(event.type, event.raw).hex()
            self._release_held()
        else:
            self._settle_held()
