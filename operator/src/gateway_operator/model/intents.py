"""Gateway intents by name (Discord docs, Gateway: Gateway Intents), and which of them need leave in the portal."""

import re
from collections.abc import Iterable

from .problems import nearest

INTENTS = {
    "Guilds": 1 << 0,
    "GuildMembers": 1 << 1,
    "GuildModeration": 1 << 2,
    "GuildExpressions": 1 << 3,
    "GuildIntegrations": 1 << 4,
    "GuildWebhooks": 1 << 5,
    "GuildInvites": 1 << 6,
    "GuildVoiceStates": 1 << 7,
    "GuildPresences": 1 << 8,
    "GuildMessages": 1 << 9,
    "GuildMessageReactions": 1 << 10,
    "GuildMessageTyping": 1 << 11,
    "DirectMessages": 1 << 12,
    "DirectMessageReactions": 1 << 13,
    "DirectMessageTyping": 1 << 14,
    "MessageContent": 1 << 15,
    "GuildScheduledEvents": 1 << 16,
    "AutoModerationConfiguration": 1 << 20,
    "AutoModerationExecution": 1 << 21,
    "GuildMessagePolls": 1 << 24,
    "DirectMessagePolls": 1 << 25,
}

# In the order of the Developer Portal's switches, under Bot > Privileged Gateway Intents.
_PRIVILEGED = {
    "Presence Intent": INTENTS["GuildPresences"],
    "Server Members Intent": INTENTS["GuildMembers"],
    "Message Content Intent": INTENTS["MessageContent"],
}

LARGEST_INTENTS_NUMBER = (1 << 53) - 1
"""Whole numbers above it do not survive every JSON reader (RFC 8259, section 6)."""


def _upper_snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


_BY_NAME = INTENTS | {_upper_snake(name): value for name, value in INTENTS.items()}

INTENT_NAME = f"^({'|'.join(_BY_NAME)})$"
"""The names as the resource definition tells them, in both forms."""


class UnknownIntentError(ValueError):
    """No intent has this name; the text names the nearest one."""

    def __init__(self, name: str) -> None:
        meant = nearest(name, INTENTS)
        super().__init__(f'"{name}" is no intent' + (f"; did you mean {meant}?" if meant else ""))


def intent_value(intent: str | int) -> int:
    """The number of one intent, given as `GuildMessages`, `GUILD_MESSAGES` or a number of any bits."""
    if isinstance(intent, int):
        return intent
    try:
        return _BY_NAME[intent]
    except KeyError:
        raise UnknownIntentError(intent) from None


def intents_value(intents: Iterable[str | int]) -> int:
    """All of them or'ed together, as Identify takes it. Raises UnknownIntentError."""
    value = 0
    for intent in intents:
        value |= intent_value(intent)
    return value


def privileged_intents(value: int) -> tuple[str, ...]:
    """The privileged intents that `value` contains, named as in Discord's Developer Portal."""
    return tuple(name for name, bit in _PRIVILEGED.items() if value & bit)
