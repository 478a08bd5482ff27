"""The HTTP sink against a server whose every byte is known, and against an ordinary one."""

import asyncio
import json

import pytest
from aiohttp import web

from shardpod.delivery import SinkError

SESSION = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def then_close(answer):
    async def respond(writer):
        writer.write(answer)
        await writer.drain()
        writer.close()

    return respond


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


@pytest.mark.parametrize(
    ("status", "rejected"),
    [(301, False), (304, False), (400, True), (404, True), (408, False), (425, False), (500, False), (503, False)],
)
async def test_every_other_status_is_a_failure_that_says_so(bot, sink, event, status, rejected):
    bot.answers = [b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status]
    with pytest.raises(SinkError, match=str(status)) as caught:
        await sink().deliver([event()], 1)

    assert not caught.value.unreachable
    assert caught.value.retry_after is None
    assert caught.value.rejected is rejected


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
    assert not caught.value.rejected


# An ordinary server.


async def test_an_aiohttp_server_takes_singles_and_batches(event, awaited_sink):
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
    single = awaited_sink(f"http://127.0.0.1:{port}/events", epoch=1, shard_count=1)
    batch = awaited_sink(f"http://127.0.0.1:{port}/events", epoch=1, shard_count=1, batching=True)
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
