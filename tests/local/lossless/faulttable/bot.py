"""A bot that takes tens of thousands of events a second, and misbehaves on request.

Written on bare sockets: an ordinary web framework would be the bottleneck of these runs, and could not answer garbage.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

_GUILD_ITSELF = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"})


class _D(msgspec.Struct):
    event_number: int = 0
    guild_id: str | None = None
    id: object = None


class _Data(msgspec.Struct):
    t: str
    d: _D


class _One(msgspec.Struct):
    data: _Data
    key: str = ""


_decode_one = msgspec.json.Decoder(_One).decode
_decode_many = msgspec.json.Decoder(list[_One]).decode


@dataclass(frozen=True, slots=True)
class Taken:
    """One event as it came, and the how-manieth attempt of its request that was.

    `number` is 0 where the simulator shows none; `content` is what X-Gateway-Event told of it.
    """

    number: int
    key: str
    guild_id: str | None
    type: str
    attempt: int
    content: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bot says to a request, after `delay` seconds. `raw` is sent as it is, and ends the connection.

    Only an answer 2xx takes the events.
    """

    status: int = 204
    delay: float = 0.0
    retry_after: int | None = None
    raw: bytes | None = None

    def as_bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        status = HTTPStatus(self.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        if self.retry_after is not None:
            lines.append(f"Retry-After: {self.retry_after}")
        if status is not HTTPStatus.NO_CONTENT:
            lines.append("Content-Length: 0")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


OK = Answer()
_OK_BYTES = OK.as_bytes()

Manner = Callable[[list[Taken]], Answer]


class Bot:
    """Counts what it takes, in order of arrival; `manner` decides what it answers, None for 204 at once."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[int, str, str | None]] = []
        self.numbers: set[int] = set()
        self.refused: set[str] = set()
        self.manner: Manner | None = None
        self.port = 0
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        listening, self._kept = self._kept or _bound(self.port), None
        self.port = listening.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=listening, backlog=512)

    async def stop(self) -> None:
        """Nobody listens any more, and what is under way gets no answer. The port stays the bot's."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._kept = _bound(self.port)
        for connection in tuple(self._connections):
            connection.transport.abort()

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def answer(self, taken: list[Taken]) -> Answer:
        answer = OK if self.manner is None else self.manner(taken)
        if answer.raw is None and answer.status < HTTPStatus.MULTIPLE_CHOICES:
            for event in taken:
                self.deliveries.append((event.number, event.key, event.guild_id))
                self.numbers.add(event.number)
        else:
            self.refused.update(event.key for event in taken)
        return answer


def _bound(port: int) -> socket.socket:
    """A socket on the port (0: on any), which no pod that starts gets then; connections to it are refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._bot._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._bot._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            headers = _headers(bytes(self._buffer[:end]))
            stop = end + 4 + int(headers[b"content-length"])
            if len(self._buffer) < stop:
                return
            body = bytes(self._buffer[end + 4 : stop])
            del self._buffer[:stop]
            self._answer(self._bot.answer(_events(headers, body)))

    def _answer(self, answer: Answer) -> None:
        if answer.delay:
            asyncio.get_running_loop().call_later(answer.delay, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(_OK_BYTES if answer is OK else answer.as_bytes())
        if answer.raw is not None:
            self.transport.close()


def _headers(head: bytes) -> dict[bytes, bytes]:
    lines = head.split(b"\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


def _events(headers: dict[bytes, bytes], body: bytes) -> list[Taken]:
    attempt = int(headers[b"x-gateway-attempt"])
    if b"x-gateway-events" in headers:
        return [_taken(one.data, one.key, attempt) for one in _decode_many(body)]
    content = headers.get(b"x-gateway-event", b"").decode()
    return [_taken(_decode_one(body).data, headers[b"idempotency-key"].decode(), attempt, content)]


def _taken(data: _Data, key: str, attempt: int, content: str = "") -> Taken:
    guild = str(data.d.id) if data.t in _GUILD_ITSELF else data.d.guild_id
    return Taken(data.d.event_number, key, guild, data.t, attempt, content)


# How it misbehaves


def slow(seconds: float) -> Manner:
    return lambda _: Answer(delay=seconds)


def always(status: int, *, retry_after: int | None = None) -> Manner:
    return lambda _: Answer(status=status, retry_after=retry_after)


def silent(_taken: list[Taken]) -> Answer:
    """Take the request and never answer, as far as the gateway's patience is concerned."""
    return Answer(status=500, delay=3600)


def garbage(seed: int) -> Manner:
    """Bytes that are no HTTP, others each time."""
    rng = random.Random(seed)
    return lambda _: Answer(raw=rng.randbytes(rng.randint(1, 60)) + b"\r\n\r\n")
