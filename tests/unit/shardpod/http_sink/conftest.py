"""A bot whose every byte is known, and a sink that delivers to it."""

import asyncio
import contextlib

import pytest

from shardpod.delivery import Batch, HttpSink

SESSION = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    def __init__(self, head, body, connection):
        self.head = head
        self.line, *lines = head.decode().split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in lines)
        self.body = body
        self.connection = connection  # counted from 1

    @property
    def key(self):
        return self.headers["Idempotency-Key"]


class Bot:
    """Answers each request with the next of `answers` (the last again and again): bytes, or a coroutine function."""

    def __init__(self):
        self.answers = [OK]
        self.requests = []
        self.connections = 0
        self.open = set()
        self._tasks = set()

    async def serve(self, tls=None):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        number = self.connections
        self.open.add(writer)
        writer.reader = reader
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                request = Request(head, b"", number)
                request.body = await reader.readexactly(int(request.headers["Content-Length"]))
                self.requests.append(request)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(answer):
                    await answer(writer)
                else:
                    writer.write(answer)
                    await writer.drain()
        self.open.discard(writer)
        writer.close()

    async def close(self):
        self.server.close()
        for writer in self.open:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def serve_bot():
    bots = []

    async def serve(tls=None):
        bots.append(await Bot().serve(tls))
        return bots[-1]

    yield serve
    for served in bots:
        await served.close()


@pytest.fixture
async def bot(serve_bot):
    return await serve_bot()


class AwaitedSink(HttpSink):
    """An HttpSink whose outcome can be awaited."""

    async def deliver(self, events, attempt):
        """Return once the events are acknowledged; raise SinkError if they are not."""
        outcome = asyncio.get_running_loop().create_future()
        self.submit(Batch(events, [], attempt), lambda _batch, error: outcome.set_result(error))
        error = await outcome
        if error is not None:
            raise error


@pytest.fixture(scope="session")
def awaited_sink():
    return AwaitedSink


@pytest.fixture
async def sink(bot):
    sinks = []

    def make(path="/", **options):
        options = {"epoch": 4, "shard_count": 16, "timeout": 5.0, **options}
        sinks.append(AwaitedSink(f"http://127.0.0.1:{bot.port}{path}", **options))
        return sinks[-1]

    yield make
    for made in sinks:
        await made.close()


@pytest.fixture
def event(make_event):
    def make(seq=1, **fields):
        return make_event(seq, session=SESSION, **fields)

    return make
