"""Senders carry batches from the queue to the sink, several at a time, and hold back while the sink is down."""

import asyncio

import structlog

from .lanes import Batch, LaneQueue
from .sink import Sink, SinkError
from .sink_health import SinkHealth

MAX_BATCH_BYTES = 1024 * 1024
"""A batch ends here even if more events are allowed; one event larger than this travels alone."""
_TROUBLED_LANE_ATTEMPTS = 4
"""The failure in a row at which a single lane's trouble is worth a log line."""

logger = structlog.get_logger("delivery")


class Delivery:
    """Runs `senders` tasks until closed. `notify` has to be called when a lane became ready."""

    def __init__(
        self, queue: LaneQueue, sink: Sink, health: SinkHealth, *, senders: int, max_batch_events: int = 1
    ) -> None:
        self.delivered = 0
        self._queue = queue
        self._sink = sink
        self._health = health
        self._max_batch_events = max_batch_events
        self._idle: list[asyncio.Future[None]] = []
        self._waking = False
        self._probe = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(self._send_forever()) for _ in range(senders)]

    def notify(self) -> None:
        """Wake one sender for the lanes that are ready; it wakes the next if it leaves some.

        It is the one that has been idle for the shortest time, for its connection is warm.
        """
        if self._waking:
            return
        while self._idle:
            waiter = self._idle.pop()
            if not waiter.done():
                self._waking = True
                waiter.set_result(None)
                return

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sink.close()

    async def _send_forever(self) -> None:
        while True:
            if self._health.down:
                sent = await self._send_as_probe()
            else:
                sent = await self._send_next()
            if not sent:
                await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        waiter = self._loop.create_future()
        self._idle.append(waiter)
        await waiter
        self._waking = False

    async def _send_as_probe(self) -> bool:
        async with self._probe:
            if not self._health.down:
                return True
            await asyncio.sleep(self._health.probe_delay())
            return await self._send_next(probe=True)

    async def _send_next(self, *, probe: bool = False) -> bool:
        """Deliver one batch; false if there was none."""
        batch = self._queue.take(self._max_batch_events, MAX_BATCH_BYTES)
        if batch is None:
            return False
        if self._queue.has_ready and not self._health.down:
            self.notify()
        try:
            await self._sink.deliver(batch.events, batch.attempt)
        except SinkError as error:
            self._failed(batch, error, probe=probe)
        except asyncio.CancelledError:
            self._queue.give_back(batch, rest=False)
            raise
        except Exception as error:
            # A bug must cost neither the events, which would be busy for ever, nor the sender.
            logger.exception("the sink failed in a way it should not")
            self._failed(batch, SinkError(f"{type(error).__name__}: {error}"), probe=probe)
        else:
            self._acknowledged(batch)
        return True

    def _acknowledged(self, batch: Batch) -> None:
        self.delivered += len(batch.events)
        self._queue.acknowledge(batch)
        if self._health.acknowledged():
            logger.info("the bot is back", queued=self._queue.events)
            self.notify()

    def _failed(self, batch: Batch, error: SinkError, *, probe: bool) -> None:
        went_down = self._health.failed(error, probe=probe)
        if went_down:
            logger.warning("the bot is down, events are held", problem=str(error), queued=self._queue.events)
        if self._health.down:
            self._queue.give_back(batch, rest=False)
            return
        self._queue.give_back(batch, rest=True)
        if batch.attempt == _TROUBLED_LANE_ATTEMPTS:
            first = batch.events[0]
            logger.warning(
                "the bot keeps refusing an event, its lane waits",
                problem=str(error),
                event_type=first.type,
                guild_id=first.guild_id,
                key=first.key,
            )
        self._loop.call_later(self._health.lane_delay(batch.attempt), self._rested, batch)

    def _rested(self, batch: Batch) -> None:
        self._queue.rested(batch)
        self.notify()
