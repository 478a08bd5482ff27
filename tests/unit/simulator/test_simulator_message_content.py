"""What a session sees of messages without MESSAGE_CONTENT, asked for and granted."""

import pytest

from discord_simulator.discord import APPLICATION_ID
from discord_simulator.events import EventDraft
from discord_simulator.intents import ALL_INTENTS, Intent

WITHOUT = ALL_INTENTS & ~int(Intent.MESSAGE_CONTENT)
BOT = {"id": str(APPLICATION_ID)}
SOMEBODY = {"id": "42"}


def publish(here, event_type="MESSAGE_CREATE", *, author=SOMEBODY, mentions=(), direct=False):
    guild_id = None if direct else here.discord.guilds.ids[0]
    d = {
        "content": "a secret", "embeds": [{}], "attachments": [{}], "components": [{}], "poll": {"question": "?"},
        "author": author, "mentions": list(mentions), "id": "7",
    }  # fmt: skip
    return here.discord.publish(EventDraft(event_type, guild_id, d, 8))


def seen(outlet):
    return [payload["d"] for payload in outlet.sent if payload["d"] and payload["d"].get("id") == "7"]


@pytest.mark.parametrize("event_type", ["MESSAGE_CREATE", "MESSAGE_UPDATE"])
def test_contents_are_empty_for_a_session_that_did_not_ask_for_them(world, event_type):
    here = world()
    _, _, blind = here.new_session(intents=WITHOUT)
    _, _, seeing = here.new_session()

    event = publish(here, event_type)

    (shown,), (whole,) = seen(blind), seen(seeing)
    assert {name: shown[name] for name in ("content", "embeds", "attachments", "components")} == {
        "content": "", "embeds": [], "attachments": [], "components": [],
    }  # fmt: skip
    assert "poll" not in shown
    assert (whole["content"], whole["poll"]) == ("a secret", {"question": "?"})
    assert shown["event_number"] == whole["event_number"] == event.number


@pytest.mark.parametrize("case", [{"author": BOT}, {"mentions": [SOMEBODY, BOT]}, {"direct": True}])
def test_own_messages_mentions_and_direct_messages_keep_their_contents(world, case):
    here = world()
    _, _, blind = here.new_session(intents=WITHOUT)

    publish(here, **case)

    assert [message["content"] for message in seen(blind)] == ["a secret"]


def test_contents_end_when_the_intent_is_withdrawn(world):
    here = world()
    _, _, outlet = here.new_session()
    here.discord.change_rules({"granted_intents": WITHOUT}, here.now)

    publish(here)

    assert [message["content"] for message in seen(outlet)] == [""]


def test_a_replay_shows_no_more_than_was_sent(world):
    here = world()
    session, connection, _ = here.new_session(intents=WITHOUT)
    connection.lost(None, here.now)
    publish(here)
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq - 1)

    assert [message["content"] for message in seen(outlet)] == [""]
