"""What a session may ask for, and what it is told."""

import pytest


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


def test_sounds_are_told_guild_by_guild_to_the_asking_session_only(world):
    here = world()
    _, connection, outlet = here.new_session()
    _, _, other_outlet = here.new_session()
    guild_ids = [str(guild_id) for guild_id in here.discord.guilds.ids[:2]]

    here.send(connection, 31, {"guild_ids": guild_ids})

    sounds = outlet.dispatched("SOUNDBOARD_SOUNDS")
    assert [payload["d"]["guild_id"] for payload in sounds] == guild_ids
    assert all(payload["d"]["soundboard_sounds"] for payload in sounds)
    assert other_outlet.dispatched("SOUNDBOARD_SOUNDS") == []


def test_channel_info_has_the_fields_that_were_asked_for(world):
    here = world()
    _, connection, outlet = here.new_session()
    guild_id = str(here.discord.guilds.ids[0])

    here.send(connection, 43, {"guild_id": guild_id, "fields": ["status"]})

    (info,) = outlet.dispatched("CHANNEL_INFO")
    assert info["d"]["guild_id"] == guild_id
    assert [set(channel) for channel in info["d"]["channels"]] == [{"id", "status"}]


@pytest.mark.parametrize(
    ("op", "d"), [(31, {}), (31, {"guild_ids": ["x"]}), (43, {"guild_id": "1"}), (43, {"fields": []}), (4, {})]
)
def test_a_request_of_the_wrong_shape_is_closed_with_4002(world, op, d):
    here = world()
    _, connection, outlet = here.new_session()

    here.send(connection, op, d)

    assert outlet.closed == 4002


def test_a_presence_is_taken_without_an_answer(world):
    here = world()
    _, connection, outlet = here.new_session()
    before = len(outlet.sent)

    here.send(connection, 3, {"status": "online"})

    assert (len(outlet.sent), outlet.closed) == (before, None)
