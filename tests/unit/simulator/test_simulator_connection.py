"""What one connection may do, rule by rule, on the pure core."""

import json

import pytest

from discord_simulator.connection import ConnectionState
from discord_simulator.events import EventDraft
from discord_simulator.session import SessionState


def draft(guild_id, event_type="MESSAGE_CREATE"):
    return EventDraft(event_type, guild_id, {"guild_id": str(guild_id), "content": "hi"}, 1)


def only_violation(here):
    (violation,) = here.discord.ledger.violations
    return violation


def test_hello_comes_first_with_the_interval_of_the_settings(world):
    _, outlet = world(heartbeat_interval_ms=41_250).connect()

    assert outlet.last["op"] == 10
    assert outlet.last["d"]["heartbeat_interval"] == 41_250


def test_ready_looks_like_discords(world):
    here = world()
    connection, outlet = here.connect()
    here.identify(connection, (1, 2))

    ready = outlet.last
    assert list(ready) == ["t", "s", "op", "d"]
    assert (ready["t"], ready["s"], ready["op"]) == ("READY", 1, 0)
    assert ready["d"]["v"] == 10
    assert ready["d"]["shard"] == [1, 2]
    assert ready["d"]["resume_gateway_url"] == "ws://simulated"
    assert set(ready["d"]["session_id"]) <= set("0123456789abcdef")
    assert len(ready["d"]["session_id"]) == 32
    assert ready["d"]["guilds"] == [{"unavailable": True, "id": str(g)} for g in here.discord.guilds.of_shard(1, 2)]
    assert isinstance(ready["d"]["event_number"], int)


def test_every_guild_of_the_shard_is_created_after_ready(world):
    here = world(guilds=9)

    _, _, outlet = here.new_session((0, 2))

    created = outlet.dispatched("GUILD_CREATE")
    assert [int(payload["d"]["id"]) for payload in created] == here.discord.guilds.of_shard(0, 2)
    assert [payload["s"] for payload in created] == [2, 3, 4, 5, 6]
    assert all(payload["d"]["unavailable"] is False for payload in created)


def test_guilds_are_created_at_the_pace_of_the_settings(world):
    here = world(guilds=100, guild_create_rate=10.0)
    connection, outlet = here.connect()
    here.identify(connection)

    here.discord.tick(1.05)
    assert len(outlet.dispatched("GUILD_CREATE")) == 10
    here.discord.tick(2.05)
    assert len(outlet.dispatched("GUILD_CREATE")) == 20
    assert here.discord.ready_sessions() == 0


def test_a_heartbeat_is_acknowledged_even_before_identify(world):
    here = world()
    connection, outlet = here.connect()

    here.send(connection, 1, None)

    assert outlet.last == {"t": None, "s": None, "op": 11, "d": None}


def test_a_client_without_heartbeats_is_closed_after_one_and_a_half_intervals_and_may_resume(world):
    here = world(heartbeat_interval_ms=10_000, heartbeat_close_code=1000)
    session, connection, outlet = here.new_session()
    here.send(connection, 1, None)

    connection.tick(here.now + 15.0)
    assert outlet.closed is None
    connection.tick(here.now + 15.1)

    assert outlet.closed == 1000
    assert session.state is SessionState.DISCONNECTED
    assert only_violation(here).rule == "heartbeat"


@pytest.mark.parametrize("op", [3, 4, 8, 31, 43])
def test_a_send_before_identify_is_closed_with_4003(world, op):
    here = world()
    connection, outlet = here.connect()

    here.send(connection, op, {})

    assert outlet.closed == 4003


def test_a_second_identify_is_closed_with_4005_and_ends_the_session(world):
    here = world()
    session, connection, outlet = here.new_session()

    here.identify(connection)

    assert outlet.closed == 4005
    assert session.state is SessionState.ENDED


@pytest.mark.parametrize("op", [0, 5, 7, 9, 10, 11, 99])
def test_an_opcode_clients_may_not_send_is_closed_with_4001(world, op):
    here = world()
    connection, outlet = here.connect()

    here.send(connection, op, None)

    assert outlet.closed == 4001


@pytest.mark.parametrize(
    "message",
    ["{", b"\xff\xfe", "[]", "null", '{"d": 1}', '{"op": "1"}', '{"op": true}', '{"op": 1, "d": "x"}', '{"op": 2}',
     '{"op": 2, "d": {"token": 1, "properties": {}, "intents": 0}}', '{"op": 6, "d": {"token": "x"}}'],
)  # fmt: skip
def test_what_cannot_be_decoded_is_closed_with_4002(world, message):
    here = world()
    connection, outlet = here.connect()

    connection.receive(message, here.now)

    assert outlet.closed == 4002


@pytest.mark.parametrize(("size", "code"), [(4096, None), (4097, 4002)])
def test_4096_bytes_are_the_most_a_client_may_send(world, size, code):
    here = world()
    connection, outlet = here.connect()
    frame = json.dumps({"op": 1, "d": None, "pad": ""})

    connection.receive(frame.replace('""', '"' + "x" * (size - len(frame)) + '"'), here.now)

    assert outlet.closed == code


def test_the_121st_send_in_a_minute_is_closed_with_4008_and_the_session_may_resume(world):
    here = world()
    session, connection, outlet = here.new_session()  # the Identify was the first, 5 s ago
    for _ in range(119):
        here.send(connection, 1, None)
    assert outlet.closed is None

    here.send(connection, 1, None)

    assert outlet.closed == 4008
    assert session.state is SessionState.DISCONNECTED


def test_sends_of_more_than_a_minute_ago_do_not_count(world):
    here = world()
    connection, outlet = here.connect()
    for _ in range(120):
        here.send(connection, 1, None)

    here.now += 60.0
    here.send(connection, 1, None)

    assert outlet.closed is None


def test_a_wrong_token_is_closed_with_4004(world):
    here = world()
    connection, outlet = here.connect()

    here.identify(connection, token="wrong")

    assert outlet.closed == 4004
    assert here.discord.ledger.identifies == 0


def test_any_token_is_taken_when_the_settings_say_so(world):
    here = world(any_token=True)
    connection, outlet = here.connect()

    here.identify(connection, token="whatever")

    assert outlet.last["t"] == "READY"


@pytest.mark.parametrize("shard", [[1, 1], [-1, 2], [0, 0], [0], [0, 1, 2], ["0", "1"], [True, 2]])
def test_an_impossible_shard_is_closed_with_4010(world, shard):
    here = world()
    connection, outlet = here.connect()

    here.identify(connection, shard)

    assert outlet.closed == 4010


def test_a_shard_count_off_the_large_bots_multiple_is_closed_with_4010(world):
    here = world(shard_multiple=16)
    connection, outlet = here.connect()

    here.identify(connection, (0, 24))

    assert outlet.closed == 4010


def test_a_shard_that_would_hold_too_many_guilds_is_closed_with_4011(world):
    here = world(guilds=5002)
    first, first_outlet = here.connect()
    here.identify(first, (0, 2))
    second, second_outlet = here.connect()
    here.identify(second, (0, 3))

    assert first_outlet.closed == 4011
    assert second_outlet.last["t"] == "READY"


@pytest.mark.parametrize("intents", [-1, 1 << 17, 1 << 40, "1", None, True])
def test_intents_that_do_not_exist_are_closed_with_4013(world, intents):
    here = world()
    connection, outlet = here.connect()

    here.identify(connection, intents=intents)

    assert outlet.closed == 4013


def test_privileged_intents_that_were_not_granted_are_closed_with_4014(world):
    here = world(granted_intents=1)
    connection, outlet = here.connect()
    here.identify(connection, intents=1 << 1)
    other, other_outlet = here.connect()
    here.identify(other, intents=1 << 9)

    assert outlet.closed == 4014
    assert other_outlet.last["t"] == "READY"


def test_after_invalid_session_the_same_socket_may_identify_again(world):
    here = world()
    first, _ = here.connect()
    here.identify(first)
    second, outlet = here.connect()
    here.identify(second)
    assert outlet.last == {"t": None, "s": None, "op": 9, "d": False}
    assert second.state is ConnectionState.AWAITING_AUTH

    here.now += 5.0
    here.identify(second)

    assert outlet.last["t"] == "READY"
    assert only_violation(here).rule == "identify-concurrency"
