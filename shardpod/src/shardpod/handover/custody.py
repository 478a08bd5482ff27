"""Which events this worker delivers while two shard sets live, and its part in the handover of a range.

Both sets receive every event of every guild; each is delivered by one of them (architecture, Ownership and the
handover). Pure: what has to be done with events is in `effects`, to be carried out after every call, in order.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import msgspec

from shardpod.protocol import Event

from .fingerprint import fingerprint
from .giver import Giver
from .history import History, Seen
from .orders import HandoverOrder, Orders
from .part import Backlog
from .routing import is_of_session, key_of
from .taker import LONGEST_WAIT, Taker
from .verdict import Verdict

if TYPE_CHECKING:
    from .effects import Effect


UNCONCERNED = "unconcerned"
"""The state of a worker none of whose sessions the handover concerns: it has heard of it, and has no part in it."""


class HandoverReport(msgspec.Struct, frozen=True):
    """How far this worker is with the handover of its orders, in the contract's words (HandoverObserved)."""

    number: int
    role: str
    state: str
    reason: str | None = None


class Custody:
    """For all shards of a worker, from the beginning of a reshard to its end.

    `resuming`: the worker has just been started, so that it knows nothing of a handover that is already under way.
    """

    def __init__(
        self, shard_ids: Collection[int], orders: Orders, backlog: Backlog, *, now: float, resuming: bool
    ) -> None:
        self.effects: list[Effect] = []
        self.history = History(orders.windows)
        self._shard_ids = frozenset(shard_ids)
        self._backlog = backlog
        self._since = now
        self._part: Giver | Taker | None = None
        self._orders = orders
        self._is_ours = b""
        self._given_back: HandoverOrder | None = None
        # Of a range that was given back before this worker was started nothing is known here: it may be any.
        self._content_until = now + orders.windows.history if resuming else 0.0
        self._interrupted_at: dict[int, float] = {}
        self._why_not_now: str | None = None
        self._take(orders, now, resuming=resuming)

    @property
    def orders(self) -> Orders:
        return self._orders

    @property
    def taker(self) -> Taker | None:
        return self._part if isinstance(self._part, Taker) else None

    def watching_for(self, now: float) -> float:
        """Seconds for which all that was received is remembered."""
        return now - self._since

    def stood_still(self, now: float) -> None:
        """The process did nothing for a while: what it reads now came earlier, and nobody can say when."""
        self._since = now
        if self._part is not None:
            self._part.stood_still(now)
            self._collect()

    def received(self, event: Event, since: float | None = None) -> Verdict:
        """Take note of an event, before any filter of the user's.

        `since`: it is a replay, and would have come at any time from then on if its connection had not broken.
        """
        if is_of_session(event.type):
            return Verdict.OURS
        key = key_of(event)
        late = 0.0 if since is None else max(0.0, event.received_at - since)
        if late > self._orders.windows.max_skew:
            self._interrupted_at[event.shard_id] = event.received_at
        verdict = self._verdict(event, key, late)
        if not event.initial:  # the other set's sessions do not get it
            # What is held may turn out the other's, and be asked back soon after: an abort needs the payload then.
            self.history.saw(event, key, keep=verdict is not Verdict.OURS, late=late)
        return verdict

    def restored(self, event: Event) -> Verdict:
        """Whose an event is that was outstanding before this worker was started: it was ours then."""
        return Verdict.OURS if is_of_session(event.type) else self._verdict(event, key_of(event))

    def follow(self, orders: Orders, now: float) -> None:
        """Take the operator's word. A handover that is in it no more is over."""
        self._take(orders, now, resuming=False)

    def finish(self, now: float) -> float:
        """The reshard is over, and this worker's epoch delivers everything; until when this is still to be asked."""
        self._end(ours=True, now=now)
        self._is_ours = b"\1" * self._orders.pending_count
        self._orders = msgspec.structs.replace(self._orders, handover=None)
        return self._content_until

    def tick(self, now: float, *, connected: bool, heard_at: float) -> int:
        """Do what is due; returns how many events have still to be fingerprinted.

        `connected`: all shards concerned are. `heard_at`: when the one that is silent for longest was heard of.
        """
        left = self.history.digest(now)
        if self._part is not None:
            self._part.tick(now, connected=connected, heard_at=heard_at)
            self._collect()
        return left

    def lease(self, number: int, until: float, now: float) -> None:
        """Leave to deliver the range of handover `number` until then."""
        if (taker := self.taker) is not None and taker.order.number == number:
            taker.lease(until, now)
            self._collect()

    def expires(self, now: float) -> bool:
        """Whether a lease is over that was not at the last look; then nothing more of the range is to be sent."""
        taker = self.taker
        if taker is None or taker.lease_until is None or now < taker.lease_until:
            return False
        taker.expire_if_due(now)
        self._collect()
        return True

    def rehearse(self, number: int, theirs: list[Seen], asked_at: float, now: float) -> None:
        """Compare with what all givers saw."""
        if (taker := self.taker) is not None and taker.order.number == number:
            taker.rehearse(theirs, asked_at, now)
            if (why := self._why_interrupted(now)) is not None:
                taker.not_yet(why)

    def activate(
        self, number: int, theirs: list[Seen], fenced_at: float, now: float, *, last_fence_at: float | None = None
    ) -> None:
        """Begin to deliver: `theirs` is what all givers had received before their fences, the first at `fenced_at`."""
        if (taker := self.taker) is not None and taker.order.number == number:
            taker.activate(theirs, fenced_at, now, last_fence_at=last_fence_at)
            self._collect()

    def tail(self, number: int, wanted: Callable[[int], bool], now: float, *, go: bool) -> list[Seen] | None:
        """For a taker: what this worker saw of the range, or had seen before its fence; None: not now."""
        order = self._orders.handover
        if order is None or order.number != number:
            return None
        if self._part is None:
            return []  # it has no session that may see guilds of the range
        self._why_not_now = None if go else self._why_interrupted(now)
        if self._why_not_now is not None:
            return None  # a fence of now would be undone
        return self._part.tail(now, wanted, go=go)

    def fence_age(self, now: float) -> float:
        """Seconds since this worker fenced the range, 0 if it has not."""
        fenced_at = self._fenced_at
        return 0.0 if fenced_at is None else now - fenced_at

    @property
    def has_fence(self) -> bool:
        return self._fenced_at is not None

    @property
    def _fenced_at(self) -> float | None:
        return self._part.fenced_at if isinstance(self._part, Giver) else None

    def session_lost(self, shard_id: int, now: float) -> None:
        """A session ended and cannot be resumed: what it misses until the next one begins never comes here."""
        self._interrupted_at[shard_id] = now
        if self._part is not None and self._orders.concerns(shard_id, self._part.order):
            self._part.session_lost()
            self._collect()

    @property
    def concerned(self) -> frozenset[int]:
        """The shards whose sessions the handover concerns."""
        part = self._part
        if part is None:
            return frozenset()
        return frozenset(shard_id for shard_id in self._shard_ids if self._orders.concerns(shard_id, part.order))

    @property
    def sign_wanted_since(self) -> float | None:
        """Since when each session concerned has to have been heard of, for the handover to go on; None: it need not."""
        return None if self._part is None else self._part.sign_wanted_since

    @property
    def handover_open(self) -> bool:
        """Whether a range is between the sets: no session may change hands meanwhile."""
        return self._part is not None and self._part.order.go

    def report(self) -> HandoverReport | None:
        part, order = self._part, self._orders.handover
        if part is None:
            role = "giver" if order is not None and order.from_epoch == self._orders.epoch else "taker"
            return None if order is None else HandoverReport(order.number, role, UNCONCERNED)
        return HandoverReport(part.order.number, part.role, part.state.value, part.reason or self._why_not_now)

    # Inside.

    def _verdict(self, event: Event, key: int, late: float = 0.0) -> Verdict:
        pending_shard = key % self._orders.pending_count
        part = self._part
        if part is not None and part.order.covers(pending_shard):
            verdict = part.received(event, late)
            if part.effects:
                self._collect()
            return verdict
        if not self._is_ours[pending_shard]:
            return Verdict.NOT_OURS
        if self._may_be_given_back(pending_shard, event.received_at):
            event.content = fingerprint(event.type, event.raw).hex()
        return Verdict.OURS

    def _may_be_given_back(self, pending_shard: int, received_at: float) -> bool:
        """Whether a taker may have delivered it as well. Of a long backlog, restored at once, most is too old."""
        window = 2 * self._orders.windows.history + LONGEST_WAIT
        if not self._content_until - window < received_at < self._content_until:
            return False
        return self._given_back is None or self._given_back.covers(pending_shard)

    def _take(self, orders: Orders, now: float, *, resuming: bool) -> None:
        order = orders.handover
        if self._part is not None and (order is None or order.number != self._part.order.number):
            self._end(ours=self._is_now_ours(self._part.order.first, orders), now=now)
        self._orders = orders
        self._is_ours = bytes(orders.is_ours(shard) for shard in range(orders.pending_count))
        if order is None:
            return
        if self._part is None:
            self._part = self._new_part(order, lost=order.go and resuming)
        if self._part is not None and order.go:
            if (why := self._why_incomplete(now)) is not None:
                # The operator decided by a report of before that.
                self._part.cannot(why)
            self._part.go(order, now)
            self._collect()

    def _why_incomplete(self, now: float) -> str | None:
        """Why what is remembered of the range is not all that the other set's sessions received lately."""
        if self.watching_for(now) < self._orders.windows.history:
            return "a worker was started again just before"
        return self._why_interrupted(now)

    def _why_interrupted(self, now: float) -> str | None:
        history = self._orders.windows.history
        if any(now - at < history for shard_id, at in self._interrupted_at.items() if shard_id in self.concerned):
            return "a session was lost or interrupted just before"
        return None

    def _is_now_ours(self, pending_shard: int, orders: Orders) -> bool:
        """Whose a range is that was between the sets: of two other sets, its number says nothing any more."""
        sets = (orders.pending_epoch, orders.pending_count)
        if sets == (self._orders.pending_epoch, self._orders.pending_count):
            return orders.is_ours(pending_shard)
        return any(orders.is_ours(shard) for shard in range(orders.pending_count))

    def _new_part(self, order: HandoverOrder, *, lost: bool) -> Giver | Taker | None:
        orders = self._orders
        if not any(orders.concerns(shard_id, order) for shard_id in self._shard_ids):
            return None
        mine, count = self._shard_ids, orders.shard_count

        def covers(key: int) -> bool:
            return order.covers(key % orders.pending_count) and key % count in mine

        def wanted(event: Event) -> bool:
            return not is_of_session(event.type) and covers(key_of(event))

        kind = Giver if orders.epoch == order.from_epoch else Taker
        return kind(order, orders.windows, self.history, self._backlog, covers=covers, wanted=wanted, lost=lost)

    def _end(self, *, ours: bool, now: float) -> None:
        if self._part is not None:
            if ours and isinstance(self._part, Giver) and self._part.order.go:
                # What the taker delivered under its lease may come to our session only now.
                self._given_back, self._content_until = self._part.order, now + self._orders.windows.history
            self._part.end(ours=ours)
            self._collect()
            self._part = None

    def _collect(self) -> None:
        """The part's effects are ours to show."""
        if self._part is not None and self._part.effects:
            self.effects += self._part.effects
            self._part.effects = []
