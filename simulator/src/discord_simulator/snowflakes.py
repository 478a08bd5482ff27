"""Discord's ids: 64-bit snowflakes, written as strings in JSON.

Upper 42 bits: milliseconds since Discord's epoch. Lower 22 bits: worker, process, increment.
"""

DISCORD_EPOCH_MS = 1_420_070_400_000  # 2015-01-01, Discord docs, Reference: snowflakes
_LOW_BITS = 22


def snowflake(timestamp_ms: int, low: int) -> int:
    """Give the id made at `timestamp_ms` (Unix milliseconds) with `low` as its lower 22 bits."""
    return (timestamp_ms - DISCORD_EPOCH_MS) << _LOW_BITS | low & (1 << _LOW_BITS) - 1


def shard_of(guild_id: int | None, shard_count: int) -> int:
    """Say which shard gets a guild's events; events without a guild go to shard 0 (Discord docs, Gateway: sharding)."""
    return 0 if guild_id is None else (guild_id >> _LOW_BITS) % shard_count
