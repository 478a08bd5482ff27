"""Carries batches from the queue to the sink, several at a time, and holds back while the sink is down."""

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
    """Keeps at most `senders` batches under way until closed. `notify` has to be called when a lane became ready."""

    def __init__(
        self, queue: LaneQueue, sink: Sink, health: SinkHealth, *, senders: int, max_batch_events: int = 1
    ) -> None:
        self.delivered = 0
        self._queue = queue
        self._sink = sink
        self._health = health
        self._max_batch_events = max_batch_events
        self._free = senders
        self._sending = False
        self._scheduled = False
        self._probing = False
        self._probe: Batch | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def notify(self) -> None:
        """A lane is ready. Single events are sent at once; batches wait for what else this wake-up brings."""
        if self._max_batch_events == 1:
            self._send_ready()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._send_ready)

    def _send_ready(self) -> None:
        """Send what is ready, as far as there are free senders; while the sink is down, see to a probe."""
        self._scheduled = False
        # A sink may be done within `submit`: then the loop below goes on, and must not be entered again from inside.
        if self._sending or self._closed:
            return
        self._sending = True
        while self._free and self._queue.has_ready and not self._health.down:
            self._send()
        self._sending = False
        if self._health.down and self._queue.has_ready and not self._probing:
            self._probing = True
            self._loop.call_later(self._health.probe_delay(), self._send_probe)

    async def close(self) -> None:
        """Stop sending; what is not acknowledged stays in the queue."""
        self._closed = True
        await self._sink.close()

    def _send_probe(self) -> None:
        if self._closed:
            return
        if self._health.down and self._queue.has_ready:
            self._send(probe=True)
        else:
            self._probing = False
            self._send_ready()

    def _send(self, *, probe: bool = False) -> None:
        batch = self._queue.take(self._max_batch_events, MAX_BATCH_BYTES)
        assert batch is not None, "only called when a lane is ready"
        self._free -= 1
        if probe:
            self._probe = batch
        try:
            self._sink.submit(batch, self._done)
        except Exception as error:
            # A bug must cost neither the events, which would be busy for ever, nor the sender.
            logger.exception("the sink failed in a way it should not")
            self._done(batch, SinkError(f"{type(error).__name__}: {error}"))

    def _done(self, batch: Batch, error: SinkError | None) -> None:
        self._free += 1
        probe = batch is self._probe
        if probe:
            self._probe, self._probing = None, False
        if error is None:
            self._acknowledged(batch)
        elif self._closed:
            self._queue.give_back(batch, rest=False)
        else:
            self._failed(batch, error, probe=probe)
        if self._queue.has_ready:
            self._send_ready()

    def _acknowledged(self, batch: Batch) -> None:
        self.delivered += len(batch.events)
        self._queue.acknowledge(batch)
        if self._health.acknowledged():
            logger.info("the bot is back", queued=self._queue.events)

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
