"""Which shard of either set an event belongs to: by its type and guild, never by the session that received it."""

from math import gcd

from shardpod.protocol import Event

_OF_SHARD_0 = ("USER_UPDATE", "ENTITLEMENT_", "SUBSCRIPTION_")
"""Documented as shard 0's, though an entitlement may name a guild (fact sheet, section 6)."""

_OF_SESSION = frozenset(
    {
        "READY",
        "RESUMED",
        "RATE_LIMITED",
        "GUILD_MEMBERS_CHUNK",  # answers op 8
        "SOUNDBOARD_SOUNDS",  # answers op 31
        "CHANNEL_INFO",  # answers op 43
        "VOICE_SERVER_UPDATE",  # follows op 4, for the session that is in voice
    }
)

_LONGEST_SNOWFLAKE = 20
"""Digits of 64 bits."""


def key_of(event: Event) -> int:
    """The event's shard in a set of n is this key modulo n. 0 without a guild, and for what shard 0 gets anyway."""
    guild_id = event.guild_id
    if guild_id is None or event.type.startswith(_OF_SHARD_0):
        return 0
    if len(guild_id) > _LONGEST_SNOWFLAKE or not guild_id.isdecimal():
        return 0
    return int(guild_id) >> 22


def is_of_session(event_type: str) -> bool:
    """Whether such an event is for the session that received it alone: delivered by it, compared with nothing."""
    return event_type in _OF_SESSION


def concerned(shard_id: int, shard_count: int, first: int, last: int, pending_count: int) -> bool:
    """Whether shard `shard_id` of `shard_count` may receive what belongs to shards first..last of `pending_count`.

    A key that is s modulo N and p modulo M exists just if s and p are the same modulo gcd(N, M). It holds for the
    pending set itself as well, where N is M.
    """
    return (shard_id - first) % gcd(shard_count, pending_count) <= last - first
