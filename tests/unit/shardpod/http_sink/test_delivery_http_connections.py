"""The connections of the HTTP sink: kept, replaced, cut off, and over TLS."""

import asyncio
import contextlib
import ssl

import pytest
import trustme

from shardpod.delivery import SinkError
from shardpod.delivery.http_connection import HttpConnection

SESSION = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


async def cut(writer):
    writer.transport.abort()


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
    gone, late = asyncio.Event(), asyncio.Event()

    async def too_late(writer):
        with contextlib.suppress(ConnectionError):
            await writer.reader.read()
        gone.set()
        await late.wait()
        writer.write(b"HTTP/1.1 200 LATE\r\nContent-Length: 0\r\n\r\n")

    to_bot = sink(timeout=0.1)
    await to_bot.deliver([event(1)], 1)
    bot.answers = [too_late, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
    with pytest.raises(SinkError, match=r"no answer within 0\.1 s") as caught:
        await to_bot.deliver([event(2)], 1)
    assert not caught.value.unreachable
    assert not caught.value.rejected
    await asyncio.wait_for(gone.wait(), 5)
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
async def tls_bot(authority, serve_bot):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    return await serve_bot(server)


async def test_over_tls_events_arrive_and_the_connection_is_kept(tls_bot, authority, event, awaited_sink):
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    to_bot = awaited_sink(f"https://localhost:{tls_bot.port}/", epoch=1, shard_count=1, tls=trusting)
    for seq in (1, 2, 3):
        await to_bot.deliver([event(seq)], 1)
    await to_bot.close()

    assert tls_bot.connections == 1
    assert len(tls_bot.requests) == 3


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_certificate_that_is_not_trusted_or_of_another_name_is_a_failure(
    tls_bot, authority, event, name, awaited_sink
):
    context = ssl.create_default_context()
    if name == "127.0.0.1":
        authority.configure_trust(context)  # trusted, but issued for localhost
    to_bot = awaited_sink(f"https://{name}:{tls_bot.port}/", epoch=1, shard_count=1, tls=context, timeout=5)
    with pytest.raises(SinkError, match="certificate") as caught:
        await to_bot.deliver([event()], 1)
    await to_bot.close()

    assert caught.value.unreachable
    assert tls_bot.requests == []


async def test_a_connection_that_ends_before_the_request_can_be_written_is_a_failure_and_not_silence(
    bot, event, awaited_sink, monkeypatch
):
    opened = HttpConnection.connection_made

    def opened_and_lost_at_once(connection, transport):
        opened(connection, transport)
        transport.abort()
        connection.connection_lost(None)

    monkeypatch.setattr(HttpConnection, "connection_made", opened_and_lost_at_once)
    sink = awaited_sink(f"http://127.0.0.1:{bot.port}/", epoch=1, shard_count=1, timeout=5)

    with pytest.raises(SinkError, match="connection ended"):
        await asyncio.wait_for(sink.deliver([event()], 1), 5)

    await sink.close()
