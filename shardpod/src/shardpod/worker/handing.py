"""Carries out a worker's part in a reshard: asks the other shard set what it saw, and does what the custody decides.

The decisions are in `shardpod.handover`; here are the clock, the peers, the queue and the disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from math import inf
from typing import Any

import msgspec
import structlog

from shardpod.delivery import LaneQueue
from shardpod.handover import (
    Custody,
    Deliver,
    Discard,
    Effect,
    HandoverReport,
    Orders,
    Release,
    Seen,
    Settle,
    StartLanes,
    StopLanes,
    Verdict,
    concerned,
    pack,
    unpack,
)
from shardpod.protocol import Event, ShardState

from .asking import Ask, ask_instance
from .messages import Busy, FetchTail, Lease, Neighbour, TailPart, TransferAnswer
from .shard import Shard
from .signs_of_life import SignsOfLife

TICK = 0.05
"""Seconds between two looks at what is due; so long a fence or a lease is noticed late at most."""
REHEARSE_EVERY = 1.0
"""Seconds between two comparisons of what both sets saw, at most."""
STANDSTILL = 0.5
"""Of `fence_timeout`: a loop that is late by more has stood still; less is in the tolerance of all comparisons."""
LAG_MEMORY = 5.0
"""Seconds for which the largest delay of the loop is told."""

logger = structlog.get_logger("handover")


class Handing:
    """For all shards of a worker. `admit` takes an event that is to be delivered, whatever the queue's bound.

    `save` writes all that waits and every checkpoint to disk; false if it cannot. `not_ours` counts events that
    were left to the other shard set.
    """

    def __init__(
        self,
        shards: Mapping[int, Shard],
        shard_ids: Collection[int],
        queue: LaneQueue,
        *,
        ask: Ask,
        admit: Callable[[Event], None],
        is_filtered: Callable[[Event], bool],
        save: Callable[[], Awaitable[bool]],
        notify: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self.custody: Custody | None = None
        self.not_ours = 0
        self._shards = shards
        self._shard_ids = tuple(shard_ids)
        self._queue = queue
        self._ask = ask
        self._admit = admit
        self._is_filtered = is_filtered
        self._save = save
        self._notify = notify
        self._on_change = on_change
        self._counterparts: tuple[Neighbour, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tick_due = inf
        self._lag = (0.0, 0.0)
        self._rehearse_due = 0.0
        self._life = SignsOfLife(shards)
        self._busy: asyncio.Task[None] | None = None
        self._told: HandoverReport | None = None
        self._lost_before: dict[int, int] = {}
        self._closed = False
        self._finished = False

    def follow(self, orders: Orders | None, counterparts: tuple[Neighbour, ...], *, resuming: bool = False) -> None:
        """Take the operator's word; no orders: no reshard runs, and this worker delivers all it receives."""
        now = self._loop.time()
        self._note_standstill(now)
        self._counterparts = counterparts
        begins = self.custody is None or self._finished
        if orders is None:
            self._finish()
        elif self.custody is None or self._finished:
            self._finished = False
            self.custody = Custody(self._shard_ids, orders, self._queue, now=now, resuming=resuming)
        else:
            # What is remembered was remembered for as long as the windows of this reshard's beginning say.
            self.custody.follow(msgspec.structs.replace(orders, windows=self.custody.orders.windows), now)
        if self.custody is not None:
            self._carry_out()
            self._note_lost_sessions(first=begins)
            self._carry_out()
            if self._timer is None and not self._closed:
                self._set_timer()
            if self.custody.handover_open:
                self._look()  # a fence is complete at once, as a rule
        self._tell()

    def received(self, event: Event) -> bool:
        """Take note of an event just received; whether it is to be delivered from here, now."""
        assert self.custody is not None
        if event.received_at > self._tick_due:
            self._note_standstill(event.received_at)
        verdict = self.custody.received(event, self._shards[event.shard_id].protocol.hearing.silent_since)
        if self.custody.effects:
            self._carry_out()
        if verdict is Verdict.OURS:
            return True
        self._queue.skip(event)
        if verdict is Verdict.HELD:
            self._queue.hold(event)
        else:
            self.not_ours += 1
        return False

    def restored(self, event: Event) -> bool:
        """As `received`, of an event that waited when this worker was started."""
        if self.custody is None:
            return True
        verdict = self.custody.restored(event)
        if verdict is Verdict.HELD:
            self._queue.hold_whatever_the_bound(event)
        elif verdict is Verdict.NOT_OURS:
            self._queue.disown(event)
        return verdict is Verdict.OURS

    def lease(self, lease: Lease) -> None:
        if self.custody is not None:
            now = self._loop.time()
            self._note_standstill(now)
            self.custody.lease(lease.number, lease.until, now)
            # Not only at the next tick: nothing more is sent from that moment on.
            self._loop.call_at(lease.until, self._look)
            self._look()

    def expire_if_due(self) -> None:
        """Called before anything is sent: a lease may have run out while the process stood still."""
        if self.custody is not None and self.custody.expires(self._loop.time()):
            self._carry_out()

    def tail(self, request: FetchTail) -> TransferAnswer:
        """Tell a taker what was seen here of the range."""
        if self.custody is None:
            return Busy("no reshard is known here")
        now = self._loop.time()
        mine = frozenset(request.shard_ids)
        seen = self.custody.tail(request.number, lambda key: key % request.shard_count in mine, now, go=request.go)
        if seen is None:
            report = self.custody.report()
            return Busy("the handover is not known here yet" if report is None else report.reason or report.state)
        age = self.custody.fence_age(now)
        return TailPart(pack(seen, now), age, age if self.custody.has_fence else None)

    @property
    def open(self) -> bool:
        return self.custody is not None and self.custody.handover_open

    def report(self) -> HandoverReport | None:
        return None if self.custody is None else self.custody.report()

    @property
    def watching_for(self) -> float | None:
        return None if self.custody is None else self.custody.watching_for(self._loop.time())

    @property
    def lag(self) -> float:
        """The largest delay of the loop in the last seconds."""
        return self._lag[1] if self._loop.time() - self._lag[0] < LAG_MEMORY else 0.0

    def close(self) -> None:
        """Begin nothing more; a lease still runs out while the queue is drained."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._busy is not None:
            self._busy.cancel()

    # Time.

    def _set_timer(self) -> None:
        self._tick_due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._tick_due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.custody is None:
            return
        now = self._loop.time()
        late = now - self._tick_due
        if late > self._lag[1] or now - self._lag[0] > LAG_MEMORY:
            self._lag = (now, late)
        self._note_standstill(now)
        self._set_timer()  # first: whatever goes wrong below, a lease must run out
        self._note_lost_sessions()
        self._look()

    def _note_standstill(self, now: float) -> None:
        """Whatever comes first after a standstill comes before the tick that is late, and has to know of it."""
        if self.custody is None:
            return
        late = now - self._tick_due
        if late > self.custody.orders.windows.fence_timeout * STANDSTILL:
            logger.warning("the worker stood still while two shard sets live", seconds=round(late, 3))
            self._lag, self._tick_due = (now, late), now
            self.custody.stood_still(now)
            self._carry_out()

    def _look(self) -> None:
        """Do what is due."""
        custody = self.custody
        if custody is None:
            return
        now = self._loop.time()
        self._note_standstill(now)
        concerned = custody.concerned
        if not self._life.reads(concerned):
            custody.stood_still(now)  # what waits outside is read late, and nobody can say by how much
        custody.tick(now, connected=self._life.connected(concerned), heard_at=self._life.heard_at(concerned, now))
        self._carry_out()
        self._life.ask(concerned, custody.sign_wanted_since, now, prompt=custody.orders.windows.max_skew)
        taker = custody.taker
        if taker is not None and not self._closed and (self._busy is None or self._busy.done()):
            if taker.may_activate(now):
                self._run(self._activate(custody, taker.order.number))
            elif not taker.order.go and now >= self._rehearse_due:
                # The fence is to find a comparison that is not old, whatever the windows are.
                self._rehearse_due = now + min(REHEARSE_EVERY, custody.orders.windows.comparison_reach / 4)
                self._run(self._rehearse(custody, taker.order.number))
            elif taker.to_store:
                self._run(self._store(custody, taker.order.number))
        self._tell()

    def _note_lost_sessions(self, *, first: bool = False) -> None:
        assert self.custody is not None
        for shard_id, shard in self._shards.items():
            # One that Discord refuses for good has lost its session as well.
            lost = shard.counted("sessions_lost") + (shard.protocol.state is ShardState.REFUSED)
            if not first and lost > self._lost_before.get(shard_id, 0):
                self.custody.session_lost(shard_id, self._loop.time())
            self._lost_before[shard_id] = lost

    def _tell(self) -> None:
        """Report at once when a state has changed."""
        report = self.report()
        if (report and (report.number, report.state)) != (self._told and (self._told.number, self._told.state)):
            if report is not None:
                logger.info("handover", number=report.number, role=report.role, state=report.state)
            self._on_change()
        self._told = report

    # What the custody wants.

    def _carry_out(self) -> None:
        assert self.custody is not None
        while self.custody.effects:
            effects, self.custody.effects = self.custody.effects, []
            for effect in effects:
                carry_out(effect, self._queue, admit=self._admit, is_filtered=self._is_filtered)
            self._notify()

    def _finish(self) -> None:
        if self.custody is not None and not self._finished:
            until = self.custody.finish(self._loop.time())
            self._carry_out()
            self._finished = True
            self._loop.call_at(until, self._drop, self.custody)

    def _drop(self, custody: Custody) -> None:
        """Nothing of a reshard that is over is to be asked any more."""
        if self.custody is custody and self._finished:
            self.custody = None
            self._tick_due = inf

    # Peers and disk.

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._busy = self._loop.create_task(work)

    async def _rehearse(self, custody: Custody, number: int) -> None:
        asked_at = self._loop.time()
        parts = await self._tails(custody, number, go=False)
        if parts is not None:
            custody.rehearse(number, _unpacked(parts, asked_at), asked_at, self._loop.time())
            self._tell()

    async def _activate(self, custody: Custody, number: int) -> None:
        asked_at = self._loop.time()
        parts = await self._tails(custody, number, go=True)
        now = self._loop.time()
        # Ages are counted from the answers: whatever came later than this would make the times too inexact to match.
        in_time = now - asked_at <= custody.orders.windows.fence_timeout
        if parts is not None and in_time and custody is self.custody:
            fenced_at = now - max((part.fence_age for part in parts), default=0.0)
            last = min((part.last_fence_age for part in parts if part.last_fence_age is not None), default=None)
            last_fence_at = None if last is None else now - last
            custody.activate(number, _unpacked(parts, now), fenced_at, now, last_fence_at=last_fence_at)
            self._carry_out()  # before the next look: what is kept must be in the queue by then
            self._look()

    async def _store(self, custody: Custody, number: int) -> None:
        saved = await self._save()
        taker = custody.taker
        if saved and taker is not None and taker.order.number == number and taker.to_store:
            taker.stored()
            self._tell()

    async def _tails(self, custody: Custody, number: int, *, go: bool) -> list[TailPart] | None:
        """What all givers concerned saw; None when one of them cannot say."""
        needed = _giving_shards(custody.orders)
        givers = [one for one in self._counterparts if any(one.covers(shard_id) for shard_id in needed)]
        if not all(any(giver.covers(shard_id) for giver in givers) for shard_id in needed):
            return None
        request = FetchTail(number, go, custody.orders.shard_count, self._shard_ids)
        answers = await asyncio.gather(*(ask_instance(self._ask, one.instance, one.address, request) for one in givers))
        parts = [answer for answer in answers if isinstance(answer, TailPart)]
        if len(parts) < len(answers):
            problem = next(answer for answer in answers if not isinstance(answer, TailPart))
            logger.debug("a tail cannot be had yet", problem=problem)
            return None
        return parts


def carry_out(
    effect: Effect, queue: LaneQueue, *, admit: Callable[[Event], None], is_filtered: Callable[[Event], bool]
) -> None:
    """Do with the queue's events what a custody wants. `admit` takes one that is to be delivered and is not there."""
    match effect:
        case Deliver(events):
            for event in events:
                admit(event)
        case Release(events):
            for event in events:
                if is_filtered(event):
                    queue.settle(event)
                else:
                    queue.release(event)
        case Settle(events):
            for event in events:
                queue.settle(event)
        case StopLanes(wanted):
            queue.stop_lanes(wanted)
        case StartLanes():
            queue.start_lanes()
        case Discard(wanted):
            queue.discard(wanted)


def _unpacked(parts: Iterable[TailPart], now: float) -> list[Seen]:
    return [seen for part in parts for seen in unpack(part.tail, now)]


def _giving_shards(orders: Orders) -> list[int]:
    """The shards of the other epoch whose sessions may have guilds of the range."""
    order = orders.handover
    if order is None:
        return []
    count = orders.active_count if orders.is_pending else orders.pending_count
    return [one for one in range(count) if concerned(one, count, order.first, order.last, orders.pending_count)]
