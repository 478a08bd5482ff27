"""A queue whose settled events are noted, and senders on a virtual clock with a sink that does as it is told."""

import asyncio
from collections import Counter
from random import Random

import pytest

from shardpod.delivery import Delivery, LaneQueue, SinkError, SinkHealth


class Ledger(list):
    """The settled events as (seq, reason)."""

    def __call__(self, event, reason):
        self.append((event.seq, reason))


@pytest.fixture
def settled():
    return Ledger()


@pytest.fixture
def queue(settled):
    def make(**bounds):
        return LaneQueue(settled=settled, **bounds)

    return make


class FakeSink:
    """Keeps what it was given as (time, seqs, attempt). `answer(events)` returns seconds to take, or an error.

    Of the events of a batch it takes as many as the error says were acknowledged.
    """

    def __init__(self, answer=lambda events: 0.01):
        self.answer = answer
        self.calls = []
        self.delivered = []
        self.under_way = 0
        self.most_under_way = 0
        self.closed = False
        self._tasks = set()

    def submit(self, batch, done):
        if isinstance(outcome := self.answer(batch.events), Exception) and not isinstance(outcome, SinkError):
            raise outcome
        task = asyncio.get_running_loop().create_task(self._deliver(batch, outcome, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, batch, outcome, done):
        try:
            await self._take(batch.events, batch.attempt, outcome)
        except SinkError as error:
            done(batch, error)
        except asyncio.CancelledError:
            done(batch, SinkError("closed"))
            raise
        else:
            done(batch, None)

    async def _take(self, events, attempt, outcome):
        loop = asyncio.get_running_loop()
        self.calls.append((loop.time(), [event.seq for event in events], attempt))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(outcome if isinstance(outcome, float) else 0.01)
            if isinstance(outcome, Exception):
                self.delivered += [event.seq for event in events[: outcome.acknowledged]]
                raise outcome
        finally:
            self.under_way -= 1
        self.delivered += [event.seq for event in events]

    async def close(self):
        self.closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Rig:
    def __init__(self, sink, *, senders=4, max_batch_events=1, max_attempts=10, **bounds):
        self.settled = []
        self.sink = sink
        self.queue = LaneQueue(settled=lambda event, reason: self.settled.append((event.seq, reason)), **bounds)
        self.health = SinkHealth(Random(3))
        self.buried = []
        self.delivery = Delivery(
            self.queue,
            sink,
            self.health,
            senders=senders,
            bury=lambda event, problem, attempts: self.buried.append((event.seq, problem, attempts)),
            max_batch_events=max_batch_events,
            max_attempts=max_attempts,
        )

    @property
    def tries(self):
        """How often each seq was tried."""
        return Counter(seq for _, seqs, _ in self.sink.calls for seq in seqs)

    def put(self, *events):
        for event in events:
            if self.queue.put(event):
                self.delivery.notify()

    async def drained(self, within=600.0):
        async with asyncio.timeout(within):
            while self.queue.events:  # noqa: ASYNC110 -- on a virtual clock, and the queue knows no events
                await asyncio.sleep(0.05)


@pytest.fixture
async def rig():
    rigs = []

    def make(answer=lambda events: 0.01, **options):
        rigs.append(Rig(FakeSink(answer), **options))
        return rigs[-1]

    yield make
    for made in rigs:
        await made.delivery.close()


@pytest.fixture(scope="session")
def failing_for():
    return failing


def failing(lanes, error):
    """Fails events of these guilds; the others take 10 ms."""
    return lambda events: error if any(event.guild_id in lanes for event in events) else 0.01
