"""A gateway that only sends pre-built frames, so that it is never the bottleneck of what is measured.

Each connection gets Hello, READY after its Identify, then the same number of events, compressed beforehand in one
stream of its own. Saturated: everything at once. Paced: one write per event, round robin over the connections.
"""

import argparse
import base64
import hashlib
import select
import socket
import struct
import sys
import time
from random import Random

from discord_simulator.compression import COMPRESSORS
from discord_simulator.events import EventKind, control_payload, number_event
from discord_simulator.generator import EventGenerator

DISTINCT_EVENTS = 2_000
GUILDS_PER_SHARD = 500
SETTLE_SECONDS = 0.3
"""Between the last READY and the first event: what belongs to connecting is over by then."""


def frame(payload: bytes, *, binary: bool) -> bytes:
    """One unmasked WebSocket frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + struct.pack("!H", size)
    else:
        length = b"\x7f" + struct.pack("!Q", size)
    return bytes([0x82 if binary else 0x81]) + length + payload


def event_bodies() -> list[tuple[bytes, bytes]]:
    random = Random(1)
    guild_ids = [random.getrandbits(62) for _ in range(GUILDS_PER_SHARD)]
    generator = EventGenerator(guild_ids, "bench")
    events = (number_event(generator.next(), number, EventKind.LOAD) for number in range(DISTINCT_EVENTS))
    return [(event.head, event.tail) for event in events]


def frames(compression: str, shard: int, bodies: list[tuple[bytes, bytes]], events: int) -> list[bytes]:
    """Hello, READY, then the events of one connection."""
    compressor = COMPRESSORS[compression]() if compression != "none" else None
    ready = b'{"t":"READY","s":1,"op":0,"d":{"session_id":"%032x","resume_gateway_url":"ws://127.0.0.1:1","guilds":[]}}'
    payloads = [control_payload(10, {"heartbeat_interval": 41250}), ready % shard]
    for number in range(events):
        head, tail = bodies[(number * 7 + shard) % len(bodies)]
        payloads.append(b"%b%d%b" % (head, number + 2, tail))
    if compressor is None:
        return [frame(payload, binary=False) for payload in payloads]
    return [frame(compressor.compress(payload), binary=True) for payload in payloads]


def accept(listener: socket.socket, hello: bytes) -> socket.socket:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    lines = request.split(b"\r\n")
    key = next(line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"sec-websocket-key"))
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n" + hello
    )
    return connection


def send_saturated(connections: list[socket.socket], streams: list[bytes]) -> None:
    pending = {connection: memoryview(stream) for connection, stream in zip(connections, streams, strict=True)}
    for connection in connections:
        connection.setblocking(False)
    while pending:
        _, writable, _ = select.select([], list(pending), [])
        for connection in writable:
            sent = connection.send(pending[connection][: 256 * 1024])
            pending[connection] = pending[connection][sent:]
            if not pending[connection]:
                del pending[connection]


def send_paced(connections: list[socket.socket], streams: list[list[bytes]], rate: float) -> None:
    started = time.perf_counter()
    number = 0
    for events in zip(*streams, strict=True):
        for connection, event in zip(connections, events, strict=True):
            wait = started + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            connection.sendall(event)
            number += 1


def serve(compression: str, shards: int, events: int, rate: float | None) -> None:
    bodies = event_bodies()
    prepared = [frames(compression, shard, bodies, events) for shard in range(shards)]
    saturated = [b"".join(built[2:]) for built in prepared]
    listener = socket.create_server(("127.0.0.1", 0), backlog=shards)
    print(listener.getsockname()[1], flush=True)
    while True:
        connections = [accept(listener, built[0]) for built in prepared]
        for connection, built in zip(connections, prepared, strict=True):
            connection.recv(4096)  # the Identify; nothing else is sent before READY
            connection.sendall(built[1])
        time.sleep(SETTLE_SECONDS)
        try:
            if rate is None:
                send_saturated(connections, saturated)
            else:
                send_paced(connections, [built[2:] for built in prepared], rate)
            for connection in connections:
                connection.setblocking(True)
                while connection.recv(4096):
                    pass
        except OSError:
            pass  # the subject has what it wanted
        for connection in connections:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compression", choices=("none", "zlib-stream", "zstd-stream"), required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="for each shard")
    parser.add_argument("--rate", type=float, help="events a second in all; without: as fast as they are taken")
    arguments = parser.parse_args()
    try:
        serve(arguments.compression, arguments.shards, arguments.events, arguments.rate)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
