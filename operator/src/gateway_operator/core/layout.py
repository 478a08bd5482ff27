"""How a shard set is cut into pods: ranges by the manifest, and the names that are made of them."""

from gateway_operator.model import Spec
from shardpod.contract import ShardRange

from .ranges import cut_into_ranges
from .world import PodSpec, ShardSet


def wanted_ranges(spec: Spec, shard_count: int) -> tuple[ShardRange, ...]:
    """The layout that the manifest asks for."""
    first, last = spec.sharding.first_shard_id, spec.sharding.last_shard_id
    return cut_into_ranges(
        first_shard_id=0 if first is None else first,
        last_shard_id=shard_count - 1 if last is None else last,
        shards_per_pod=spec.sharding.shards_per_pod,
    )


def pods_of(gateway: str, shard_set: ShardSet) -> tuple[PodSpec, ...]:
    """A pod for each range."""
    return tuple(
        PodSpec(name=pod_name(gateway, shard_set.epoch, cut), epoch=shard_set.epoch, range=cut)
        for cut in shard_set.ranges
    )


def pod_name(gateway: str, epoch: int, cut: ShardRange) -> str:
    """`mybot-e1-0-15`: what a pod holds is its name, so a pod with another range is another pod."""
    return f"{gateway}-e{epoch}-{cut.first_shard_id}-{cut.last_shard_id}"
