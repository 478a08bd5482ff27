"""What is measured, each in a process of its own: prints the microseconds of CPU that one event took.

Floors receive, decompress and read the envelope, and do nothing else. The workers are the shard pod's worker with
different sinks. CPU time is the process's own (getrusage), from the moment all shards are connected to the last event.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from random import Random

import aiohttp
import msgspec
import picows
import structlog
import uvloop
from websockets.asyncio.client import connect

from shardpod.delivery import Batch, Done, HttpSink, Sink, SinkError
from shardpod.protocol import SessionSettings, ShardState
from shardpod.protocol.compression import decompressor
from shardpod.protocol.envelope import read_envelope
from shardpod.transport import PicowsConnector
from shardpod.worker import Granted, Worker, WorkerSettings

IDENTIFY = msgspec.json.encode({"op": 2, "d": {"token": "bench", "intents": 1, "properties": {}}})


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
            cpu, wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall
            self._done.set_result({"us": cpu / self.count * 1e6, "wall": wall, "events": self.count})

    async def result(self) -> dict[str, float]:
        return await self._done


async def floor_websockets(url: str, compression: str, shards: int, measurement: Measurement) -> None:
    ready = 0

    async def shard() -> None:
        nonlocal ready
        stream = decompressor(compression)
        async with connect(url, compression=None, max_size=None, ping_interval=None) as connection:
            stream.decompress(await connection.recv(decode=False))
            await connection.send(IDENTIFY, text=True)
            stream.decompress(await connection.recv(decode=False))
            ready += 1
            if ready == shards:
                measurement.start()
            while True:
                payload = stream.decompress(await connection.recv(decode=False))
                if payload is not None:
                    read_envelope(payload)
                    measurement.add(1)

    tasks = [asyncio.create_task(shard()) for _ in range(shards)]
    print(json.dumps(await measurement.result()))
    for task in tasks:
        task.cancel()


async def floor_picows(url: str, compression: str, shards: int, measurement: Measurement) -> None:
    ready = 0

    class Shard(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            self.stream = decompressor(compression)
            self.seen = 0

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            nonlocal ready
            payload = self.stream.decompress(frame.get_payload_as_bytes())
            if self.seen > 1:
                read_envelope(payload)
                measurement.add(1)
                return
            self.seen += 1
            if self.seen == 1:
                transport.send(picows.WSMsgType.TEXT, IDENTIFY)
            else:
                ready += 1
                if ready == shards:
                    measurement.start()

    transports = [(await picows.ws_connect(Shard, url, use_aiofastnet=False))[0] for _ in range(shards)]
    print(json.dumps(await measurement.result()))
    for transport in transports:
        transport.disconnect()


class Acknowledge:
    """A sink that acknowledges at once."""

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement

    def submit(self, batch: Batch, done: Done) -> None:
        self._measurement.add(len(batch.events))
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


class PermitAll:
    async def ask(self, shard_id: int, *, ready: bool) -> Granted:
        return Granted(1, 60.0)

    def identify_sent(self, shard_id: int, permit: int) -> None: ...


async def worker(url: str, compression: str, shards: int, measurement: Measurement, sink: Sink, batch: int) -> None:
    connected = 0

    def on_change() -> None:
        nonlocal connected
        connected = sum(shard.state is ShardState.CONNECTED for shard in subject.report().shards)
        if connected == shards:
            measurement.start()

    measurement.expected += shards  # each READY is an event as well
    session = SessionSettings(token="bench", gateway_url=url, compression=compression, intents=1)
    settings = WorkerSettings(
        shard_ids=tuple(range(shards)), shard_count=shards, session=session, max_batch_events=batch
    )
    subject = Worker(
        settings,
        connector=PicowsConnector(),
        permits=PermitAll(),
        sink=sink,
        random=Random(1),
        on_change=on_change,
    )
    subject.start()
    print(json.dumps(await measurement.result()))
    await subject.stop(drain_for=1)


async def run(arguments: argparse.Namespace) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    url = f"ws://127.0.0.1:{arguments.port}/"
    measurement = Measurement(arguments.shards * arguments.events)
    common = (url, arguments.compression, arguments.shards, measurement)
    bot = f"http://127.0.0.1:{arguments.bot_port}/"
    match arguments.subject:
        case "floor-websockets":
            await floor_websockets(*common)
        case "floor-picows":
            await floor_picows(*common)
        case "worker":
            await worker(*common, Acknowledge(measurement), 1)
        case "worker-http":
            await worker(*common, Counting(HttpSink(bot, epoch=1, shard_count=arguments.shards), measurement), 1)
        case "worker-http-batch":
            sink = HttpSink(bot, epoch=1, shard_count=arguments.shards, batching=True)
            await worker(*common, Counting(sink, measurement), 100)
        case "worker-aiohttp":
            await worker(*common, Counting(AiohttpSink(bot), measurement), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bot-port", type=int, default=0)
    parser.add_argument("--compression", required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    uvloop.run(run(parser.parse_args()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
