"""Carries batches from the queue to the sink, several at a time, and holds back while the sink is down.

An event that keeps failing while others pass is poison: after `max_attempts` it is buried, and its lane goes on
(delivery-formats: dead letters). While the sink is down nothing counts against any event.
"""

import asyncio
from collections.abc import Callable

import structlog

from shardpod.protocol import Event

from .lane import Batch
from .lanes import LaneQueue
from .sink import Sink, SinkError
from .sink_health import SinkHealth

MAX_BATCH_BYTES = 1024 * 1024
"""A batch ends here even if more events are allowed; one event larger than this travels alone."""
_TROUBLED_LANE_ATTEMPTS = 4
"""The failure in a row at which a single lane's trouble is worth a log line."""

logger = structlog.get_logger("delivery")

Bury = Callable[[Event, str, int], None]
"""Takes a poison event, what was wrong with it, and how often it was tried. Called before the event is settled."""


class Delivery:
    """Keeps at most `senders` batches under way until closed. `notify` has to be called when a lane became ready.

    `before_sending` is called first whenever something may be sent: a process that stood still has timers to catch up.
    """

    def __init__(
        self,
        queue: LaneQueue,
        sink: Sink,
        health: SinkHealth,
        *,
        senders: int,
        bury: Bury,
        max_batch_events: int = 1,
        max_attempts: int = 10,
    ) -> None:
        self.delivered = 0
        self.before_sending: Callable[[], None] | None = None
        self._queue = queue
        self._sink = sink
        self._health = health
        self._bury = bury
        self._max_batch_events = max_batch_events
        self._max_attempts = max_attempts
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
        if self.before_sending is not None:
            self.before_sending()
        if self._health.down and not self._queue.events:
            # What waited has become another pod's: no probe would be sent, and the bot count as down for ever.
            self._health.forget()
            self._queue.holding = False
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
        if self.before_sending is not None:
            self.before_sending()
        if self._health.down and self._queue.has_ready:
            self._send(probe=True)
        else:
            self._probing = False
            self._send_ready()

    def _send(self, *, probe: bool = False) -> None:
        batch = self._queue.take(self._max_batch_events, MAX_BATCH_BYTES)
        assert batch is not None, "only called when a lane is ready"
        batch.ask = self._is_called_off
        self._free -= 1
        if probe:
            self._probe = batch
        if batch.attempt == 1:
            for lane in batch.lanes:
                lane.seen = self._health.successes
        try:
            self._sink.submit(batch, self._done)
        except Exception as error:
            # A bug must cost neither the events, which would be busy for ever, nor the sender.
            logger.exception("the sink failed in a way it should not")
            self._done(batch, SinkError(f"{type(error).__name__}: {error}"))

    def _is_called_off(self, batch: Batch) -> bool:
        if self.before_sending is not None:
            self.before_sending()
        return self._queue.is_called_off(batch)

    def _done(self, batch: Batch, error: SinkError | None) -> None:
        self._free += 1
        probe = batch is self._probe
        if probe:
            self._probe, self._probing = None, False
        if error is None:
            self._acknowledged(batch)
        elif error.called_off:
            self._queue.give_back(batch, rest=False, failed=False)
        else:
            if error.acknowledged:
                batch = self._acknowledged_in_part(batch, error.acknowledged)
            if self._closed:
                self._queue.give_back(batch, rest=False)
            else:
                self._failed(batch, error, probe=probe)
        if self._queue.has_ready:
            self._send_ready()

    def _acknowledged(self, batch: Batch) -> None:
        self.delivered += len(batch.events)
        self._queue.acknowledge(batch)
        if self._health.acknowledged():
            self._back()

    def _acknowledged_in_part(self, batch: Batch, count: int) -> Batch:
        self.delivered += count
        if self._health.acknowledged():
            self._back()
        return self._queue.acknowledge_first(batch, count)

    def _back(self) -> None:
        self._queue.holding = False
        logger.info("the bot is back", queued=self._queue.events)

    def _failed(self, batch: Batch, error: SinkError, *, probe: bool) -> None:
        went_down = self._health.failed(error, probe=probe)
        if went_down:
            self._queue.holding = True
            logger.warning("the bot is down, events are held", problem=str(error), queued=self._queue.events)
        # What is the other shard set's by now leaves when it is given back, and is nothing to bury or to rest for.
        if self._health.down or self._queue.has_disowned(batch):
            self._queue.give_back(batch, rest=False)
            return
        if self._is_poison(batch, error):
            self._bury_first(batch, error)
            return
        self._queue.give_back(batch, rest=True)
        if batch.attempt == _TROUBLED_LANE_ATTEMPTS:
            _log_trouble(batch, error)
        self._loop.call_later(self._health.lane_delay(batch.attempt), self._rested, batch)

    def _is_poison(self, batch: Batch, error: SinkError) -> bool:
        """Whether the failures in a row of a lane's first event are enough to give it up.

        A refusal by 4xx counts, as it is about the event; anything else only if others were acknowledged meanwhile.
        A batch of several shows nothing about any of them: its lanes go one event at a time from here on.
        """
        successes = self._health.successes
        others_pass = successes > batch.lanes[0].seen
        for lane in batch.lanes:
            lane.seen = successes
        if len(batch.events) > 1 or error.unreachable:
            return False
        (lane,) = batch.lanes
        lane.strikes += error.rejected or others_pass
        return lane.strikes >= self._max_attempts

    def _bury_first(self, batch: Batch, error: SinkError) -> None:
        event = batch.events[0]
        logger.error(
            "the bot refused an event too often, it is put with the dead letters and its lane goes on",
            problem=str(error),
            attempts=batch.attempt,
            event_type=event.type,
            guild_id=event.guild_id,
            key=event.key,
        )
        self._bury(event, str(error), batch.attempt)
        self._queue.bury(batch)

    def _rested(self, batch: Batch) -> None:
        self._queue.rested(batch)
        self.notify()


def _log_trouble(batch: Batch, error: SinkError) -> None:
    first = batch.events[0]
    logger.warning(
        "the bot keeps refusing an event, its lane waits",
        problem=str(error),
        event_type=first.type,
        guild_id=first.guild_id,
        key=first.key,
    )
