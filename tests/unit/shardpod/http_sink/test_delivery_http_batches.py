"""Batches and compressed bodies of the HTTP sink, as the bot receives them."""

import gzip
import json

import pytest
from aiohttp import web

from shardpod.delivery import SinkError
from shardpod.delivery.http_requests import SMALLEST_COMPRESSED_BYTES

SESSION = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def raw_of(length):
    """A payload of exactly so many bytes."""
    start, end = b'{"t":"MESSAGE_CREATE","s":1,"op":0,"d":{"content":"', b'"}}'
    return start + b"a" * (length - len(start) - len(end)) + end


def body_of(request):
    return gzip.decompress(request.body) if request.headers.get("Content-Encoding") == "gzip" else request.body


@pytest.mark.parametrize("count", [1, 3])
async def test_a_batch_says_how_many_events_it_holds(bot, sink, event, count):
    await sink(batching=True).deliver([event(seq) for seq in range(1, count + 1)], 2)

    (request,) = bot.requests
    assert request.headers == {
        "Host": f"127.0.0.1:{bot.port}",
        "Content-Type": "application/json",
        "X-Gateway-Epoch": "4",
        "X-Gateway-Events": str(count),
        "X-Gateway-Attempt": "2",
        "Content-Length": str(len(request.body)),
    }
    assert len(json.loads(request.body)) == count


async def test_the_events_that_the_bot_took_of_a_batch_are_told(bot, sink, event):
    bot.answers = [
        b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"acknowledged":2}',
        b'HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"acknowl\r\n9\r\nedged":1}\r\n0\r\n\r\n',
        OK,
    ]
    to_bot = sink(batching=True)
    outcomes = []
    for _ in range(2):
        with pytest.raises(SinkError) as caught:
            await to_bot.deliver([event(1), event(2), event(3)], 1)
        outcomes.append((caught.value.acknowledged, caught.value.rejected))
    await to_bot.deliver([event(3)], 1)

    assert outcomes == [(2, False), (1, True)]
    assert bot.connections == 1


async def test_with_gzip_a_body_is_compressed_and_says_so(bot, sink, event):
    raw = raw_of(5000)
    await sink(compression="gzip").deliver([event(1, raw=raw)], 1)

    (request,) = bot.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Content-Length"] == str(len(request.body))
    assert request.headers["Content-Type"] == "application/json"
    assert request.key == f"{SESSION}:1"
    assert len(request.body) < 500
    assert gzip.decompress(request.body) == b'{"shardId":3,"data":' + raw + b"}"


async def test_with_gzip_a_batch_is_compressed_as_a_whole(bot, sink, event):
    await sink(compression="gzip", batching=True).deliver([event(1, raw=raw_of(300)), event(2, raw=raw_of(300))], 1)

    (request,) = bot.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["X-Gateway-Events"] == "2"
    assert [item["key"] for item in json.loads(gzip.decompress(request.body))] == [f"{SESSION}:1", f"{SESSION}:2"]


@pytest.mark.parametrize(("length", "compressed"), [(SMALLEST_COMPRESSED_BYTES - 1, False), (256, True)])
async def test_a_short_body_stays_as_it_is(bot, sink, event, length, compressed):
    raw = raw_of(length - len(b'{"shardId":3,"data":}'))
    await sink(compression="gzip").deliver([event(1, raw=raw)], 1)

    (request,) = bot.requests
    assert ("Content-Encoding" in request.headers) is compressed
    assert len(body_of(request)) == length
    assert json.loads(body_of(request))["data"]["s"] == 1


async def test_by_default_nothing_is_compressed(bot, sink, event):
    await sink().deliver([event(1, raw=raw_of(5000))], 1)

    assert "Content-Encoding" not in bot.requests[0].headers


async def test_an_ordinary_server_reads_what_is_compressed(event, awaited_sink):
    bodies = []

    async def handler(request):
        bodies.append(await request.json())
        return web.json_response({"acknowledged": len(bodies[-1])})

    app = web.Application()
    app.router.add_post("/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    to_bot = awaited_sink(url, epoch=1, shard_count=1, batching=True, compression="gzip")
    try:
        await to_bot.deliver([event(seq, raw=raw_of(300)) for seq in (1, 2, 3)], 1)
        await to_bot.deliver([event(4)], 1)
    finally:
        await to_bot.close()
        await runner.cleanup()

    assert [[item["key"] for item in body] for body in bodies] == [
        [f"{SESSION}:{seq}" for seq in seqs] for seqs in ((1, 2, 3), (4,))
    ]


async def test_a_host_name_that_no_host_can_have_is_a_failure_and_not_silence(event, awaited_sink):
    to_bot = awaited_sink("http://bot..example/", epoch=1, shard_count=1)
    with pytest.raises(SinkError, match="cannot connect to bot") as caught:
        await to_bot.deliver([event()], 1)
    await to_bot.close()

    assert caught.value.unreachable
