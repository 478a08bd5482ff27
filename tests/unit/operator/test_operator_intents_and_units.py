"""Intents by name and number, and the units of durations and quantities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.model import INTENTS, UnknownIntentError, intents_value, privileged_intents
from gateway_operator.model.problems import nearest
from gateway_operator.model.units import quantity, seconds

ALL_INTENTS = 53608447
NOT_PRIVILEGED = 53575421
"""Both from the fact sheet, section 6, which computed them from Discord's list."""


def test_all_intents_together_are_discords_number():
    assert intents_value(INTENTS) == ALL_INTENTS


def test_the_privileged_intents_are_those_that_discord_says():
    assert privileged_intents(ALL_INTENTS) == ("Presence Intent", "Server Members Intent", "Message Content Intent")
    assert privileged_intents(NOT_PRIVILEGED) == ()
    assert privileged_intents(1 << 15 | 1) == ("Message Content Intent",)


@pytest.mark.parametrize(
    ("intents", "value"),
    [
        ([], 0),
        (["Guilds"], 1),
        (["GUILD_MESSAGES"], 512),
        (["GuildMessages", "GUILD_MESSAGES", 512], 512),
        (["AUTO_MODERATION_EXECUTION", 4096, "Guilds"], (1 << 21) | 4096 | 1),
    ],
)
def test_names_in_both_forms_and_numbers_are_ored_together(intents, value):
    assert intents_value(intents) == value


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GuildMesages", '"GuildMesages" is no intent; did you mean GuildMessages?'),
        ("guild_messages", '"guild_messages" is no intent; did you mean GuildMessages?'),
        ("MESSAGECONTENT", '"MESSAGECONTENT" is no intent; did you mean MessageContent?'),
        ("zzz", '"zzz" is no intent'),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(name, message):
    with pytest.raises(UnknownIntentError) as caught:
        intents_value(["Guilds", name])

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"), [("10s", 10), ("30m", 1800), ("1500ms", 1.5), ("2h", 7200), ("0s", 0), ("007s", 7)]
)
def test_durations_are_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "1.5s", "1d", "10 s", "1m30s", "10S", "\N{ARABIC-INDIC DIGIT ONE}s", 10, None, True]
)
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("256Mi", 268435456), ("2Gi", 2147483648), ("1G", 10**9), ("1k", 1000), ("4Ki", 4096), ("17", 17), (17, 17)],
)
def test_quantities_are_bytes(value, expected):
    assert quantity(value) == expected


@pytest.mark.parametrize("value", ["", "Mi", "1MB", "-1Mi", "1.5Gi", "1K", "1e3", "256 Mi", True, 1.0, None, -1])
def test_anything_else_is_no_quantity(value):
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(value)


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_the_nearest_name_is_one_of_the_known(name, known):
    assert nearest(name, known) in {*known, None}


def test_case_and_underscores_do_not_make_a_name_another():
    assert nearest("shards_per_pod", ["shards", "shardsPerPod"]) == "shardsPerPod"
