"""Between the last handover and the end of the old shard set: the bot's voice connections.

Each dies with the gateway session that made it. So the new sessions make them anew (`rejoin`), or the reshard waits
until the bot is in no voice channel any more (`wait`); `spec.reshard.voice` says which.
"""

from collections.abc import Iterator

from gateway_operator.model import Spec
from shardpod.contract import Observed

from .spoken import spoken_duration
from .world import InstanceSeen, Reshard, ReshardPhase, World

REJOIN_AT_MOST = 300.0
"""Seconds after the last handover for which the old sessions are kept because voice is still to be brought over."""


def all_handed(reshard: Reshard) -> bool:
    """Whether nothing is left to hand over."""
    handed = {shard for cut in reshard.handed for shard in range(cut.first_shard_id, cut.last_shard_id + 1)}
    return all(
        shard in handed for cut in reshard.pending.ranges for shard in range(cut.first_shard_id, cut.last_shard_id + 1)
    )


def rejoins(spec: Spec, reshard: Reshard) -> bool:
    """Whether the pending set is to bring the bot's voice over. It goes on while the old set drains."""
    forward = reshard.phase in (ReshardPhase.HANDING_OVER, ReshardPhase.DRAINING)
    return spec.reshard.voice == "rejoin" and forward and all_handed(reshard)


def announces(spec: Spec, reshard: Reshard) -> bool:
    """Whether the bot is to be told of the new set: once nothing can be given back any more."""
    return spec.reshard.events and reshard.phase is ReshardPhase.DRAINING


def not_announced(spec: Spec, world: World, reshard: Reshard) -> str | None:
    """The instance that is to tell the bot of the new set, while it has not taken up the assignment that says so."""
    if not announces(spec, reshard):
        return None
    tellers = [one for one in _pending(world, reshard) if one[0].spec.pod.range.first_shard_id == 0]
    if any(observed is not None and seen.told == "active" for seen, observed in tellers):
        return None
    return tellers[-1][0].spec.name if tellers else None


def why_voice_waits(spec: Spec, world: World, reshard: Reshard) -> str | None:
    """With all handed over: why the old sessions may not end yet, as far as voice goes; None: they may."""
    if spec.reshard.voice == "wait":
        return _why_wait(world, reshard)
    if world.wall_now >= reshard.progressed_at + REJOIN_AT_MOST:
        return None
    return _why_not_rejoined(world, reshard)


def left_behind(spec: Spec, world: World, reshard: Reshard) -> str | None:
    """What of the bot's voice will end with the old sessions, fit for users; None if nothing is known to."""
    guilds = sum(observed.voice_to_rejoin or 0 for _, observed in _pending(world, reshard) if observed is not None)
    if spec.reshard.voice == "wait" or not guilds:
        return None
    return (
        f"voice in {_guilds(guilds)} was not brought over within {spoken_duration(REJOIN_AT_MOST)}, and ends with them"
    )


def _why_wait(world: World, reshard: Reshard) -> str | None:
    guilds = 0
    for seen, observed in _pending(world, reshard):
        if observed is None or observed.voice is None:
            return f"{seen.spec.name} has not said yet whether the bot is in voice"
        guilds += observed.voice
    if not guilds:
        return None
    return f"the bot is in voice in {_guilds(guilds)}, which would end with the old shards (spec.reshard.voice: wait)"


def _why_not_rejoined(world: World, reshard: Reshard) -> str | None:
    guilds = 0
    for seen, observed in _pending(world, reshard):
        if observed is None or observed.voice_to_rejoin is None:
            return f"{seen.spec.name} has not said yet whether it has voice to bring over"
        guilds += observed.voice_to_rejoin
    return f"voice is being brought over to the new shards, {_guilds(guilds)} to go" if guilds else None


def _pending(world: World, reshard: Reshard) -> Iterator[tuple[InstanceSeen, Observed | None]]:
    """The pending set's instances, with what they say now."""
    for name in sorted(world.instances):
        seen = world.instances[name]
        if seen.spec.pod.epoch == reshard.pending.epoch:
            yield seen, seen.observed if seen.running and seen.connected else None


def _guilds(count: int) -> str:
    return "1 guild" if count == 1 else f"{count:,} guilds"
