"""Which shards an instance may hold: the question on which every transfer and every takeover depends.

In doubt it holds them. A session that two instances resume in turn is worth less than one that waits (architecture,
Takeover); so a shard counts as let go only when its holder said so, or is known to be dead and left no file of it.
"""

from shardpod.contract import ShardObserved

from .digest import digest
from .world import InstanceSeen


def held(seen: InstanceSeen) -> frozenset[int]:
    """The shards of its range whose session, or whose events that wait, may be in this instance."""
    shards = frozenset(seen.spec.pod.shards)
    if not seen.running:
        return seen.scratch & shards
    if seen.observed is None:
        return shards
    reported = {shard.shard_id: shard for shard in seen.observed.shards}
    kept = {shard_id for shard_id, shard in reported.items() if not _let_go(shard, seen)}
    # What a connected instance does not speak of it can only have on disk; one that is away may have begun since.
    silent = seen.scratch if seen.connected else shards
    return shards & (kept | (silent - reported.keys()))


def settled(seen: InstanceSeen) -> bool:
    """Whether an instance has taken over all that was to be taken over."""
    if not seen.running or not seen.connected or seen.observed is None:
        return False
    return digest(seen.observed).taken.issuperset(seen.spec.pod.shards)


def told_shard_count(seen: InstanceSeen) -> int | None:
    """The size of its shard set as an instance said it; None before it was assigned anything."""
    observed = seen.observed
    if observed is None or observed.epoch != seen.spec.pod.epoch or observed.shard_count < 1:
        return None
    return observed.shard_count


def _let_go(shard: ShardObserved, seen: InstanceSeen) -> bool:
    if shard.state == "awaiting_transfer":
        # It waited for its turn to take over and is now leaving itself: there is nothing it could give.
        return seen.connected and seen.told == "draining" and shard.shard_id not in seen.scratch
    return shard.state == "released" and shard.backlog == 0
