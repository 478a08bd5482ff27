"""One event loop's shards, their queue and its delivery.

Nothing is done per event that could be done per batch, per connection, or when somebody asks.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from random import Random

import structlog

from shardpod.delivery import Acknowledgements, Delivery, LaneQueue, Sink, SinkHealth
from shardpod.protocol import Event, ShardProtocol
from shardpod.transport import Connector

from .permits import Permits
from .report import ShardReport, WorkerReport
from .settings import WorkerSettings
from .shard_runner import ShardRunner

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
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._received: defaultdict[str, int] = defaultdict(int)
        self._filters = bool(settings.include or settings.exclude)
        self._filtered = 0
        self._dropped: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._dropping = False
        self._drained: asyncio.Event | None = None
        self._acknowledgements = {shard_id: Acknowledgements() for shard_id in settings.shard_ids}
        self._queue = LaneQueue(
            ordering=settings.ordering,
            max_events=settings.max_queued_events,
            max_bytes=settings.max_queued_bytes,
            overflow=settings.overflow,
            settled=self._settled,
        )
        self._health = SinkHealth(random)
        self._delivery = Delivery(
            self._queue,
            sink,
            self._health,
            senders=settings.senders,
            max_batch_events=settings.max_batch_events,
        )
        self._runners = [
            ShardRunner(
                ShardProtocol(shard_id, settings.shard_count, settings.session, random=random),
                connector=connector,
                permits=permits,
                on_event=self._on_event,
                on_change=on_change,
            )
            for shard_id in settings.shard_ids
        ]

    def start(self) -> None:
        for runner in self._runners:
            runner.start()

    async def stop(self, *, drain_for: float) -> None:
        """Close all sessions resumably, then give the queue `drain_for` seconds to reach the bot."""
        for runner in self._runners:
            runner.stop()
        if self._queue.events:
            self._drained = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_for):
                    await self._drained.wait()
        await self._delivery.close()
        if self._queue.events:
            logger.warning("stopped with events that the bot has not acknowledged", events=self._queue.events)

    def _on_event(self, event: Event) -> None:
        self._received[event.type] += 1
        acknowledgements = self._acknowledgements[event.shard_id]
        if self._filters and self._is_filtered(event.type):
            self._filtered += 1
            acknowledgements.skipped(event)
            return
        acknowledgements.received(event)
        if self._queue.put(event):
            self._delivery.notify()

    def _is_filtered(self, event_type: str) -> bool:
        settings = self._settings
        return event_type in settings.exclude or (bool(settings.include) and event_type not in settings.include)

    def _settled(self, event: Event, dropped_because: str | None) -> None:
        self._acknowledgements[event.shard_id].settled(event)
        if self._drained is not None and not self._queue.events:
            self._drained.set()
        if dropped_because is not None:
            self._dropped[dropped_because][event.type] += 1
            if not self._dropping:
                self._dropping = True
                logger.error("events are being dropped", reason=dropped_because, queued=self._queue.events)

    def report(self) -> WorkerReport:
        now = asyncio.get_running_loop().time()
        if self._dropping and self._is_half_empty():
            self._dropping = False
            logger.info("events are no longer dropped", queued=self._queue.events)
        return WorkerReport(
            shards=tuple(self._shard_report(runner, now) for runner in self._runners),
            queued_events=self._queue.events,
            queued_bytes=self._queue.bytes,
            queued_longest=self._queue.longest,
            oldest_age=self._queue.oldest_age(now),
            sink_up=not self._health.down,
            sink_problem=self._health.problem,
            received=dict(self._received),
            delivered=self._delivery.delivered,
            filtered=self._filtered,
            repeated=sum(runner.protocol.repeated for runner in self._runners),
            dropped={reason: dict(by_type) for reason, by_type in self._dropped.items()},
            identifies=sum(runner.identifies for runner in self._runners),
            resumes=sum(runner.resumes for runner in self._runners),
            sessions_lost=sum(runner.sessions_lost for runner in self._runners),
        )

    def _is_half_empty(self) -> bool:
        queue, settings = self._queue, self._settings
        return queue.events < settings.max_queued_events / 2 and queue.bytes < settings.max_queued_bytes / 2

    def _shard_report(self, runner: ShardRunner, now: float) -> ShardReport:
        protocol, session = runner.protocol, runner.protocol.session
        settled = self._acknowledgements[protocol.shard_id]
        same_session = session is not None and settled.session_id == session.session_id
        return ShardReport(
            shard_id=protocol.shard_id,
            state=runner.reported_state,
            guilds=protocol.guilds.count,
            unavailable_guilds=protocol.guilds.unavailable,
            all_guilds_loaded=protocol.guilds.all_loaded(now),
            latency=protocol.latency,
            session_id=session.session_id if session else None,
            resume_gateway_url=session.resume_gateway_url if session else None,
            seq=session.seq if session else None,
            settled_seq=settled.seq if same_session else None,
            close_code=protocol.close_code,
            problem=runner.waiting_for or protocol.problem,
            connected_ago=runner.connected_ago(now),
        )
