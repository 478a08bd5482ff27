"""What third-party libraries were found to rely on, one test for each (tests/compat runs the libraries themselves)."""

import json

import aiohttp
import pytest

from discord_simulator.discord import APPLICATION_ID
from discord_simulator.entities import channel, guild_settings
from discord_simulator.events import EventKind, number_event
from discord_simulator.generator import EventGenerator
from discord_simulator.guilds import Guilds

BOT = {"Authorization": "Bot simulator-token"}


@pytest.fixture
async def get():
    async with aiohttp.ClientSession() as session:

        async def ask(simulator, path, headers=BOT):
            async with session.get(f"{simulator.rest_url}/{path}", headers=headers) as answer:
                return answer.status, answer.headers, await answer.json()

        yield ask


def generated(event_type, count=1):
    """The `d` of each of the first `count` events of a type."""
    generator = EventGenerator(Guilds(5, seed=1, application_id=1).ids, "seed", {event_type: 1})
    drafts = [generator.next() for _ in range(count)]
    return [json.loads(number_event(draft, 1, EventKind.LOAD).payload(1))["d"] for draft in drafts]


# REST at login


@pytest.mark.parametrize("path", ["gateway", "gateway/bot", "users/@me", "applications/@me", "oauth2/applications/@me"])
async def test_the_content_type_of_an_answer_has_no_charset_which_discord_py_would_take_for_text(simulate, get, path):
    status, headers, _ = await get(await simulate(), path)

    assert (status, headers["Content-Type"]) == (200, "application/json")


async def test_the_bots_user_is_the_one_that_ready_names(simulate, connect, get):
    simulator = await simulate(guilds=1)
    client = await connect(simulator)
    ready = await client.identify(guilds=1)

    _, _, user = await get(simulator, "users/@me")

    assert user["id"] == ready[0]["d"]["user"]["id"] == str(APPLICATION_ID)
    assert user["bot"] is True


@pytest.mark.parametrize("path", ["applications/@me", "oauth2/applications/@me"])
async def test_the_application_is_the_one_that_ready_names(simulate, connect, get, path):
    simulator = await simulate(guilds=3)
    client = await connect(simulator)
    ready = await client.identify(guilds=3)

    _, _, application = await get(simulator, path)

    assert {key: application[key] for key in ("id", "flags")} == ready[0]["d"]["application"]
    assert application["approximate_guild_count"] == 3
    assert bytes.fromhex(application["verify_key"])


@pytest.mark.parametrize("path", ["users/@me", "applications/@me", "oauth2/applications/@me"])
async def test_the_bots_account_needs_the_token(simulate, get, path):
    status, _, body = await get(await simulate(), path, headers={})

    assert (status, body["message"]) == (401, "401: Unauthorized")


# Gateway


def test_a_snowflake_may_be_a_number_as_discord_py_sends_it(world):
    here = world()
    _, connection, outlet = here.new_session()
    guild_id = here.discord.guilds.ids[0]

    here.send(connection, 8, {"guild_id": guild_id, "user_ids": [42], "nonce": "mine"})

    assert outlet.last["t"] == "GUILD_MEMBERS_CHUNK"
    assert outlet.last["d"]["guild_id"] == str(guild_id)


@pytest.mark.parametrize("guild_id", [True, -1, 2**63, 1.5, "x", "", None])
def test_what_is_no_snowflake_is_closed_with_4002(world, guild_id):
    here = world()
    _, connection, outlet = here.new_session()

    here.send(connection, 8, {"guild_id": guild_id, "user_ids": ["42"]})

    assert outlet.closed == 4002


async def test_connections_are_counted_by_the_compression_they_ask_for(simulate, connect):
    simulator = await simulate()
    for compress in (None, "zlib-stream", "zstd-stream", "zstd-stream"):
        await connect(simulator, compress=compress)

    assert simulator.connections_made == {"none": 1, "zlib-stream": 1, "zstd-stream": 2}


# Events


def test_a_voice_channel_has_a_bitrate_and_a_text_channel_a_topic():
    voice, text = channel(1, "Lounge", kind=2), channel(1, "general", kind=0)

    assert {"bitrate", "user_limit", "rtc_region"} <= voice.keys()
    assert "topic" in text
    assert "bitrate" not in text


def test_a_message_without_a_reference_has_no_such_key_where_hikari_would_read_a_null():
    messages = generated("MESSAGE_CREATE", count=100)

    replies = [message["message_reference"] for message in messages if "message_reference" in message]

    assert 0 < len(replies) < len(messages)
    assert all(replies)


def test_an_interaction_names_its_channel_and_who_installed_the_application():
    (interaction,) = generated("INTERACTION_CREATE")

    assert interaction["channel"]["id"] == interaction["channel_id"]
    assert interaction["application_id"] == str(APPLICATION_ID)
    assert interaction["authorizing_integration_owners"]


def test_the_bots_own_user_is_what_a_user_update_is_about():
    (user,) = generated("USER_UPDATE")

    assert (user["id"], user["bot"], user["mfa_enabled"]) == (str(APPLICATION_ID), True, True)


def test_a_guild_update_says_all_the_settings_that_the_guilds_creation_said(world):
    here = world()
    created = here.discord.guilds.creation(here.discord.guilds.ids[0]).d
    settings = guild_settings(here.discord.rng, "1").keys()
    (update,) = generated("GUILD_UPDATE")

    assert settings <= created.keys()
    assert settings <= update.keys()
