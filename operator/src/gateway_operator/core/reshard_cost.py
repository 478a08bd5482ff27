"""What a reshard costs and how long it takes, before it begins and while it runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway_operator.model import Spec
from shardpod.contract import ShardRange, Windows

from .identify_ledger import BUCKET_INTERVAL
from .ranges import cut_into_ranges
from .reshard_budget import identifies_needed
from .world import Reshard, ReshardPhase, World


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a reshard to so many shards. Times are in seconds, as long as nothing has to be waited for.

    `identifying`: opening the new sessions; `watching`: until both sets know enough of one another; `settling`: the
    pauses between the ranges; `draining`: how long the old set is kept at the end.
    """

    ranges: tuple[ShardRange, ...]
    identifies: int
    identifying: float
    watching: float
    settling: float
    draining: float

    @property
    def seconds(self) -> float:
        return self.identifying + self.watching + self.settling + self.draining


def cost(spec: Spec, world: World, shard_count: int) -> Cost:
    ranges = cut_into_ranges(
        first_shard_id=0, last_shard_id=shard_count - 1, shards_per_pod=spec.sharding.shards_per_pod
    )
    return Cost(
        ranges=ranges,
        identifies=identifies_needed(shard_count),
        identifying=identify_time(spec, world, shard_count),
        watching=Windows(max_skew=spec.reshard.max_skew, fence_timeout=spec.reshard.fence_timeout).history,
        settling=len(ranges) * spec.reshard.settle,
        draining=spec.reshard.drain_delay,
    )


def time_left(spec: Spec, world: World, reshard: Reshard, *, connected: int) -> float | None:
    """Seconds from its last step forward, if it goes on as planned; None while it has not begun.

    `connected`: so many of the pending set's shards are.
    """
    remaining = len(reshard.pending.ranges) - len(ranges_handed(reshard))
    handing_over = remaining * spec.reshard.settle + spec.reshard.drain_delay
    match reshard.phase:
        case ReshardPhase.PREPARING:
            return None
        case ReshardPhase.STARTING:
            missing = reshard.pending.shard_count - connected
            return identify_time(spec, world, missing) + reshard.windows.history + handing_over
        case ReshardPhase.WARMING:
            return reshard.windows.history + handing_over
        case ReshardPhase.HANDING_OVER:
            return handing_over
        case ReshardPhase.DRAINING:
            return spec.reshard.drain_delay
        case ReshardPhase.ABORTING:
            return len(ranges_handed(reshard)) * spec.reshard.settle


def ranges_handed(reshard: Reshard) -> Sequence[ShardRange]:
    """Those of the pending set's ranges that it delivers already."""
    shards = {shard_id for cut in reshard.handed for shard_id in range(cut.first_shard_id, cut.last_shard_id + 1)}
    return [
        cut for cut in reshard.pending.ranges if shards.issuperset(range(cut.first_shard_id, cut.last_shard_id + 1))
    ]


def identify_time(spec: Spec, world: World, shards: int) -> float:
    """Seconds until so many shards have identified (Discord docs, Gateway: Sharding, max_concurrency)."""
    allowed = world.ledger.max_concurrency if world.ledger else 1
    return max(math.ceil(shards / max(1, allowed)) * BUCKET_INTERVAL, shards * spec.sharding.spawn_shard_delay)
