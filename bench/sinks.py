"""The sinks that the worker is measured with, and the count of what they take."""

import asyncio
import resource
import time

import aiohttp

from shardpod.delivery import Batch, Done, Sink, SinkError


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Measurement:
    """Counts events up to `expected`, from `start`."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.count = 0
        self._cpu = self._wall = 0.0
        self._done = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()

    def add(self, number: int) -> None:
        self.count += number
        if self.count >= self.expected and not self._done.done():
            self._done.set_result(self.now())

    def now(self) -> dict[str, float]:
        cpu, wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall
        return {"us": cpu / self.count * 1e6, "wall": wall, "events": self.count}

    async def result(self) -> dict[str, float]:
        return await self._done


class Acknowledge:
    """A sink that acknowledges at once."""

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement

    def submit(self, batch: Batch, done: Done) -> None:
        self._measurement.add(len(batch.events))
        done(batch, None)

    async def close(self) -> None: ...


class AcknowledgeSpooled:
    """A bot so slow that each event is on its way to the disk before it is acknowledged."""

    LOOK = 0.02

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement
        self._held: list[tuple[Batch, Done]] = []

    def submit(self, batch: Batch, done: Done) -> None:
        if batch.events[0].spool_id:
            self._take(batch, done)
            return
        if not self._held:
            asyncio.get_running_loop().call_later(self.LOOK, self._look)
        self._held.append((batch, done))

    def _look(self) -> None:
        held, self._held = self._held, []
        for batch, done in held:
            self.submit(batch, done)

    def _take(self, batch: Batch, done: Done) -> None:
        self._measurement.add(1)
        done(batch, None)

    async def close(self) -> None: ...


class AiohttpSink:
    """The same requests as HttpSink's, by aiohttp's client: what our own connection is held against."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tasks: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )

    def submit(self, batch: Batch, done: Done) -> None:
        task = asyncio.get_running_loop().create_task(self._post(batch, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, batch: Batch, done: Done) -> None:
        event = batch.events[0]
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": event.key,
            "X-Gateway-Epoch": "1",
            "X-Gateway-Shard": f"{event.shard_id}/16",
            "X-Gateway-Attempt": str(batch.attempt),
        }
        body = b'{"shardId":%d,"data":%b}' % (event.shard_id, event.raw)
        async with self._session.post(self._url, data=body, headers=headers) as response:
            response.raise_for_status()
        done(batch, None)

    async def close(self) -> None:
        await self._session.close()


class Counting:
    """Counts what a sink has acknowledged."""

    def __init__(self, sink: Sink, measurement: Measurement) -> None:
        self._sink = sink
        self._measurement = measurement

    def submit(self, batch: Batch, done: Done) -> None:
        def counted(batch: Batch, error: SinkError | None) -> None:
            done(batch, error)
            self._measurement.add(len(batch.events))

        self._sink.submit(batch, counted)

    async def close(self) -> None:
        await self._sink.close()
