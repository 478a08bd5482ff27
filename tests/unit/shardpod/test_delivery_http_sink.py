"""The HTTP sink against a server whose every byte is known, and against an ordinary one."""

import asyncio
import contextlib
import json
import ssl

import pytest
import trustme
from aiohttp import web

from shardpod.delivery import HttpSink, SinkError

SESSION = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


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
async def bot():
    served = await Bot().serve()
    yield served
    await served.close()


@pytest.fixture
async def sink(bot):
    sinks = []

    def make(path="/", **options):
        options = {"epoch": 4, "shard_count": 16, "timeout": 5.0, **options}
        sinks.append(HttpSink(f"http://127.0.0.1:{bot.port}{path}", **options))
        return sinks[-1]

    yield make
    for made in sinks:
        await made.close()


@pytest.fixture
def event(make_event):
    def make(seq=1, **fields):
        return make_event(seq, session=SESSION, **fields)

    return make


def then_close(answer):
    async def respond(writer):
        writer.write(answer)
        await writer.drain()
        writer.close()

    return respond


async def cut(writer):
    writer.transport.abort()


async def never(_writer):
    await asyncio.sleep(3600)


# What is sent.


async def test_the_request_is_exactly_the_documented_one(bot, sink, event):
    raw = b'{"t":"MESSAGE_CREATE","s":42,"op":0,"d":{"content":"\xc3\xa9 \\u00e9","id":"1"}}'
    await sink(authorization="the-secret").deliver([event(42, raw=raw)], 3)

    (request,) = bot.requests
    assert request.line == "POST / HTTP/1.1"
    assert request.headers == {
        "Host": f"127.0.0.1:{bot.port}",
        "Content-Type": "application/json",
        "Authorization": "the-secret",
        "Idempotency-Key": f"{SESSION}:42",
        "X-Gateway-Epoch": "4",
        "X-Gateway-Shard": "3/16",
        "X-Gateway-Attempt": "3",
        "Content-Length": str(len(request.body)),
    }
    assert request.body == b'{"shardId":3,"data":' + raw + b"}"
    assert json.loads(request.body)["data"]["s"] == 42


async def test_without_a_secret_there_is_no_authorization(bot, sink, event):
    await sink().deliver([event()], 1)

    assert "Authorization" not in bot.requests[0].headers


@pytest.mark.parametrize(("path", "line"), [("", "/"), ("/events?bot=1", "/events?bot=1"), ("/a/b/", "/a/b/")])
async def test_path_and_query_of_the_url_are_kept(bot, sink, event, path, line):
    await sink(path).deliver([event()], 1)

    assert bot.requests[0].line == f"POST {line} HTTP/1.1"


async def test_a_batch_is_an_array_of_the_same_objects_each_with_its_key(bot, sink, event):
    await sink(batching=True).deliver([event(1), event(2, shard=5)], 2)

    (request,) = bot.requests
    assert json.loads(request.body) == [
        {"key": f"{SESSION}:1", "shardId": 3, "data": {"t": "MESSAGE_CREATE", "s": 1, "op": 0, "d": {}}},
        {"key": f"{SESSION}:2", "shardId": 5, "data": {"t": "MESSAGE_CREATE", "s": 2, "op": 0, "d": {}}},
    ]
    assert request.headers["X-Gateway-Attempt"] == "2"
    assert request.headers["X-Gateway-Epoch"] == "4"


async def test_with_batching_a_single_event_is_an_array_as_well(bot, sink, event):
    await sink(batching=True).deliver([event(1)], 1)

    assert len(json.loads(bot.requests[0].body)) == 1


async def test_a_payload_of_megabytes_arrives_whole(bot, sink, event):
    raw = b'{"d":"' + b"x" * 5_000_000 + b'"}'
    await sink().deliver([event(raw=raw)], 1)

    assert len(bot.requests[0].body) == len(raw) + len(b'{"shardId":3,"data":}')


# What is acknowledged.


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        EMPTY,
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 Whatever\r\ncontent-length:0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
    ids=["200", "204", "202", "299", "chunked", "100-continue", "early hints"],
)
async def test_any_2xx_acknowledges_and_the_connection_is_kept(bot, sink, event, answer):
    bot.answers = [answer]
    to_bot = sink()
    for seq in (1, 2, 3):
        await to_bot.deliver([event(seq)], 1)

    assert [request.key for request in bot.requests] == [f"{SESSION}:{seq}" for seq in (1, 2, 3)]
    assert bot.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_an_answer_that_ends_with_its_connection_acknowledges(bot, sink, event, answer):
    bot.answers = [then_close(answer)]
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    await to_bot.deliver([event(2)], 1)

    assert bot.connections == 2
    assert len(bot.requests) == 2


async def test_an_answer_may_come_byte_by_byte(bot, sink, event):
    async def dribble(writer):
        for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    bot.answers = [dribble]
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    await to_bot.deliver([event(2)], 1)

    assert bot.connections == 1


async def test_an_answer_may_come_before_the_whole_request_was_read(bot, sink, event):
    await sink().deliver([event(raw=b'{"d":"' + b"x" * 100_000 + b'"}')], 1)

    assert len(bot.requests) == 1


@pytest.mark.parametrize("status", [200, 500])
async def test_of_an_answer_that_is_too_long_the_status_still_counts(bot, sink, event, status):
    """A debug page of 100 KiB says 500 for this event, not that the bot is away; a 2xx acknowledges in any case."""
    bot.answers = [b"HTTP/1.1 %d X\r\nContent-Length: 200000\r\n\r\n" % status + b"x" * 200_000]
    to_bot = sink()
    if status == 200:
        await to_bot.deliver([event()], 1)
    else:
        with pytest.raises(SinkError, match="500") as caught:
            await to_bot.deliver([event()], 1)
        assert not caught.value.unreachable

    assert len(bot.requests) == 1
    bot.answers = [OK]
    await to_bot.deliver([event(2)], 1)
    assert bot.connections == 2, "nothing of the long answer is left over for the next request"


# What is refused.


@pytest.mark.parametrize("status", [301, 304, 400, 401, 404, 408, 425, 500, 503])
async def test_every_other_status_is_a_failure_that_says_so(bot, sink, event, status):
    bot.answers = [b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status]
    with pytest.raises(SinkError, match=str(status)) as caught:
        await sink().deliver([event()], 1)

    assert not caught.value.unreachable
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("17", 17.0), (" 3 ", 3.0), ("Fri, 31 Dec 1999 23:59:59 GMT", None), ("-1", None), ("x", None)],
)
async def test_retry_after_in_seconds_is_read(bot, sink, event, value, seconds):
    bot.answers = [b"HTTP/1.1 429 Slow\r\nretry-AFTER: %b\r\nContent-Length: 0\r\n\r\n" % value.encode()]
    with pytest.raises(SinkError) as caught:
        await sink().deliver([event()], 1)

    assert caught.value.retry_after == seconds


async def test_retry_after_of_one_answer_is_not_taken_for_the_next(bot, sink, event):
    bot.answers = [
        b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    ]
    to_bot = sink()
    for expected in (9.0, None):
        with pytest.raises(SinkError) as caught:
            await to_bot.deliver([event()], 1)
        assert caught.value.retry_after == expected


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_garbage_is_a_failure_and_nothing_worse(bot, sink, event, garbage, caplog):
    bot.answers = [garbage]
    with pytest.raises(SinkError):
        await sink(timeout=1.0).deliver([event()], 1)

    assert caplog.records == [], "no callback raised"


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_a_bot_that_dies_before_its_answer_is_a_failure(bot, sink, event, sent):
    bot.answers = [then_close(sent)]
    with pytest.raises(SinkError, match="ended before the answer"):
        await sink().deliver([event()], 1)


async def test_a_bot_that_is_not_there_is_unreachable(bot, sink, event):
    to_bot = sink()
    await bot.close()
    with pytest.raises(SinkError, match=r"cannot connect to 127\.0\.0\.1") as caught:
        await to_bot.deliver([event()], 1)

    assert caught.value.unreachable


# Connections.


async def test_a_connection_the_bot_closed_between_requests_is_replaced_without_a_failure(bot, sink, event, until):
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    for writer in list(bot.open):
        writer.close()
    await until(lambda: not bot.open)
    await to_bot.deliver([event(2)], 1)

    assert bot.connections == 2
    assert len(bot.requests) == 2


async def test_a_kept_connection_that_breaks_at_the_request_is_tried_once_more_with_the_same_key(bot, sink, event):
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    bot.answers = [cut, OK]
    await to_bot.deliver([event(2)], 1)

    first, second = bot.requests[1:]
    assert first.key == second.key == f"{SESSION}:2"
    assert first.headers["X-Gateway-Attempt"] == second.headers["X-Gateway-Attempt"]
    assert first.body == second.body
    assert second.connection == 2


async def test_a_new_connection_that_breaks_is_not_tried_again(bot, sink, event):
    bot.answers = [cut]
    with pytest.raises(SinkError):
        await sink().deliver([event()], 1)

    assert len(bot.requests) == 1


async def test_an_answer_of_a_kept_connection_that_is_an_error_is_not_tried_again(bot, sink, event):
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    bot.answers = [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
    with pytest.raises(SinkError):
        await to_bot.deliver([event(2)], 1)

    assert len(bot.requests) == 2


async def test_parallel_requests_take_a_connection_each_and_keep_them(bot, sink, event, until):
    gate = asyncio.Event()

    async def wait(writer):
        await gate.wait()
        writer.write(OK)

    bot.answers = [wait]
    to_bot = sink()
    under_way = [asyncio.create_task(to_bot.deliver([event(seq)], 1)) for seq in range(1, 6)]
    await until(lambda: len(bot.requests) == 5)
    gate.set()
    await asyncio.gather(*under_way)
    for seq in range(6, 30):
        await to_bot.deliver([event(seq)], 1)

    assert bot.connections == 5


async def test_a_timeout_is_a_failure_and_its_late_answer_is_not_taken_for_the_next(bot, sink, event):
    late = asyncio.Event()

    async def too_late(writer):
        await late.wait()
        writer.write(b"HTTP/1.1 200 LATE\r\nContent-Length: 0\r\n\r\n")

    to_bot = sink(timeout=0.1)
    await to_bot.deliver([event(1)], 1)
    bot.answers = [too_late, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
    with pytest.raises(SinkError, match=r"no answer within 0\.1 s") as caught:
        await to_bot.deliver([event(2)], 1)
    assert not caught.value.unreachable
    late.set()
    with pytest.raises(SinkError, match="500"):
        await to_bot.deliver([event(2)], 2)

    first, second = bot.requests[1:]
    assert first.key == second.key
    assert (first.headers["X-Gateway-Attempt"], second.headers["X-Gateway-Attempt"]) == ("1", "2")


async def test_an_answer_nobody_asked_for_ends_the_connection(bot, sink, event, until):
    bot.answers = [OK + b"HTTP/1.1 200 EXTRA\r\nContent-Length: 0\r\n\r\n", OK]
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    await to_bot.deliver([event(2)], 1)

    assert bot.connections == 2
    assert len(bot.requests) == 2


async def test_close_ends_the_kept_connections(bot, sink, event, until):
    to_bot = sink()
    await to_bot.deliver([event(1)], 1)
    assert bot.open
    await to_bot.close()
    await until(lambda: not bot.open)


# TLS.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
async def tls_bot(authority):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    served = await Bot().serve(server)
    yield served
    await served.close()


async def test_over_tls_events_arrive_and_the_connection_is_kept(tls_bot, authority, event):
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    to_bot = HttpSink(f"https://localhost:{tls_bot.port}/", epoch=1, shard_count=1, tls=trusting)
    for seq in (1, 2, 3):
        await to_bot.deliver([event(seq)], 1)
    await to_bot.close()

    assert tls_bot.connections == 1
    assert len(tls_bot.requests) == 3


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_certificate_that_is_not_trusted_or_of_another_name_is_a_failure(tls_bot, authority, event, name):
    context = ssl.create_default_context()
    if name == "127.0.0.1":
        authority.configure_trust(context)  # trusted, but issued for localhost
    to_bot = HttpSink(f"https://{name}:{tls_bot.port}/", epoch=1, shard_count=1, tls=context, timeout=5)
    with pytest.raises(SinkError, match="certificate") as caught:
        await to_bot.deliver([event()], 1)
    await to_bot.close()

    assert caught.value.unreachable
    assert tls_bot.requests == []


# An ordinary server.


async def test_an_aiohttp_server_takes_singles_and_batches(event):
    bodies = []

    async def handler(request):
        bodies.append(await request.json())
        return web.json_response({"acknowledged": 1})

    app = web.Application()
    app.router.add_post("/events", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    single = HttpSink(f"http://127.0.0.1:{port}/events", epoch=1, shard_count=1)
    batch = HttpSink(f"http://127.0.0.1:{port}/events", epoch=1, shard_count=1, batching=True)
    try:
        await single.deliver([event(1)], 1)
        await single.deliver([event(2)], 1)
        await batch.deliver([event(3)], 1)
    finally:
        await single.close()
        await batch.close()
        await runner.cleanup()

    assert [body["data"]["s"] for body in bodies[:2]] == [1, 2]
    assert bodies[2][0]["key"] == f"{SESSION}:3"
