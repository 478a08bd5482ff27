"""Faults that show on the wire only: split messages, slow and stalled sockets, half-open connections, dead hosts."""

import asyncio
import json
import time

import aiohttp
import pytest

COMPRESSIONS = [None, "zlib-stream", "zstd-stream"]
BOT = {"Authorization": "Bot simulator-token"}


@pytest.mark.parametrize("compress", COMPRESSIONS)
async def test_messages_in_several_frames_are_still_one_payload_each(simulate, connect, compress):
    simulator = await simulate()
    simulator.fault("split", parts=4)
    client = await connect(simulator, compress=compress)

    _, guilds = await client.identify(guilds=8)

    assert [payload["t"] for payload in guilds] == ["GUILD_CREATE"] * 8


async def test_a_zlib_payload_may_span_several_messages(simulate, connect):
    simulator = await simulate()
    client = await connect(simulator, compress="zlib-stream")
    await client.identify(guilds=8)
    simulator.fault("split", target="0/1", parts=3, into="messages")
    simulator.start_load(1000, events=1)

    parts = [await asyncio.wait_for(client.websocket.recv(), 10) for _ in range(3)]

    assert [part.endswith(b"\x00\x00\xff\xff") for part in parts] == [False, False, True]


async def test_zstd_messages_stay_whole_as_discord_promises(simulate, connect):
    simulator = await simulate()
    simulator.fault("split", parts=3, into="messages")
    client = await connect(simulator, compress="zstd-stream")

    assert len((await client.identify(guilds=8))[1]) == 8


async def test_a_stalled_socket_gets_everything_afterwards_and_in_order(simulate, connect, eventually):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)
    started = time.monotonic()
    simulator.fault("stall", target="0/1", seconds=0.4)
    simulator.start_load(5000, events=20)

    payloads = await client.receive_many(20)

    assert time.monotonic() - started >= 0.4
    assert [payload["s"] for payload in payloads] == list(range(10, 30))


async def test_a_slow_socket_is_written_to_at_its_pace(simulate, connect):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)
    simulator.fault("slow", target="0/1", bytes_per_second=20_000)
    simulator.start_load(5000, events=20, mix={"MESSAGE_CREATE": 1})
    started = time.monotonic()

    await client.receive_many(20)

    sent = sum(len(message.encode()) for message in client.messages[-20:-1])
    assert time.monotonic() - started >= sent / 20_000 * 0.9


async def test_a_half_open_connection_answers_not_even_a_close(simulate, connect):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)
    simulator.fault("half-open", target=client.session_id)
    simulator.start_load(5000, events=5)
    await simulator.wait_load_done()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.websocket.recv(), 0.3)
    await client.websocket.close(4000)  # gives up after the client's own close timeout

    assert client.websocket.protocol.close_rcvd is None
    assert simulator.sessions[0]["connected"] is True


async def test_a_dead_resume_host_refuses_connections(simulate, connect):
    simulator = await simulate()
    simulator.fault("dead-resume-host")
    client = await connect(simulator)
    await client.identify(guilds=8)
    client.websocket.transport.abort()

    with pytest.raises(OSError):
        await connect(simulator, url=client.resume_url)
    again = await connect(simulator)
    await again.resume(client.session_id, client.seq)

    assert (await again.receive_until("RESUMED"))[-1]["t"] == "RESUMED"


@pytest.mark.parametrize(
    ("fields", "status", "content_type"),
    [
        ({"status": 429, "answer": "html", "retry_after": 3}, 429, "text/html"),
        ({"status": 503, "answer": "html"}, 503, "text/html"),
        ({"status": 200, "answer": "garbage"}, 200, "application/json"),
        ({"status": 401}, 401, "application/json"),
    ],
)
async def test_gateway_bot_fails_in_every_way(simulate, fields, status, content_type):
    simulator = await simulate()
    simulator.fault("gateway-bot", **fields)

    async with aiohttp.ClientSession(headers=BOT) as http:
        async with http.get(f"{simulator.rest_url}/gateway/bot") as answer:
            text = await answer.text()
        async with http.get(f"{simulator.rest_url}/gateway/bot") as after:
            assert after.status == 200

    assert (answer.status, answer.content_type) == (status, content_type)
    assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)
    assert _is_json(text) is ("answer" not in fields)


def _is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def test_every_close_code_reaches_the_client(simulate, connect):
    simulator = await simulate()
    for code in (4000, 4003, 4009, 4013):
        client = await connect(simulator)
        await client.identify(guilds=8)
        simulator.fault("close", target=client.session_id, code=code)
        assert await client.closed() == code


async def test_op_7_may_be_all_a_client_ever_hears(simulate, connect):
    simulator = await simulate()
    simulator.fault("hello", mode="reconnect-instead")
    client = await connect(simulator)

    assert (await client.receive())["op"] == 7
    assert (await (await connect(simulator)).receive())["op"] == 10
