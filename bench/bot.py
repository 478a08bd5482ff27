"""A bot that answers every request at once with 204, as cheaply as Python can. Prints its port.

With a journal it notes each event before the answer, with the time of its arrival by the clock that all processes of
a machine share: a line for an event, `time number key guild`.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
LENGTH = b"\r\nContent-Length: "
KEY = b"\r\nIdempotency-Key: "
GUILD_ITSELF = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})


class D(msgspec.Struct):
    event_number: int
    guild_id: str | None = None
    id: object = None


class Data(msgspec.Struct):
    t: str
    d: D


class One(msgspec.Struct):
    data: Data
    key: str = ""


decode_one = msgspec.json.Decoder(One).decode
decode_many = msgspec.json.Decoder(list[One]).decode

Note = Callable[[bytes, bytes], None]


class Journal:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, head: bytes, body: bytes) -> None:
        now = time.monotonic()
        if body.startswith(b"["):
            events = decode_many(body)
        else:
            one = decode_one(body)
            one.key = head[head.index(KEY) + len(KEY) :].split(b"\r\n", 1)[0].decode()
            events = [one]
        os.write(self._file, "".join(_line(now, event) for event in events).encode())


def _line(now: float, event: One) -> str:
    d = event.data.d
    guild = d.id if event.data.t in GUILD_ITSELF else d.guild_id
    return f"{now:.6f} {d.event_number} {event.key} {guild or '-'}\n"


class Bot(asyncio.Protocol):
    def __init__(self, note: Note | None) -> None:
        self._note = note

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            at = head.rindex(LENGTH) + len(LENGTH)
            whole = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self.buffer) < whole:
                return
            if self._note is not None:
                self._note(head, self.buffer[end + 4 : whole])
            self.buffer = self.buffer[whole:]
            self.transport.write(ANSWER)


async def serve(port: int, journal: Path | None) -> None:
    note = None if journal is None else Journal(journal).note
    server = await asyncio.get_running_loop().create_server(lambda: Bot(note), "127.0.0.1", port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--journal", type=Path, help="file that every event is appended to")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.journal))


if __name__ == "__main__":
    main()
