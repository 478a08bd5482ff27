"""Counts the shards of a set without a row for each: what every pass asks of thousands of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from .digest import digest
from .shard_rows import holders, speaking
from .world import InstanceSeen, Plan, ShardSet, World


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one shard set: shards that are `wanted`, those of them that are `connected`, and their guilds."""

    wanted: int = 0
    connected: int = 0
    guilds: int = 0


def tally(plan: Plan, world: World, shard_set: ShardSet | None) -> Tally:
    """The same numbers as the rows of the set's shards would give."""
    if shard_set is None:
        return Tally()
    wanted = {shard_id for pod in plan.pods if pod.epoch == shard_set.epoch for shard_id in pod.shards}
    speakers = [one for one in speaking(plan, world) if one.spec.pod.epoch == shard_set.epoch]
    connected, guilds, doubtful = _undisputed(speakers, wanted)
    for (_epoch, shard_id), (_seen, shard) in holders(doubtful).items():
        if shard_id in wanted:
            connected += shard.state == "connected"
            guilds += shard.guilds
    return Tally(len(wanted), connected, guilds)


def _undisputed(speakers: Iterable[InstanceSeen], wanted: set[int]) -> tuple[int, int, list[InstanceSeen]]:
    """What those add up to who alone speak of their shards; and the others, of whom each shard has to be looked at."""
    digests = [(one, digest(one.observed)) for one in speakers if one.observed is not None]
    spoken_of: set[int] = set()
    disputed: set[int] = set()
    for _one, told in digests:
        disputed |= spoken_of & told.shards
        spoken_of |= told.shards
    connected, guilds, doubtful = 0, 0, []
    for one, told in digests:
        if told.shards <= wanted and disputed.isdisjoint(told.shards):
            connected += len(told.connected)
            guilds += sum(told.guilds.values())
        else:
            doubtful.append(one)
    return connected, guilds, doubtful
