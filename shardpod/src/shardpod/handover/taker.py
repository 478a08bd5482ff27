"""The side of a handover that takes a range over: it compares, waits for its lease, aligns, and delivers.

It may deliver only while its lease lasts, by its own clock, until the operator has recorded the range as handed over:
so that the other side can be given it back once that time has passed (architecture, handover: Activate, Commit).
"""

from collections.abc import Callable
from enum import StrEnum

from shardpod.protocol import Event

from .effects import Deliver, Discard, StartLanes, StopLanes, Wanted
from .fingerprint import fingerprint
from .history import History, Seen
from .matching import Matching, Unmatched, rehearse
from .orders import HandoverOrder
from .part import SIGN_EVERY, SILENT, STARTED_AGAIN, Backlog, Part
from .verdict import Verdict
from .windows import Windows

REHEARSAL_LASTS = 3.0
"""Seconds for which a rehearsal says something; then it has to be repeated."""

MISSED_TOO_MUCH = "what its session had missed reaches further back than what the other set tells"

LONGEST_WAIT = 60.0
"""Seconds for which payloads are kept for a lease that does not come; a handover that takes longer is given back."""


class TakerState(StrEnum):
    """The contract's words (HandoverObserved)."""

    REHEARSING = "rehearsing"
    REHEARSED = "rehearsed"
    WAITING = "waiting"
    LIVE = "live"
    EXPIRED = "expired"
    SETTLED = "settled"
    LOST = "lost"


class Taker(Part):
    """One handover to here. `lost`: the worker begins in its middle, with nothing remembered.

    `to_store`: all that was kept is acknowledged, and `stored` is to be called once the checkpoint is on disk.
    """

    role = "taker"

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
        self.state = TakerState.LOST if lost else TakerState.REHEARSING
        self.reason: str | None = STARTED_AGAIN if lost else "the sets are not compared yet"
        self.to_store = False
        self.suppressed = 0
        self._matching: Matching | None = None
        self._kept: list[Event] = []
        self._settled = False
        # Once live, or maybe once live, the range may be recorded as ours however this worker fares meanwhile.
        self._may_be_ours = lost
        self._lease_until = 0.0
        self._rehearsed_at = 0.0
        self._same_at = float("-inf")
        self._live_at = 0.0
        self._told_since = 0.0
        self._missed_at = float("-inf")
        self._frozen_at: float | None = None

    @property
    def lease_until(self) -> float | None:
        """When what may be delivered ends; None while nothing may."""
        return self._lease_until if self.state in (TakerState.LIVE, TakerState.SETTLED) else None

    def received(self, event: Event, late: float) -> Verdict:
        """Whose an event of the range is."""
        if not self._may_be_ours:
            return Verdict.NOT_OURS
        content = fingerprint(event.type, event.raw)
        if self._matching is not None and self._matching.suppresses(content, event.received_at, late):
            self.suppressed += 1
            return Verdict.NOT_OURS
        event.content = content.hex()
        if self._matching is not None and late and event.received_at - late < self._told_since:
            self._lose(MISSED_TOO_MUCH)
        self.expire_if_due(event.received_at)
        if self.state in (TakerState.EXPIRED, TakerState.LOST):
            self._hold(event)
            return Verdict.HELD
        return Verdict.OURS

    def rehearse(self, theirs: list[Seen], asked_at: float, now: float) -> None:
        """Compare what both sides saw: nothing that is old enough to be on both may be missing on one.

        `theirs` was asked for at `asked_at`, and its times are counted from there.
        """
        if self.state not in (TakerState.REHEARSING, TakerState.REHEARSED):
            return
        mine = self._history.tail(now, self._covers, since=now - self._windows.history)
        unmatched = rehearse(mine, theirs, asked_at, self._windows)
        self._rehearsed_at = now
        if unmatched is None:
            self.state, self.reason, self._same_at = TakerState.REHEARSED, None, asked_at
            if not self._all_heard:
                self.not_yet(SILENT)
        else:
            self.state = TakerState.REHEARSING
            self.reason = _difference(unmatched)
            if unmatched.theirs:
                self._missed_at = asked_at

    def not_yet(self, why: str) -> None:
        """Whatever the comparison says, too little is remembered for a fence of now."""
        if self.state is TakerState.REHEARSED:
            self.state, self.reason = TakerState.REHEARSING, why

    def stood_still(self, now: float) -> None:
        """What is read now came earlier: nothing can be aligned by such times, and what is expected is late."""
        if self.state is TakerState.WAITING:
            self.state, self.reason = TakerState.LOST, "its worker stood still since the sets were compared"
        elif self._matching is not None:
            self._matching.tick(now, connected=False)

    def cannot(self, why: str) -> None:
        """Never go live under this number: too little is remembered."""
        if self.state in (TakerState.REHEARSING, TakerState.REHEARSED):
            self.state, self.reason = TakerState.LOST, why

    def go(self, order: HandoverOrder, now: float) -> None:
        """From now on wait for the lease."""
        self.order = order
        if self.state in (TakerState.REHEARSING, TakerState.REHEARSED):
            # The lease may be long in coming; what the giver holds meanwhile must not be forgotten here.
            self._history.freeze(now, self._covers)
            self._frozen_at = now
            self.state, self.reason = TakerState.WAITING, "waiting for the lease"

    def lease(self, until: float, now: float) -> None:
        """Deliver until then, by the clock of `now`."""
        self.expire_if_due(now)
        if until <= max(now, self._lease_until):
            return
        self._lease_until = until
        if self.state is TakerState.EXPIRED:
            self.state = TakerState.SETTLED if self._settled else TakerState.LIVE
            self.reason = None
            self._start_again()

    def may_activate(self, now: float) -> bool:
        """Whether there is a lease, and time enough left that its answer is still good (X from its asking)."""
        return self.state is TakerState.WAITING and now < self._lease_until - self._windows.fence_timeout

    def activate(self, theirs: list[Seen], fenced_at: float, now: float, *, last_fence_at: float | None = None) -> None:
        """Deliver what the giver had not, and everything from now on.

        `theirs` is what it received before its fence, which was at `fenced_at` on our clock. If that is so long ago
        that payloads of what came since are forgotten, the range has to go back; also if by now something is missing on
        one side that was too young to be missed in the rehearsal.
        """
        if not self.may_activate(now):
            return
        mine = self._history.kept(now, self._covers)
        if self._history.payloads_since > fenced_at - self._windows.max_skew:
            self.state, self.reason = TakerState.LOST, "the fence was too long ago: what came since is not remembered"
            return
        if last_fence_at is not None and last_fence_at - fenced_at > self._windows.fence_spread:
            # The tail of the last does not reach back to where the others' matter: what it delivered there is not told.
            self.state, self.reason = TakerState.LOST, "the other set's fences were too far apart"
            return
        if not self.order.blind and fenced_at - self._same_at > self._windows.comparison_reach:
            # A giver whose network was away between the two has yet to receive what neither comparison looks at.
            self.state, self.reason = TakerState.LOST, "the fence came too long after the two sets were compared"
            return
        unmatched = None if self.order.blind else rehearse(mine, theirs, fenced_at, self._windows)
        if unmatched is not None:
            self.state, self.reason = TakerState.LOST, _difference(unmatched)
            return
        matching = Matching(theirs, self._windows)
        # A handover that was held up does not shorten how far back is looked.
        alignment = min(now, fenced_at + self._windows.fence_timeout / 2)
        last = fenced_at if last_fence_at is None else last_fence_at
        ours = matching.begin(mine, alignment, last - fenced_at)
        told_since = last - self._windows.tail + self._windows.tolerance
        if any(one.late and one.at - one.late < told_since for one in ours):
            self.state, self.reason = TakerState.LOST, MISSED_TOO_MUCH
            return
        self._matching, self._told_since, self._live_at = matching, told_since, now
        self._kept = [one.event for one in ours if one.event is not None]
        for one in ours:
            if one.event is not None:
                one.event.content = one.fingerprint.hex()
        self.state, self.reason, self._may_be_ours = TakerState.LIVE, None, True
        if self._kept:
            self.effects.append(Deliver(list(self._kept)))

    def tick(self, now: float, *, connected: bool, heard_at: float) -> None:
        """Look at the lease, and at what still has to come or to be acknowledged."""
        if self.state is TakerState.REHEARSED and now - self._rehearsed_at > REHEARSAL_LASTS:
            self.state, self.reason = TakerState.REHEARSING, "the comparison of the two sets is too old"
        self.expire_if_due(now)
        if self._frozen_at is not None and (self._matching or now - self._frozen_at > LONGEST_WAIT):
            self._history.freeze(None)
            self._frozen_at = None
        if self._matching is not None:
            self._matching.tick(now, connected, heard_at)
        self._listen(now, heard_at)
        self._sign_wanted_since = self._silent_since(heard_at, now)
        if self._matching is None:
            return
        self._kept = [event for event in self._kept if self._backlog.is_waiting(event)]
        if self.state is TakerState.LIVE:
            # Should a session prove lost, only the giver has what it missed.
            expected = self._matching.expected  # walks through all that is not matched: once a look
            alive = connected and self.sign_wanted_since is None
            self.to_store = alive and not self._kept and not expected
            self.reason = self._why_not_settled(expected, connected=connected)

    def _silent_since(self, heard_at: float, now: float) -> float | None:
        """Since when a session ought to have been heard of, if one was not.

        Before it goes, a moment ago, and since something was missed here: that may be held up on its way, and come just
        when nothing asks any more whether it is old. While it waits for its lease, at any time, for what is held up on
        its way would seem to come later than it is compared by. When it is live, as all that the giver had before its
        fence has come then, or will be a replay; then as long as something is overdue.
        """
        if self.state in (TakerState.REHEARSING, TakerState.REHEARSED):
            since = max(self._missed_at, self._listening_since(now))
            return since if heard_at < since else None
        if self.state is TakerState.WAITING and self._frozen_at is not None:
            since = max(self._frozen_at, now - max(self._windows.tolerance, SIGN_EVERY))
            return since if heard_at < since else None
        if self.state is not TakerState.LIVE or self._matching is None:
            return None
        return self._live_at if heard_at < self._live_at else self._matching.overdue_since

    def expire_if_due(self, now: float) -> None:
        """Deliver nothing more when the lease is over."""
        if self.lease_until is not None and now >= self._lease_until:
            self.state, self.reason = TakerState.EXPIRED, "its lease has run out"
            self.effects.append(StopLanes(self._wanted))

    def stored(self) -> None:
        """The checkpoint that lies behind all that was kept is on disk."""
        self.to_store = False
        if self.state is TakerState.LIVE:
            self.state, self.reason, self._settled = TakerState.SETTLED, None, True

    def tail(self, now: float, wanted: Callable[[int], bool], *, go: bool) -> list[Seen] | None:
        """Nothing: only a giver has one."""
        del now, wanted, go
        return None

    def session_lost(self) -> None:
        """A session ended for good in the middle: what it missed only the giver has, so the range must go back."""
        if self.order.go:
            self._lose("its session could not be resumed in the middle")

    def _lose(self, why: str) -> None:
        if self.state in (TakerState.LIVE, TakerState.SETTLED, TakerState.EXPIRED):
            self.effects.append(StopLanes(self._wanted))
        self.state, self.reason = TakerState.LOST, why

    def end(self, *, ours: bool) -> None:
        """The handover is over, and the range ours, or the other's again."""
        self._history.freeze(None)
        if ours:
            self._start_again()
            return
        self.effects.append(Discard(self._wanted))
        self._settle_held()
        self.effects.append(StartLanes())

    def _why_not_settled(self, expected: int, *, connected: bool) -> str:
        if self.to_store:
            return "its checkpoint is being written to disk"
        if not connected:
            return "one of its sessions is not connected"
        if self.sign_wanted_since is not None:
            return SILENT
        return (
            f"{len(self._kept)} kept events are on their way to the bot, {expected} events of the old session have "
            "still to come by the new one"
        )

    def _start_again(self) -> None:
        self.effects.append(StartLanes())
        self._release_held()


def _difference(unmatched: Unmatched) -> str:
    return f"of the last events {unmatched.mine} came to the takers only, and {unmatched.theirs} to the givers only"
