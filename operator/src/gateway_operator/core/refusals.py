"""What it means when Discord closes a shard for good, and what a person has to do about it.

Discord docs, Opcodes and Status Codes: Gateway Close Event Codes; those after which reconnecting is wrong.
"""

from typing import NamedTuple

from gateway_operator.model import privileged_intents

DISALLOWED_INTENTS = 4014


class Refusal(NamedTuple):
    """A condition's reason, and a message without a full stop."""

    reason: str
    message: str


_REFUSALS = {
    4004: Refusal(
        "TokenRefused",
        "Discord refused the token (4004). Check that the Secret holds this bot's current token from the Developer "
        "Portal, under Bot",
    ),
    4010: Refusal(
        "InvalidShard",
        "Discord refused the shard's number (4010). A bot in more than 150,000 guilds needs a multiple of the number "
        "that Discord assigned to it: leave spec.shards out to follow Discord",
    ),
    4011: Refusal(
        "ShardingRequired",
        "Discord requires more shards (4011), as one of them would hold more than 2,500 guilds. Raise spec.shards, or "
        "leave it out, so that shards are added as the guilds need them (spec.reshard.auto)",
    ),
    4012: Refusal(
        "ApiVersionRefused",
        "Discord no longer takes v10 of its gateway API (4012). A newer release of this program is needed",
    ),
    4013: Refusal("InvalidIntents", "Discord knows no such intents (4013). Check the numbers in spec.intents"),
}


def explain_refusal(close_code: int | None, intents: int) -> Refusal:
    """Why Discord refused a shard; `intents` is the value that was sent."""
    if close_code == DISALLOWED_INTENTS:
        return Refusal("DisallowedIntents", _disallowed_intents(intents))
    return _REFUSALS.get(
        close_code or 0,
        Refusal("RefusedByDiscord", f"Discord refused the connection ({close_code or 'without a close code'})"),
    )


def _disallowed_intents(intents: int) -> str:
    asked = " and ".join(privileged_intents(intents)) or "a privileged intent"
    return (
        f"Discord refused the intents (4014): spec.intents asks for {asked}, not all of it enabled for this bot. "
        "Enable it in the Developer Portal, under Bot > Privileged Gateway Intents, or take it out of spec.intents"
    )
