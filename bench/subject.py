"""What is measured, each in a process of its own: prints the microseconds of CPU that one event took.

Floors receive, decompress and read the envelope, and do nothing else. The workers are the shard pod's worker with
different sinks, without files or with them. CPU time is the process's own, all its threads (getrusage), from the moment
all shards are connected to the last event; where all events go through the spool, until it is empty again.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from random import Random

import msgspec
import picows
import structlog
import uvloop
from websockets.asyncio.client import connect

from shardpod.delivery import HttpSink, Sink
from shardpod.protocol import SessionSettings, ShardState
from shardpod.protocol.compression import decompressor
from shardpod.protocol.envelope import read_envelope
from shardpod.transport import PicowsConnector
from shardpod.worker import Granted, Worker, WorkerSettings, spooler
from sinks import Acknowledge, AcknowledgeSpooled, AiohttpSink, Counting, Measurement

QUEUE_EVENTS, QUEUE_BYTES = 1_000_000, 1024**3
"""All of a run may wait at once, and nothing is to be dropped."""
IDENTIFY = msgspec.json.encode({"op": 2, "d": {"token": "bench", "intents": 1, "properties": {}}})


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


class PermitAll:
    async def ask(self, shard_id: int, *, ready: bool) -> Granted:
        return Granted(1, 60.0)

    def identify_sent(self, shard_id: int, permit: int) -> None: ...


async def worker(
    url: str,
    compression: str,
    shards: int,
    measurement: Measurement,
    sink: Sink,
    *,
    batch: int = 1,
    scratch: str | None = None,
    until_closed: bool = False,
) -> None:
    """`scratch`: directory for the worker's files. `until_closed`: what is written at the end counts as well."""
    connected = 0

    def on_change() -> None:
        nonlocal connected
        connected = sum(shard.state is ShardState.CONNECTED for shard in subject.report().shards)
        if connected == shards:
            measurement.start()

    measurement.expected += shards  # each READY is an event as well
    session = SessionSettings(token="bench", gateway_url=url, compression=compression, intents=1)
    settings = WorkerSettings(
        shard_ids=tuple(range(shards)),
        shard_count=shards,
        session=session,
        max_batch_events=batch,
        max_queued_events=QUEUE_EVENTS,
        max_queued_bytes=QUEUE_BYTES,
        scratch=scratch,
    )
    subject = Worker(
        settings,
        connector=PicowsConnector(),
        permits=PermitAll(),
        sink=sink,
        random=Random(1),
        on_change=on_change,
    )
    await subject.start()
    result = await measurement.result()
    await subject.stop(drain_for=1)
    print(json.dumps(measurement.now() if until_closed else result))


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
            await worker(*common, Acknowledge(measurement))
        case "worker-spool-idle":
            with tempfile.TemporaryDirectory(prefix="dgw-hotpath-") as scratch:
                await worker(*common, Acknowledge(measurement), scratch=scratch)
        case "worker-spool-used":
            spooler.SPOOL_AFTER = 0.0
            with tempfile.TemporaryDirectory(prefix="dgw-hotpath-") as scratch:
                await worker(*common, AcknowledgeSpooled(measurement), scratch=scratch, until_closed=True)
        case "worker-http":
            await worker(*common, Counting(HttpSink(bot, epoch=1, shard_count=arguments.shards), measurement))
        case "worker-http-batch":
            sink = HttpSink(bot, epoch=1, shard_count=arguments.shards, batching=True)
            await worker(*common, Counting(sink, measurement), batch=100)
        case "worker-aiohttp":
            await worker(*common, Counting(AiohttpSink(bot), measurement))


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
