"""What one connection may do, rule by rule, on the pure core."""

import json

import pytest

from discord_simulator import LiveResume
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


def test_a_resume_replays_what_was_missed_and_ends_with_resumed(world):
    here = world()
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(4000, here.now)
    for guild_id in here.discord.guilds.ids:
        here.discord.publish(draft(guild_id))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    replayed = outlet.sent[1:]
    assert [payload["s"] for payload in replayed] == list(range(seen + 1, seen + 10))
    assert [payload["t"] for payload in replayed] == ["MESSAGE_CREATE"] * 8 + ["RESUMED"]
    assert here.discord.ledger.resumes == 1


def test_a_resume_from_a_sequence_never_sent_is_closed_with_4007(world):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)

    connection, outlet = here.connect()
    here.resume(connection, session.id, session.seq + 1)

    assert outlet.closed == 4007
    assert session.state is SessionState.ENDED


def test_a_resume_past_the_replay_buffer_is_invalid_and_not_resumable(world):
    here = world(replay_size=10)
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(None, here.now)
    for _ in range(11):
        here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.last == {"t": None, "s": None, "op": 9, "d": False}
    assert outlet.closed is None
    assert [incident.rule for incident in here.discord.ledger.incidents] == ["replay-overflow"]


def test_a_resume_that_just_fits_the_replay_buffer_succeeds(world):
    here = world(replay_size=10)
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(None, here.now)
    for _ in range(10):
        here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.last["t"] == "RESUMED"


@pytest.mark.parametrize(("away", "op"), [(89.9, 0), (90.0, 9)])
def test_a_session_can_be_resumed_for_ninety_seconds(world, away, op):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)
    here.now += away
    here.discord.tick(here.now)

    connection, outlet = here.connect()
    here.resume(connection, session.id, session.seq)

    assert outlet.last["op"] == op


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clients_normal_close_ends_its_session(world, code):
    session, connection, _ = (here := world()).new_session()

    connection.lost(code, here.now)

    assert session.state is SessionState.ENDED


@pytest.mark.parametrize("code", [None, 1005, 4000, 4900])
def test_any_other_close_of_a_client_keeps_its_session(world, code):
    session, connection, _ = (here := world()).new_session()

    connection.lost(code, here.now)

    assert session.state is SessionState.DISCONNECTED


def test_a_resume_with_a_wrong_token_is_closed_with_4004_and_harms_nobody(world):
    here = world()
    session, _, _ = here.new_session()
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq, token="wrong")

    assert outlet.closed == 4004
    assert session.state is SessionState.CONNECTED


def test_a_resume_of_a_connected_session_closes_the_older_connection(world):
    here = world()
    session, older, older_outlet = here.new_session()
    newer, newer_outlet = here.connect()

    here.resume(newer, session.id, session.seq)
    older.lost(None, here.now)

    assert older_outlet.closed == 4000
    assert newer_outlet.last["t"] == "RESUMED"
    assert session.state is SessionState.CONNECTED


def test_a_resume_of_a_connected_session_is_refused_when_the_settings_say_so(world):
    here = world(live_resume=LiveResume.REFUSE)
    session, _, older_outlet = here.new_session()
    newer, newer_outlet = here.connect()

    here.resume(newer, session.id, session.seq)

    assert older_outlet.closed is None
    assert newer_outlet.last["op"] == 9
    assert session.state is SessionState.CONNECTED


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


def test_a_members_request_is_answered_with_its_nonce_in_the_asking_session_only(world):
    here = world()
    _, connection, outlet = here.new_session()
    _, _, other_outlet = here.new_session()
    guild_id = str(here.discord.guilds.ids[0])

    here.send(connection, 8, {"guild_id": guild_id, "user_ids": ["42", "43"], "nonce": "mine"})

    chunk = outlet.last
    assert chunk["t"] == "GUILD_MEMBERS_CHUNK"
    assert (chunk["d"]["nonce"], chunk["d"]["guild_id"]) == ("mine", guild_id)
    assert [member["user"]["id"] for member in chunk["d"]["members"]] == ["42", "43"]
    assert other_outlet.dispatched("GUILD_MEMBERS_CHUNK") == []


def test_a_second_request_for_all_members_within_thirty_seconds_is_rate_limited(world):
    here = world()
    _, connection, outlet = here.new_session()
    request = {"guild_id": str(here.discord.guilds.ids[0]), "query": "", "limit": 0, "nonce": "n"}
    here.send(connection, 8, request)
    here.now += 10.0

    here.send(connection, 8, request)

    assert outlet.last["t"] == "RATE_LIMITED"
    assert outlet.last["d"]["retry_after"] == pytest.approx(20.0)
    assert outlet.last["d"]["meta"] == {"guild_id": request["guild_id"], "nonce": "n"}


def test_a_voice_state_goes_to_every_session_of_the_guild_and_the_server_to_the_asking_one(world):
    here = world()
    session, connection, outlet = here.new_session()
    _, _, other_outlet = here.new_session((0, 1))
    guild_id = str(here.discord.guilds.ids[0])

    here.send(connection, 4, {"guild_id": guild_id, "channel_id": "5", "self_mute": True, "self_deaf": False})

    (state,) = outlet.dispatched("VOICE_STATE_UPDATE")
    assert (state["d"]["session_id"], state["d"]["self_mute"]) == (session.id, True)
    assert len(outlet.dispatched("VOICE_SERVER_UPDATE")) == 1
    assert len(other_outlet.dispatched("VOICE_STATE_UPDATE")) == 1
    assert other_outlet.dispatched("VOICE_SERVER_UPDATE") == []


@pytest.mark.parametrize(("op", "d"), [(3, {"status": "online"}), (31, {"guild_ids": []}), (43, {"guild_id": "1"})])
def test_presence_soundboard_and_channel_info_are_taken_without_an_answer(world, op, d):
    here = world()
    _, connection, outlet = here.new_session()
    before = len(outlet.sent)

    here.send(connection, op, d)

    assert (len(outlet.sent), outlet.closed) == (before, None)


def test_a_delay_holds_back_replay_and_replies_of_its_session(world):
    here = world()
    session, connection, _ = here.new_session()
    seen = session.seq
    session.delay = 0.5
    connection.lost(None, here.now)
    here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.delays == [0.0, 0.5, 0.5]  # Hello, the replayed event, RESUMED
