"""The gateway over real sockets: compression, resets, slow clients, TLS."""

import asyncio
import json
import socket
import time
import zlib

import pytest
import websockets
import zstandard

from discord_simulator import settle

COMPRESSIONS = [None, "zlib-stream", "zstd-stream"]


def load_numbers(simulator):
    return [number for number, _, _, kind, receivers in simulator.ledger.rows() if kind == "load" and receivers]


@pytest.mark.parametrize("compress", COMPRESSIONS)
async def test_every_message_can_be_decoded_as_it_comes(simulate, connect, compress):
    simulator = await simulate()
    client = await connect(simulator, compress=compress)
    await client.identify(guilds=8)

    simulator.start_load(2000, events=200)
    payloads = await client.receive_many(200)

    assert [payload["d"]["event_number"] for payload in payloads] == load_numbers(simulator)
    assert [payload["s"] for payload in payloads] == list(range(10, 210))


async def test_uncompressed_messages_are_text(simulate, connect):
    client = await connect(await simulate())
    await client.receive()

    assert client.messages[0].startswith('{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250')


async def test_zlib_stream_is_one_context_flushed_for_each_message(simulate, connect):
    client = await connect(await simulate(), compress="zlib-stream")
    await client.identify(guilds=8)

    assert client.messages[0].startswith(b"\x78\x9c")
    assert all(message.endswith(b"\x00\x00\xff\xff") for message in client.messages)
    with pytest.raises(zlib.error):
        zlib.decompressobj().decompress(client.messages[1])  # the second needs the context of the first


async def test_zstd_stream_is_one_unending_frame_with_discords_header(simulate, connect):
    client = await connect(await simulate(), compress="zstd-stream")
    await client.identify(guilds=8)

    assert client.messages[0].startswith(bytes.fromhex("28B52FFD") + b"\x00\x40")  # no size or checksum; 256 KiB
    assert not any(message.startswith(bytes.fromhex("28B52FFD")) for message in client.messages[1:])
    whole = zstandard.ZstdDecompressor().decompressobj()
    whole.decompress(b"".join(client.messages))
    assert not whole.eof


@pytest.mark.parametrize("tls", [False, True])
async def test_ready_names_the_scheme_and_host_the_client_came_by(simulate, connect, tls):
    simulator = await simulate()
    client = await connect(simulator, tls=tls)
    await client.identify(guilds=8)

    assert client.resume_url == (simulator.gateway_url_tls if tls else simulator.gateway_url).rstrip("/")


@pytest.mark.parametrize("compress", COMPRESSIONS)
async def test_a_tcp_reset_and_a_resume_lose_and_double_nothing(simulate, connect, eventually, compress):
    simulator = await simulate()
    client = await connect(simulator, compress=compress)
    await client.identify(guilds=8)
    simulator.start_load(1000, events=300)
    arrived = await client.receive_many(100)

    simulator.kill("0/1", "tcp-reset")
    arrived += await client.receive_until_lost()
    await eventually(lambda: simulator.ledger.sent > 250)
    again = await connect(simulator, compress=compress, url=client.resume_url)
    await again.resume(client.session_id, client.seq)
    arrived += await again.receive_many(301 - len(arrived))

    assert client.websocket.protocol.close_rcvd is None
    load = [payload for payload in arrived if payload["t"] != "RESUMED"]
    account = settle(
        simulator.ledger.rows(),
        [(p["d"]["event_number"], f"{client.session_id}:{p['s']}", _guild(p)) for p in load],
        kinds={"load"},
    )
    assert account.exactly_once, account.report()
    assert (account.sent, account.misread) == (300, [])


def _guild(payload):
    return payload["d"]["id"] if payload["t"] == "GUILD_UPDATE" else payload["d"].get("guild_id")


async def test_two_shard_sets_get_the_same_numbers(simulate, connect):
    simulator = await simulate()
    clients = [
        await connect(simulator, compress=COMPRESSIONS[index]) for index, _ in enumerate([(0, 1), (0, 2), (1, 2)])
    ]
    for client, shard, guilds in zip(clients, [(0, 1), (0, 2), (1, 2)], [8, 4, 4], strict=True):
        await client.identify(shard, guilds=guilds)

    simulator.start_load(2000, events=100)
    alone = [payload["d"]["event_number"] for payload in await clients[0].receive_many(100)]
    seqs = {session["session_id"]: session["seq"] for session in simulator.sessions}
    halves = [
        [payload["d"]["event_number"] for payload in await client.receive_many(seqs[client.session_id] - 5)]
        for client in clients[1:]
    ]

    assert sorted(halves[0] + halves[1]) == alone
    assert all(halves)


async def test_a_client_that_does_not_read_is_cut_off_and_others_notice_nothing(simulate, connect):
    simulator = await simulate(outgoing_limit_bytes=1_000_000)
    slow = await connect(simulator)
    await slow.identify(guilds=8)
    quick = await connect(simulator)
    await quick.identify(guilds=8)
    transport = slow.websocket.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport.pause_reading()

    arrived = []
    while not simulator.ledger.incidents and len(arrived) < 20_000:  # the kernel's buffers have to fill up first
        simulator.start_load(20_000, events=250, mix={"MESSAGE_CREATE": 1})
        arrived += await quick.receive_many(250)

    (incident,) = simulator.ledger.incidents
    assert (incident.rule, incident.session_id) == ("slow-client", slow.session_id)
    assert [payload["d"]["event_number"] for payload in arrived] == load_numbers(simulator)
    connected = {session["session_id"]: session["connected"] for session in simulator.sessions}
    assert connected == {slow.session_id: False, quick.session_id: True}
    transport.abort()


async def test_a_delay_holds_back_one_session_and_keeps_its_order(simulate, connect):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)
    simulator.delay(client.session_id, 0.3)

    started = time.monotonic()
    simulator.start_load(5000, events=20)
    payloads = await client.receive_many(20)

    assert time.monotonic() - started >= 0.3
    assert [payload["s"] for payload in payloads] == list(range(10, 30))


async def test_a_silent_client_is_closed(simulate, connect):
    client = await connect(await simulate(heartbeat_interval_ms=100))

    assert await client.closed() == 1000


@pytest.mark.parametrize(
    ("how", "code"), [("close", 4000), ("tcp-reset", None)]
)  # fmt: skip
async def test_a_session_is_closed_as_asked(simulate, connect, how, code):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)

    simulator.kill(client.session_id, how, code=4000)

    assert await client.closed() == code


async def test_op_7_and_op_9_reach_the_client(simulate, connect):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)

    simulator.kill("0/1", "reconnect")
    simulator.kill("0/1", "invalid-session", resumable=False)

    assert [(p["op"], p["d"]) for p in await client.receive_many(2)] == [(7, None), (9, False)]
    assert simulator.sessions == []


@pytest.mark.parametrize(("code", "kept"), [(1000, False), (1001, False), (4000, True)])
async def test_the_code_of_the_clients_close_decides_over_its_session(simulate, connect, eventually, code, kept):
    simulator = await simulate()
    client = await connect(simulator)
    await client.identify(guilds=8)

    await client.websocket.close(code)
    await eventually(lambda: not any(session["connected"] for session in simulator.sessions))

    assert [session["session_id"] for session in simulator.sessions] == ([client.session_id] if kept else [])


@pytest.mark.parametrize(
    ("frame", "code"),
    [('{"op":99}', 4001), ("x" * 4097, 4002), (b"\x83t\x00", 4002), ('{"op":3,"d":{}}', 4003)],
)
async def test_a_broken_rule_closes_the_socket_with_its_code(simulate, connect, frame, code):
    simulator = await simulate()
    client = await connect(simulator)

    await client.websocket.send(frame)

    assert await client.closed() == code
    assert [violation.code for violation in simulator.ledger.violations] == [code]


@pytest.mark.parametrize("query", ["v=9&encoding=json", "encoding=json"])
async def test_another_api_version_is_closed_with_4012(simulate, connect, query):
    client = await connect(await simulate(), query=query)

    assert await client.closed() == 4012


@pytest.mark.parametrize("query", ["v=10&encoding=etf", "v=10&encoding=json&compress=brotli"])
async def test_what_the_simulator_does_not_speak_is_refused_in_the_handshake(simulate, connect, query):
    simulator = await simulate()

    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(simulator, query=query)

    assert refused.value.response.status_code == 400


async def test_a_thousand_events_a_second_reach_four_compressed_sessions_in_time(simulate, connect):
    simulator = await simulate()
    clients = [await connect(simulator, compress=COMPRESSIONS[1 + index % 2]) for index in range(4)]
    for client in clients:
        await client.identify(guilds=8)

    started = time.monotonic()
    simulator.start_load(1000, events=1000)
    await asyncio.gather(*(client.receive_many(1000) for client in clients))

    assert time.monotonic() - started < 8.0  # ideally 1 s; the four clients decode on the same, shared core
    assert json.loads(json.dumps(simulator.ledger.summary()))["sent"] == simulator.ledger.sent


async def test_the_end_of_the_simulator_closes_its_connections(simulate, connect):
    from discord_simulator import Simulator, SimulatorSettings  # noqa: PLC0415 - this one is stopped inside the test

    async with Simulator(SimulatorSettings()) as simulator:
        client = await connect(simulator)
        await client.receive()

    assert await client.closed() == 1001
