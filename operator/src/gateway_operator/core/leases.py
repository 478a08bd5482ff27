"""Grants leases to deliver a range that is on its way from one shard set to the other (invariant I1).

The first is granted only when every giver has fenced and every taker waits: what one taker delivers before another one
proves unable comes again when the range is given back. From then on each of the takers may have one, and another, until
the handover is over or closed; however long a taker goes without, it may go on under the same number.

Pure: the times passed in are seconds on the operator's monotonic clock. A lease lasts from the taker's asking, which
is before the answer; so it is over here no earlier than there.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from shardpod.contract import HandoverObserved

from .world import LeaseView

_ABLE = ("waiting", "live", "expired", "settled")
"""The words of a taker that can deliver, or does."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Leave to deliver, for `lasts` seconds from the asking."""

    lasts: float


@dataclass(frozen=True, slots=True)
class NoLease:
    """Not now; `reason` is fit for users."""

    reason: str


class LeaseBook:
    """The leases of the one handover that may be open."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._givers: Collection[str] = ()
        self._takers: Collection[str] = ()
        self._lasts = 0.0
        self._view = LeaseView()

    def resume(self, number: int, *, lasts: float, now: float) -> None:
        """Go on with a handover of an operator before, who may have granted a lease just now. Nobody gets one yet."""
        self._number = number
        self._view = LeaseView(until=now + lasts, since=now)

    def follow(
        self, number: int | None, *, givers: Collection[str], takers: Collection[str], lasts: float, closed: bool
    ) -> None:
        """What is planned: the handover that is open, and who takes part; None: no handover is."""
        if number is None or number != self._number:
            self._number, self._view = number, LeaseView()
        self._givers, self._takers, self._lasts = givers, takers, lasts
        if closed and not self._view.closed:
            # For good: what is given back under this number must not be delivered by a taker again.
            self._view = _closed(self._view)

    def ask(
        self,
        instance: str,
        number: int,
        *,
        live: bool,
        said: Callable[[str], HandoverObserved | None],
        now: float,
    ) -> Lease | NoLease:
        """Whether a taker may deliver. `said`: what a connected instance last said of its handover."""
        if number != self._number:
            return NoLease("this handover is not open")
        if instance not in self._takers:
            return NoLease("this instance takes no part in the handover, or the operator has just started")
        if self._view.closed:
            return NoLease("the handover is being given back")
        # A taker that was live may go on: its givers have fenced, and do not undo that.
        if not (self._view.opened or live):
            if missing := self._not_fenced(said):
                return NoLease(f"{missing} has not fenced the range yet")
            if missing := self._not_waiting(said):
                return NoLease(f"{missing} is not ready to take the range")
        self._granted(now)
        return Lease(self._lasts)

    def view(self) -> LeaseView:
        """How it stands, for the planner."""
        return self._view

    def _not_fenced(self, said: Callable[[str], HandoverObserved | None]) -> str | None:
        if not self._givers:
            return "the other shard set"
        return next((name for name in sorted(self._givers) if not self._fenced(said(name))), None)

    def _not_waiting(self, said: Callable[[str], HandoverObserved | None]) -> str | None:
        return next((name for name in sorted(self._takers) if not self._waits(said(name))), None)

    def _waits(self, said: HandoverObserved | None) -> bool:
        """Or has begun to deliver already, under a lease of an operator before."""
        return said is not None and (said.number, said.role) == (self._number, "taker") and said.state in _ABLE

    def _fenced(self, said: HandoverObserved | None) -> bool:
        return said is not None and (said.number, said.role, said.state) == (self._number, "giver", "fenced")

    def _granted(self, now: float) -> None:
        before = self._view
        until = now + self._lasts if before.until is None else max(before.until, now + self._lasts)
        since = now if before.since is None or not before.opened else before.since
        self._view = LeaseView(until=until, since=since, opened=True)


def _closed(view: LeaseView) -> LeaseView:
    return LeaseView(until=view.until, since=view.since, opened=view.opened, closed=True)
