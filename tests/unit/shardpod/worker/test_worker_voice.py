"""OwnVoice: which of the bot's voice connections hang on sessions of others, and what makes them ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardpod.protocol import Event
from shardpod.worker.voice import OwnVoice, user_id_of

BOT = "198"
OURS, OLD = "n" * 32, "o" * 32
SHARD, LINE = 3, 1


def event(event_type, d, *, guild="100", shard=SHARD, raw=None):
    data = json.dumps({"t": event_type, "s": 1, "op": 0, "d": d}).encode() if raw is None else raw
    return Event(event_type, 1, guild, shard, OURS, 0.0, data)


def state(channel="7", *, user=BOT, session=OLD, mute=False, deaf=False):
    return {"user_id": user, "channel_id": channel, "session_id": session, "self_mute": mute, "self_deaf": deaf}


def updated(channel="7", *, guild="100", shard=SHARD, **others):
    d = state(channel, **others) | {"guild_id": guild, "member": {"user": {"id": BOT}}}
    return event("VOICE_STATE_UPDATE", d, guild=guild, shard=shard)


def created(*states, guild="100", shard=SHARD):
    return event(
        "GUILD_CREATE", {"id": guild, "voice_states": list(states), "channels": [{}]}, guild=guild, shard=shard
    )


def ready(user=BOT, *, shard=SHARD):
    return event("READY", {"user": {"id": user}, "session_id": OURS}, guild=None, shard=shard)


def heard(*events, user_id=BOT):
    own = OwnVoice(user_id)
    for one in events:
        own.received(one)
    return own


def counts(own, line=LINE):
    return own.elsewhere(SHARD), own.to_rejoin(SHARD, line)


def next_of(own, line=LINE):
    message = own.rejoin_next(SHARD, line)
    return None if message is None else json.loads(message)


def test_a_guild_tells_at_its_creation_where_the_bot_is_in_voice():
    own = heard(created(state("5", user="1"), state("7", mute=True), state("6", user="2")))

    assert counts(own) == (1, 1)
    assert next_of(own) == {"op": 4, "d": {"guild_id": "100", "channel_id": "7", "self_mute": True, "self_deaf": False}}


def test_the_bots_own_state_tells_of_joining_moving_and_leaving():
    own = heard(updated("7"), updated("8", deaf=True))
    assert next_of(own)["d"] == {"guild_id": "100", "channel_id": "8", "self_mute": False, "self_deaf": True}

    own.received(updated(None))
    assert counts(own) == (0, 0)


def test_states_of_others_say_nothing_even_where_they_name_the_bot():
    own = heard(updated("7", user="1"), created(state("5", user="1")))

    assert counts(own) == (0, 0)


def test_a_state_that_hangs_on_the_telling_session_needs_nothing_done():
    own = heard(updated("7", session=OURS))

    assert counts(own) == (0, 0)
    assert next_of(own) is None


def test_each_guild_is_asked_for_once_and_ours_when_the_session_is_told_so():
    own = heard(created(state(), guild="100"), created(state(), guild="104"))

    assert {next_of(own)["d"]["guild_id"], next_of(own)["d"]["guild_id"]} == {"100", "104"}
    assert next_of(own) is None
    assert counts(own) == (2, 0)
    own.received(updated("7", guild="100", session=OURS))
    own.received(updated("7", guild="104", session=OURS))
    assert counts(own) == (0, 0)


def test_being_moved_by_the_old_session_meanwhile_is_not_asked_for_again():
    own = heard(created(state()))
    next_of(own)
    own.received(updated("8"))

    assert counts(own) == (1, 0)


def test_what_a_lost_connection_was_given_is_asked_for_again_on_the_next():
    own = heard(created(state()), created(state(), guild="104"))
    next_of(own)
    next_of(own)
    own.received(updated("7", guild="104", session=OURS))

    assert counts(own, LINE + 1) == (1, 1)
    assert next_of(own, LINE + 1)["d"]["guild_id"] == "100"
    assert next_of(own, LINE + 1) is None


def test_a_guild_that_the_bot_has_left_is_passed_over():
    own = heard(created(state()), event("GUILD_DELETE", {"id": "100"}))

    assert next_of(own) is None


def test_a_guild_that_comes_back_from_an_outage_says_anew_whether_the_bot_is_in_voice():
    own = heard(created(state()), created())
    assert counts(own) == (0, 0)

    own.received(created(state("9")))
    assert next_of(own)["d"]["channel_id"] == "9"


def test_a_new_session_is_told_everything_anew_and_other_shards_keep_what_they_know():
    own = heard(created(state()), created(state(), guild="101", shard=4), ready())

    assert counts(own) == (0, 0)
    assert own.elsewhere(4) == 1


def test_ready_knows_the_bots_id_where_its_token_does_not():
    own = heard(updated("7", user="55"), ready("55"), updated("7", user="55"), user_id=None)

    assert counts(own) == (1, 1)


def test_without_the_bots_id_nothing_is_taken_for_its_own():
    own = heard(created({"channel_id": "7"}), event("VOICE_STATE_UPDATE", {"channel_id": "7"}), user_id=None)

    assert counts(own) == (0, 0)


def test_a_voice_state_outside_of_guilds_is_passed_over():
    own = heard(event("VOICE_STATE_UPDATE", state(), guild=None))

    assert counts(own) == (0, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b'{"d":198}',
        b'{"d":{"user_id":"198","channel_id":[]}}',
        b'{"d":{"user_id":"198","channel_id":"\xff"}}',
        b'{"d":' + b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("event_type", ["VOICE_STATE_UPDATE", "GUILD_CREATE", "READY"])
def test_what_cannot_be_read_changes_nothing_for_other_guilds(event_type, raw):
    own = heard(created(state(), guild="104", shard=4))
    own.received(event(event_type, None, raw=raw))

    assert own.elsewhere(4) == 1
    own.received(updated("7"))
    assert counts(own) == (1, 1)


@pytest.mark.parametrize(
    ("token", "user_id"),
    [
        ("MTk4.the-bots-token.zzz", "198"),
        ("Bot MTk4.the-bots-token.zzz", "198"),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.x.y", "1234567890123456789"),
        ("simulator-token", None),
        ("", None),
        ("bm90IGFuIGlk.x.y", None),
        ("\N{SNOWMAN}.x.y", None),
    ],
)
def test_a_token_begins_with_the_bots_id(token, user_id):
    assert user_id_of(token) == user_id


steps = st.lists(
    st.tuples(
        st.sampled_from(["100", "104", "108"]),
        st.sampled_from(["created", "created without", "joined", "ours", "left", "deleted", "sent", "reconnected"]),
        st.sampled_from(["7", "8"]),
    ),
    max_size=40,
)


@given(steps)
def test_it_knows_what_a_plain_book_of_the_same_guilds_knows(steps):
    own, book, line = OwnVoice(BOT), {}, LINE
    for guild, step, channel in steps:
        asked_on = book.get(guild, (None, False, None))[2]
        match step:
            case "created":
                own.received(created(state(channel), guild=guild))
                book[guild] = (channel, False, None)
            case "joined":
                own.received(updated(channel, guild=guild))
                book[guild] = (channel, False, asked_on)
            case "ours":
                own.received(updated(channel, guild=guild, session=OURS))
                book[guild] = (channel, True, asked_on)
            case "created without":
                own.received(created(guild=guild))
                book.pop(guild, None)
            case "left":
                own.received(updated(None, guild=guild))
                book.pop(guild, None)
            case "deleted":
                own.received(event("GUILD_DELETE", {"id": guild}, guild=guild))
                book.pop(guild, None)
            case "reconnected":
                line += 1
            case "sent":
                waiting = {one: where for one, (where, ours, on) in book.items() if not ours and on != line}
                message = next_of(own, line)
                assert (message is None) == (not waiting)
                if message is not None:
                    sent = message["d"]["guild_id"]
                    assert message["d"]["channel_id"] == waiting[sent]
                    book[sent] = (waiting[sent], False, line)
        elsewhere = [on for _, ours, on in book.values() if not ours]
        assert counts(own, line) == (len(elsewhere), sum(on != line for on in elsewhere))
