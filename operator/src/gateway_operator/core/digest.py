"""What one report comes to. Every pass looks at thousands of shards, of which hardly any has said anything new."""

from typing import NamedTuple
from weakref import ref

from shardpod.contract import Observed, ShardObserved


class Digest(NamedTuple):
    """Of the shards that a report speaks of: `taken` are not waiting for an older instance to hand them over.

    `guilds`: of those that have any, or are connected and may well have none. `refused`: closed by Discord for good.
    """

    shards: frozenset[int]
    taken: frozenset[int]
    connected: frozenset[int]
    guilds: dict[int, int]
    refused: tuple[ShardObserved, ...]


def digest(observed: Observed) -> Digest:
    """Made once for each report, and remembered while the report is there."""
    known = _made.get(key := id(observed))
    if known is not None and known[0]() is observed:
        return known[1]
    made = _digest(observed)
    _made[key] = ref(observed, lambda _gone: _made.pop(key, None)), made
    return made


_made: dict[int, tuple[ref[Observed], Digest]] = {}
"""By the report's identity: to compare two of them takes longer than to look at one."""


def _digest(observed: Observed) -> Digest:
    states = [(shard.shard_id, shard.state, shard) for shard in observed.shards]
    return Digest(
        shards=frozenset(shard_id for shard_id, _state, _shard in states),
        taken=frozenset(shard_id for shard_id, state, _shard in states if state != "awaiting_transfer"),
        connected=frozenset(shard_id for shard_id, state, _shard in states if state == "connected"),
        guilds={shard_id: shard.guilds for shard_id, state, shard in states if shard.guilds or state == "connected"},
        refused=tuple(shard for _shard_id, state, shard in states if state == "refused"),
    )
