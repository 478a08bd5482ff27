"""What both sides of a handover have: the range, what they saw, and events that they hold until it is over."""

from collections.abc import Callable
from typing import Protocol

from shardpod.protocol import Event

from .effects import Effect, Release, Settle, Wanted
from .history import History
from .orders import HandoverOrder
from .windows import Windows

STARTED_AGAIN = "a worker was started again in the middle"
SILENT = "one of its sessions is silent"

SIGN_EVERY = 1.0
"""Seconds of silence after which a session is asked for a sign, at least."""


class Backlog(Protocol):
    """What is outstanding in the worker's queue, without what is held."""

    def waiting(self, wanted: Wanted) -> list[Event]: ...

    def is_waiting(self, event: Event) -> bool: ...


class Part:
    """One worker's side of one handover. `covers` tells keys of the range that may come here, `wanted` their events.

    What has to be done with events is in `effects`.
    """

    def __init__(
        self,
        order: HandoverOrder,
        windows: Windows,
        history: History,
        backlog: Backlog,
        *,
        covers: Callable[[int], bool],
        wanted: Wanted,
    ) -> None:
        self.order = order
        self.effects: list[Effect] = []
        self._windows = windows
        self._history = history
        self._backlog = backlog
        self._covers = covers
        self._wanted = wanted
        self._held: list[Event] = []
        self._began_at: float | None = None
        self._all_heard = False
        self._sign_wanted_since: float | None = None

    @property
    def sign_wanted_since(self) -> float | None:
        """Since when each session concerned has to have been heard of, before this goes on; None: it need not."""
        return self._sign_wanted_since

    def _listen(self, now: float, heard_at: float) -> None:
        """Note whether every session concerned was heard of since this began, or just before.

        Until then what comes may have been held up for longer than anything is compared by.
        """
        self._began_at = now if self._began_at is None else self._began_at
        self._all_heard = self._all_heard or heard_at >= self._listening_since(self._began_at)

    def _listening_since(self, now: float) -> float:
        """While two sets compare, no session concerned is silent for longer than since then without being asked.

        What was held up on its way comes late by no more than that, or the sign that was asked for shows it.
        """
        return now - max(self._windows.fence_timeout / 2, SIGN_EVERY)

    def _hold(self, event: Event) -> None:
        """Note one more. If a full queue did not take the one before, that is given up, and must take no memory."""
        if self._held and not self._held[-1].held:
            self._held.pop()
        self._held.append(event)

    def _release_held(self) -> None:
        """They are delivered from here after all."""
        if self._held:
            self.effects.append(Release(self._held))
            self._held = []

    def _settle_held(self) -> None:
        """They are the other set's."""
        if self._held:
            self.effects.append(Settle(self._held))
            self._held = []
