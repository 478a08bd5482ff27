"""What is read of an event: type, seq, guild; and that `d` reaches the bot byte for byte."""

import json

import pytest

from shardpod.protocol import CLOSE_RESUMABLE, Close, ProtocolError, ShardState
from shardpod.protocol.envelope import guild_of, read_envelope
from shardpod.protocol.guilds import LOADING_PAUSE, Guilds

GUILD = "613425648685547541"


def routed(payload: bytes):
    envelope = read_envelope(payload)
    return guild_of(envelope.t, envelope.d)


# Routing.


def test_an_event_carries_exactly_the_bytes_discord_sent(drive):
    shard = drive().identify()
    payload = (
        b'{"t":"MESSAGE_CREATE", "s":2,"op":0,\n"d":{"content":"\\u00e9\xc3\xa9 ", "guild_id":"%b"}}' % GUILD.encode()
    )
    event = shard.receive(payload)

    assert event.raw == payload
    assert (event.type, event.seq, event.guild_id, event.received_at) == ("MESSAGE_CREATE", 2, GUILD, shard.now)
    assert event.session_id == "a" * 32


@pytest.mark.parametrize("order", ["t s op d", "d op s t", "op d t s", "s d op t"])
def test_the_order_of_the_envelopes_keys_does_not_matter(order):
    parts = {"t": "MESSAGE_CREATE", "s": 7, "op": 0, "d": {"guild_id": GUILD, "id": "5"}}
    envelope = read_envelope(json.dumps({key: parts[key] for key in order.split()}).encode())

    assert (envelope.op, envelope.s, envelope.t) == (0, 7, "MESSAGE_CREATE")
    assert guild_of(envelope.t, envelope.d) == GUILD


def test_a_nested_guild_id_is_never_taken():
    d = {
        "member": {"guild_id": "1", "id": "2"},
        "mentions": [{"guild_id": "3", "member": {"guild_id": "4"}}],
        "message_reference": {"guild_id": "5"},
        "guild": {"id": "6"},
        "content": '"guild_id":"7"',
        "id": "8",
    }
    assert routed(json.dumps({"op": 0, "s": 1, "t": "MESSAGE_CREATE", "d": d}).encode()) is None
    last = {**d, "guild_id": GUILD}
    first = {"guild_id": GUILD, **d}
    for data in (first, last):
        assert routed(json.dumps({"op": 0, "s": 1, "t": "MESSAGE_CREATE", "d": data}).encode()) == GUILD


@pytest.mark.parametrize("event_type", ["GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"])
def test_these_events_are_keyed_by_their_own_id_even_after_nested_ones(event_type):
    d = {"roles": [{"id": "1"}], "channels": [{"id": "2", "guild_id": "3"}], "guild_id": "4", "id": GUILD}
    assert routed(json.dumps({"op": 0, "s": 1, "t": event_type, "d": d}).encode()) == GUILD


@pytest.mark.parametrize(
    "event_type", ["CHANNEL_CREATE", "THREAD_MEMBERS_UPDATE", "GUILD_ROLE_CREATE", "SOMETHING_NEW"]
)
def test_all_other_events_are_keyed_by_guild_id(event_type):
    d = {"id": "1", "guild_id": GUILD}
    assert routed(json.dumps({"op": 0, "s": 1, "t": event_type, "d": d}).encode()) == GUILD
    assert routed(json.dumps({"op": 0, "s": 1, "t": event_type, "d": {"id": "1"}}).encode()) is None


@pytest.mark.parametrize("given", [int(GUILD), GUILD])
@pytest.mark.parametrize("event_type", ["MESSAGE_CREATE", "GUILD_CREATE"])
def test_a_snowflake_may_be_a_number(given, event_type):
    d = {"guild_id": given, "id": given}
    assert routed(json.dumps({"op": 0, "s": 1, "t": event_type, "d": d}).encode()) == GUILD


@pytest.mark.parametrize(
    "value",
    ["null", "true", "1.5", "-5", '"abc"', '""', "{}", "[]", '{"id":"1"}', "9" * 30, "9" * 4000, '"-1"', '" 1"'],
)
def test_a_guild_id_that_is_no_snowflake_routes_nowhere(value):
    assert routed(b'{"op":0,"s":1,"t":"TYPING_START","d":{"guild_id":%b}}' % value.encode()) is None


@pytest.mark.parametrize("d", ["null", "[]", '[{"guild_id":"1"}]', '"text"', "5", "1.5", "true", "{}", ' \n{"x":1}'])
def test_whatever_shape_d_has_the_event_is_forwarded(drive, d):
    """PRESENCES_REPLACE was seen with `[]`; a closed connection would get the same event again on each Resume."""
    shard = drive().identify()
    payload = b'{"op":0,"s":2,"t":"SOMETHING_NEW","d": %b}' % d.encode()
    event = shard.receive(payload)

    assert (event.type, event.guild_id, event.raw) == ("SOMETHING_NEW", None, payload)
    assert shard.state is ShardState.CONNECTED


def test_an_unexpected_field_beside_the_guild_does_not_lose_the_guild():
    payload = b'{"op":0,"s":1,"t":"GUILD_CREATE","d":  {"unavailable":"perhaps","id":"%b"}}' % GUILD.encode()
    assert routed(payload) == GUILD


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"op"',
        b"5",
        b"{}",
        b'{"op":"0"}',
        b'{"op":null}',
        b'{"op":true}',
        b'{"op":1.5}',
        b'{"op":0,"s":"1","t":"X","d":{}}',
        b'{"op":0,"s":-1,"t":"X","d":{}}',
        b'{"op":0,"s":9223372036854775808,"t":"X","d":{}}',
        b'{"op":0,"s":1,"t":5,"d":{}}',
        b'{"op":0,"s":1,"t":"\xff","d":{}}',
        b"\xff\xfe",
        b'{"op":0,"s":1,"t":"X","d":{}} trailing',
        b'{"op":0,"s":1,"t":"X","d":{"guild_id":' + b"9" * 5000 + b"}}",
        b"[" * 100_000,
        b'{"op":0,"s":1,"t":"X","d":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"op":0,"s":1,"t":"X","d":{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_what_is_no_payload_is_a_protocol_error_and_nothing_else(payload):
    with pytest.raises(ProtocolError):
        read_envelope(payload)


def test_what_is_no_payload_closes_the_connection_resumably(drive):
    shard = drive().identify()
    shard.receive(b"\x00 not JSON")

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    assert not shard.connect().to_identify


@pytest.mark.parametrize("envelope", [{"s": None, "t": "X"}, {"s": 5, "t": None}])
def test_a_dispatch_without_seq_or_type_closes_the_connection(drive, envelope):
    shard = drive().identify()
    shard.hear(0, {}, **envelope)

    assert shard.take() == [Close(CLOSE_RESUMABLE)]


# Sequence numbers.


def test_a_repeated_seq_is_left_out_and_counted(drive):
    shard = drive().identify()
    assert shard.event("TYPING_START", s=2)
    assert shard.event("TYPING_START", s=2) is None
    assert shard.event("TYPING_START", s=1) is None
    assert shard.event("TYPING_START", s=3)

    assert shard.protocol.repeated == 2
    assert shard.protocol.session.seq == 3


def test_a_repeated_guild_create_does_not_count_a_guild_twice(drive):
    shard = drive().identify(guilds=(1,))
    shard.event("GUILD_CREATE", {"id": "1"}, s=2)
    shard.event("GUILD_DELETE", {"id": "1"}, s=2)

    assert shard.protocol.guilds.count == 1


def test_a_new_session_counts_from_one_again(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=500)
    shard.lose(4009)
    shard.identify(session_id="b" * 32)
    event = shard.event("TYPING_START", s=2)

    assert event.key == "b" * 32 + ":2"
    assert shard.protocol.repeated == 0


# Guilds.


def test_ready_lists_guilds_that_are_loaded_one_by_one(drive):
    shard = drive().identify(guilds=(1, 2))
    guilds = shard.protocol.guilds
    assert guilds.count == 2
    assert not guilds.all_loaded(shard.now)
    shard.event("GUILD_CREATE", {"id": "1", "unavailable": False}, s=2)
    assert not guilds.all_loaded(shard.now)
    shard.event("GUILD_CREATE", {"id": "2", "unavailable": False}, s=3)

    assert guilds.all_loaded(shard.now)
    assert guilds.count == 2


def test_ready_may_write_guild_ids_as_numbers(drive):
    """A READY that cannot be read would cost an identify, again and again."""
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    data = {"session_id": "x", "resume_gateway_url": "wss://x", "guilds": [{"id": 1, "unavailable": True}]}
    shard.event("READY", data, s=1)
    shard.event("GUILD_CREATE", {"id": "1"}, s=2)

    assert shard.protocol.guilds.count == 1
    assert shard.protocol.guilds.all_loaded(shard.now)


def test_of_a_session_whose_guilds_nobody_remembers_none_is_waited_for_for_longer_than_a_pause(drive):
    guilds = drive().protocol.guilds
    guilds.assume(500, 100.0)

    assert guilds.count == 500
    assert not guilds.all_loaded(109.9)
    assert guilds.all_loaded(110.0)


def test_a_session_without_guilds_is_loaded_at_once(drive):
    assert drive().identify().protocol.guilds.all_loaded(1000.0)


def test_before_ready_nothing_is_loaded():
    assert not Guilds().all_loaded(1e9)


def test_a_pause_ends_the_waiting_for_guilds_that_never_come():
    guilds = Guilds()
    guilds.ready(["1", "2"], now=100.0)
    guilds.created("1", unavailable=False, now=105.0)

    assert not guilds.all_loaded(105.0 + LOADING_PAUSE - 0.01)
    assert guilds.all_loaded(105.0 + LOADING_PAUSE)


def test_a_guild_that_comes_after_the_pause_is_back_from_an_outage_and_not_news_to_this_session_alone():
    """All sessions are told of it, so that a handover has to compare it, and deliver it once."""
    guilds = Guilds()
    guilds.ready(["1", "2", "3"], now=100.0)

    assert guilds.created("1", unavailable=False, now=105.0)
    assert not guilds.created("2", unavailable=False, now=105.0 + LOADING_PAUSE)
    assert not guilds.created("3", unavailable=False, now=106.0 + LOADING_PAUSE)
    assert guilds.all_loaded(106.0 + LOADING_PAUSE)
    assert guilds.count == 3


def test_a_guild_in_an_outage_counts_as_seen_and_as_unavailable(drive):
    shard = drive().identify(guilds=(1, 2))
    shard.event("GUILD_DELETE", {"id": "1", "unavailable": True}, s=2)
    shard.event("GUILD_CREATE", {"id": "2", "unavailable": True}, s=3)
    guilds = shard.protocol.guilds

    assert guilds.all_loaded(shard.now)
    assert (guilds.count, guilds.unavailable) == (2, 2)
    shard.event("GUILD_CREATE", {"id": "2", "unavailable": False}, s=4)
    assert (guilds.count, guilds.unavailable) == (2, 1)


def test_joining_and_leaving_change_the_count(drive):
    shard = drive().identify(guilds=(1,))
    shard.event("GUILD_CREATE", {"id": "1"}, s=2)
    shard.event("GUILD_CREATE", {"id": "9"}, s=3)
    assert shard.protocol.guilds.count == 2
    shard.event("GUILD_DELETE", {"id": "1"}, s=4)
    shard.event("GUILD_DELETE", {"id": "5"}, s=5)

    assert shard.protocol.guilds.count == 1


def test_guilds_survive_a_resume_and_begin_anew_with_a_session(drive):
    shard = drive().identify(guilds=(1, 2))
    shard.event("GUILD_CREATE", {"id": "1"}, s=2)
    shard.event("GUILD_DELETE", {"id": "2", "unavailable": True}, s=3)
    shard.lose()
    shard.resume()
    assert shard.protocol.guilds.count == 2
    shard.lose(4009)
    shard.identify(guilds=(7,))

    assert shard.protocol.guilds.count == 1
    assert not shard.protocol.guilds.all_loaded(shard.now)


def test_a_guild_event_without_a_guild_is_forwarded_and_counts_nothing(drive):
    shard = drive().identify()

    assert shard.event("GUILD_CREATE", {"name": "?"}, s=2).guild_id is None
    assert shard.protocol.guilds.count == 0


# Secrets.


def test_no_repr_shows_the_token(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    shown = repr(shard.protocol.effects) + repr(shard.protocol._settings) + str(shard.protocol._settings)

    assert "the-bots-token" not in shown
