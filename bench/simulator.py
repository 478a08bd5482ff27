"""How many events a second the simulator sends, beside ten times the highest rate that any test uses.

A simulator in a process of its own, eight shards with zstd-stream, and load as fast as it goes. The clients count
messages and do not decode them, so that what is measured is the simulator. Exit status 1 if it is too slow.
"""

import argparse
import asyncio
import json
import multiprocessing
import struct
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from discord_simulator import Simulator, SimulatorSettings
from discord_simulator.intents import ALL_INTENTS
from page import write_section

SHARDS = 8
GUILDS = 400
HIGHEST_TEST_RATE = 500
"""Events a second, over all shards: the steady load of the tests that run for long."""
MARGIN = 10
UNREACHABLE_RATE = 1_000_000.0
HELLO_AND_READY = 2


async def serve(events: int, pipe: Connection) -> None:
    settings = SimulatorSettings(guilds=GUILDS, identify_interval=0.0, guild_create_rate=1e6)
    async with Simulator(settings) as simulator:
        pipe.send(simulator.gateway_url)
        while simulator.ready_sessions < SHARDS:  # noqa: ASYNC110 - the simulator sets no event
            await asyncio.sleep(0.01)
        before = simulator.ledger.sent
        started, cpu = time.perf_counter(), time.process_time()
        simulator.start_load(UNREACHABLE_RATE, events=events)
        await simulator.wait_load_done()
        await asyncio.to_thread(pipe.poll, None)  # the clients have it all
        seconds = time.perf_counter() - started
        pipe.send((simulator.ledger.sent - before, seconds, time.process_time() - cpu))


def simulator_process(events: int, pipe: Connection) -> None:
    uvloop.run(serve(events, pipe))


def upgrade(host: str) -> bytes:
    return (
        f"GET /?v=10&encoding=json&compress=zstd-stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def login(shard: int) -> bytes:
    """Identify in a text frame, masked with zeros (RFC 6455, 5.2); between 126 and 65,535 bytes."""
    d = {"token": "simulator-token", "intents": ALL_INTENTS, "properties": {"os": " " * 32}, "shard": [shard, SHARDS]}
    payload = json.dumps({"op": 2, "d": d}).encode()
    return b"\x81\xfe" + struct.pack("!H", len(payload)) + bytes(4) + payload


async def take(url: str, shard: int, taken: list[int]) -> None:
    """Count frames by their headers: cheaper than any library, so that the simulator has its core for itself."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
    writer.write(upgrade(address.netloc))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(login(shard))
    while True:
        _, size = await reader.readexactly(2)
        if size >= 126:
            extended = await reader.readexactly(2 if size == 126 else 8)
            size = int.from_bytes(extended)
        await reader.readexactly(size)
        taken[shard] += 1


async def clients(url: str, events: int, pipe: Connection) -> None:
    taken = [0] * SHARDS
    tasks = [asyncio.create_task(take(url, shard, taken)) for shard in range(SHARDS)]
    while sum(taken) < events + GUILDS + SHARDS * HELLO_AND_READY:  # noqa: ASYNC110 - cheaper than an event for each
        await asyncio.sleep(0.01)
    pipe.send(None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    events = arguments.events
    pipe, other_end = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=simulator_process, args=(events, other_end))
    process.start()
    try:
        uvloop.run(clients(pipe.recv(), events, pipe))
        sent, seconds, cpu = pipe.recv()
    finally:
        process.terminate()
        process.join()
    rate, needed = sent / seconds, MARGIN * HIGHEST_TEST_RATE
    text = (
        f"{rate:,.0f} events a second to {SHARDS} zstd-stream sessions, at {cpu / sent * 1e6:.0f} µs of CPU an event; "
        f"the tests' highest rate is {HIGHEST_TEST_RATE}, and {MARGIN} times as much is wanted."
    )
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "simulator", text)
    return 0 if rate >= needed else 1


if __name__ == "__main__":
    sys.exit(main())
