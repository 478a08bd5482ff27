"""One event loop's shards, their queue and its delivery.

Nothing is done per event that could be done per batch, per connection, or when somebody asks.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import structlog

from shardpod.delivery import Delivery, LaneQueue, Outstanding, Sink, SinkHealth
from shardpod.protocol import Event
from shardpod.transport import Connector

from .announcing import Announcing
from .asking import Ask, nobody
from .beginning import Beginning
from .dead_letters import DeadLetterOffice
from .giving import Giving
from .handing import Handing
from .inheriting import Inheriting
from .messages import (
    DeadLetters,
    FetchLetters,
    FetchTail,
    ForgetLetters,
    Lease,
    ListDeadLetters,
    Neighbours,
    Settled,
    SettleDeadLetters,
    Transfer,
    TransferAnswer,
)
from .permits import Permits
from .rejoining import Rejoining
from .report import WorkerReport
from .settings import WorkerSettings
from .shard import Holding, Shard, Sources
from .spooler import Spooler
from .taking import Taking

_CONTESTED = 2
"""Connections lost within seconds of RESUMED after which a session may be contested (architecture: Takeover)."""

logger = structlog.get_logger("worker")


class Worker:
    """Runs shards from `start` to `stop`; `report` tells how they are, and `on_change` that a shard's state changed."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        connector: Connector,
        permits: Permits,
        sink: Sink,
        random: Random,
        ask_peer: Ask = nobody,
        neighbours: Neighbours | None = None,
        on_change: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._received: defaultdict[str, int] = defaultdict(int)
        self._filters = bool(settings.include or settings.exclude)
        self._filtered = 0
        self._dropped: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._dropping = False
        self._dead_lettered = 0
        self._cut_off = False
        self._may_pause = settings.overflow == "pause"
        self._paused = False
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._drained: asyncio.Event | None = None
        self._on_change = on_change
        self._queue = LaneQueue(
            ordering=settings.ordering,
            max_events=settings.max_queued_events,
            max_bytes=settings.max_queued_bytes,
            overflow=settings.overflow,
            shed_first=settings.shed_first,
            settled=self._settled,
        )
        self._spooler = self._make_spooler(wall)
        self._health = SinkHealth(random)
        self._delivery = Delivery(
            self._queue,
            sink,
            self._health,
            senders=settings.senders,
            bury=self._bury,
            max_batch_events=settings.max_batch_events,
            max_attempts=settings.max_attempts,
        )
        self._shards: dict[int, Shard] = {}
        self._giving = Giving(
            self._shards,
            self._queue,
            self._spooler,
            notify=self._delivery.notify,
            on_change=on_change,
            identity=settings.identity,
        )
        self._handing = Handing(
            self._shards,
            settings.shard_ids,
            self._queue,
            ask=ask_peer,
            admit=self._admit_whatever_the_bound,
            is_filtered=self._filter_out,
            save=self._save,
            notify=self._delivery.notify,
            on_change=on_change,
        )
        self._giving.handover_open = lambda: self._handing.open
        self._rejoining = Rejoining(self._shards, settings.session.token, on_change=on_change)
        self._announcing = Announcing(self._shards, deliver=self._deliver_own, now=self._loop.time)
        neighbours = neighbours or Neighbours()
        self._letters = DeadLetterOffice(self._spooler, self._shards, self._queue, self._delivery.notify)
        self._taking = Taking(
            self._shards,
            self._queue,
            self._spooler,
            self._letters,
            instance=neighbours.instance,
            identity=settings.identity,
            ask=ask_peer,
            notify=self._delivery.notify,
            dropped=self._take_no_more,
        )
        self._at_begin = neighbours
        self.set_neighbours(neighbours, begin=True)
        self._inheriting = Inheriting(self._letters, ask=ask_peer, save=self._save)
        self._sources = Sources(
            settings.session,
            settings.shard_count,
            connector=connector,
            permits=permits,
            predecessors=self._taking,
            random=random,
            on_change=self._shard_changed,
        )

    def _make_spooler(self, wall: Callable[[], float]) -> Spooler | None:
        if self._settings.scratch is None:
            return None
        return Spooler(
            Path(self._settings.scratch),
            max_bytes=self._settings.spool_max_bytes,
            session_of=lambda shard_id: self._shards[shard_id].to_store(),
            letters_dropped=self._dropped["dead_letters_full"],
            now=self._loop.time,
            wall=wall,
        )

    async def start(self) -> None:
        """Take up what is on disk, then begin to hold the shards. Raises StoreError if a file cannot be had."""
        beginning = Beginning(
            self._settings, self._queue, self._spooler, handing=self._handing, taking=self._taking, giving=self._giving
        )
        for shard_id in self._settings.shard_ids:
            stored, events = (None, []) if self._spooler is None else await self._spooler.open(shard_id)
            shard = Shard(
                shard_id, self._sources, self._queue, on_event=self._on_event, identity=self._settings.identity
            )
            self._shards[shard_id] = shard
            await beginning.begin(shard, stored, events, now=self._loop.time())
        if self._spooler is not None:
            self._spooler.begin(self._outstanding)
        self._announcing.follow(self._at_begin.orders, announce=self._at_begin.announce)
        begin = self._at_begin
        self._inheriting.follow(begin.orders, begin.counterparts, inherits=begin.inherits)
        self._delivery.notify()
        self._on_change()

    async def stop(self, *, drain_for: float) -> None:
        """Close all sessions resumably, give the queue `drain_for` seconds, and write to disk what is left."""
        self._stopping = True
        self._handing.close()
        self._rejoining.close()
        self._inheriting.close()
        await self._taking.close()
        self._giving.close()
        for shard in self._shards.values():
            shard.runner.stop()
        if self._queue.events and drain_for > 0 and not self._health.down:
            self._drained = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_for):
                    await self._drained.wait()
        await self._delivery.close()
        saved = self._spooler is not None and await self._spooler.end(self._outstanding())
        if self._queue.events:
            logger.warning(
                "stopped with events that the bot has not acknowledged",
                events=self._queue.events,
                they_are="on disk, for the next start" if saved else "lost, unless Discord replays them",
            )

    # Transfers and dead letters.

    def set_neighbours(self, neighbours: Neighbours, *, begin: bool = False) -> None:
        """Take the operator's word on who else holds sessions of the same shards, or of the same guilds."""
        self._handing.follow(neighbours.orders, neighbours.counterparts, resuming=begin)
        # Only while two sets live: without a reshard an event pays nothing for leases.
        self._delivery.before_sending = None if neighbours.orders is None else self._handing.expire_if_due
        self._rejoining.follow(neighbours.orders, rejoin=neighbours.rejoin_voice)
        self._letters.orders = neighbours.orders
        if not begin:
            self._inheriting.follow(neighbours.orders, neighbours.counterparts, inherits=neighbours.inherits)
            self._announcing.follow(neighbours.orders, announce=neighbours.announce)
        self._giving.may_release = neighbours.may_release
        self._taking.set_neighbours(neighbours.takes_from, neighbours.checkpoints)
        self._cut_off = neighbours.cut_off
        self._take_no_more()
        if not neighbours.cut_off:
            self._take_up_again()

    def _shard_changed(self) -> None:
        if self._cut_off:
            self._let_go_of_contested()
        self._on_change()

    def _let_go_of_contested(self) -> None:
        """Two pods must not resume one session in turn: without an operator, nobody else would end it (Takeover)."""
        for shard in self._shards.values():
            if shard.holding is Holding.HELD and shard.runner.quick_losses >= _CONTESTED and not shard.let_go:
                logger.warning(
                    "a session is lost again and again, and no operator can be reached: it may be another pod's by now",
                    shard=shard.shard_id,
                )
                self._loop.call_soon(shard.leave_alone)

    def _take_up_again(self) -> None:
        for shard in self._shards.values():
            if shard.let_go and shard.holding is Holding.HELD and not self._stopping:
                shard.take_up_again(self._loop.time())

    def _take_no_more(self) -> None:
        """Whoever has a successor himself takes nothing: that one asks where the shards are."""
        for shard in self._shards.values() if self._giving.may_release else ():
            if shard.holding is Holding.TAKING and not self._taking.is_finishing(shard.shard_id):
                shard.runner.release()
                shard.holding = Holding.GONE
                task = self._loop.create_task(self._giving.nothing_left(shard))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def lease(self, lease: Lease) -> None:
        """Leave to deliver a range that is being handed over, for some time."""
        self._handing.lease(lease)

    async def transfer(self, request: Transfer) -> TransferAnswer:
        """Answer a successor, or a pod of the other shard set."""
        if isinstance(request, FetchTail):
            return self._handing.tail(request)
        if isinstance(request, FetchLetters):
            await self._flush()
            return await self._letters.of_guilds(request)
        if isinstance(request, ForgetLetters):
            return await self.settle_dead_letters(SettleDeadLetters(request.keys, discard=True))
        return await self._giving.answer(request)

    async def list_dead_letters(self, _request: ListDeadLetters) -> DeadLetters:
        await self._flush()
        return await self._letters.view()

    async def settle_dead_letters(self, request: SettleDeadLetters) -> Settled:
        await self._flush()
        settled = await self._letters.settle(request)
        await self._flush(everything=True)
        return settled

    async def _flush(self, *, everything: bool = False) -> None:
        if self._spooler is not None:
            await self._spooler.flush(self._outstanding(), everything=everything)

    def _outstanding(self) -> Iterable[Outstanding]:
        return [shard.outstanding for shard in self._shards.values() if shard.holding is not Holding.GONE]

    # Events.

    def _on_event(self, event: Event) -> None:
        self._received[event.type] += 1
        if self._handing.custody is not None:
            self._rejoining.received(event)
            if not self._handing.received(event):
                self._pause_if_full()  # what is held counts as well
                return
        if self._filters and self._filter_out(event):
            self._queue.skip(event)
            return
        if self._queue.put(event):
            self._delivery.notify()
        if self._may_pause:
            self._pause_if_full()

    def _pause_if_full(self) -> None:
        if self._may_pause and not self._paused and self._queue.is_full:
            self._pause(on=True)

    def _admit_whatever_the_bound(self, event: Event) -> None:
        """Deliver an event that was received some time ago, and kept."""
        if not self._filter_out(event):
            self._queue.put_whatever_the_bound(event)

    def _deliver_own(self, event: Event) -> None:
        """Deliver an event that Discord did not send."""
        self._received[event.type] += 1
        self._queue.put_whatever_the_bound(event)
        self._delivery.notify()

    def _filter_out(self, event: Event) -> bool:
        """Whether the user does not want it; then it is counted."""
        include, exclude = self._settings.include, self._settings.exclude
        unwanted = event.type in exclude or (bool(include) and event.type not in include)
        self._filtered += unwanted
        return unwanted

    async def _save(self) -> bool:
        """All that waits and every checkpoint are on disk, if there is one."""
        return self._spooler is None or await self._spooler.flush(self._outstanding(), everything=True)

    def _settled(self, event: Event, dropped_because: str | None) -> None:
        if event.spool_id and self._spooler is not None:
            self._spooler.settled(event)
        if self._drained is not None and not self._queue.events:
            self._drained.set()
        if self._paused and self._queue.has_room:
            self._pause(on=False)
        if dropped_because is not None and dropped_because != "dead_letter":
            self._dropped[dropped_because][event.type] += 1
            if not self._dropping:
                self._dropping = True
                logger.error("events are being dropped", reason=dropped_because, queued=self._queue.events)

    def _bury(self, event: Event, problem: str, attempts: int) -> None:
        self._dead_lettered += 1
        if self._spooler is not None:
            self._spooler.bury(event, problem, attempts)

    def _pause(self, *, on: bool) -> None:
        """Stop reading all sockets while the queue is full, or go on (queue.overflow: pause)."""
        self._paused = on
        if on:
            logger.warning("the queue is full, nothing more is read from Discord", queued=self._queue.events)
        else:
            logger.info("the queue has room again, reading goes on", queued=self._queue.events)
        for shard in self._shards.values():
            shard.runner.read(on=not on)

    def report(self) -> WorkerReport:
        now = self._loop.time()
        if self._dropping and self._queue.has_room and not self._queue.drops_what_is_held:
            self._dropping = False
            logger.info("events are no longer dropped", queued=self._queue.events)
        if self._paused and self._queue.has_room:
            # Room is also made where nothing is settled: a shard with all that waited was given to another pod.
            self._pause(on=False)
        shards = self._shards.values()
        spooler = self._spooler
        return WorkerReport(
            shards=tuple(shard.report(now) for shard in shards),
            queued_events=self._queue.events + sum(len(shard.arrived) for shard in shards),
            queued_bytes=self._queue.bytes,
            queued_longest=self._queue.longest,
            oldest_age=self._queue.oldest_age(now),
            spooled_events=spooler.spooled if spooler else 0,
            spooled_bytes=spooler.spooled_bytes if spooler else 0,
            spool_problem=spooler.problem if spooler else None,
            dead_letters=spooler.letters if spooler else 0,
            sink_up=not self._health.down,
            sink_problem=self._health.problem,
            received=dict(self._received),
            delivered=self._delivery.delivered,
            filtered=self._filtered,
            repeated=sum(shard.counted("repeated") for shard in shards),
            dropped={reason: dict(by_type) for reason, by_type in self._dropped.items()},
            dead_lettered=self._dead_lettered,
            identifies=sum(shard.counted("identifies") for shard in shards),
            resumes=sum(shard.counted("resumes") for shard in shards),
            sessions_lost=sum(shard.counted("sessions_lost") for shard in shards),
            transfers=self._taking.transfers,
            paused=self._paused,
            not_ours=self._handing.not_ours,
            handover=self._handing.report(),
            watching_for=self._handing.watching_for,
            loop_lag=self._handing.lag,
            voice=self._rejoining.elsewhere,
            voice_to_rejoin=self._rejoining.to_rejoin,
        )
