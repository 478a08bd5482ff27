"""Decides what should run: the heart of the operator, pure and repeated in every pass.

It never restarts what runs: once a shard set is active its count and layout stay, and what the manifest asks for
beyond that is reported as not done. Identifying is not planned here; pods ask the identify ledger.
"""

from gateway_operator.model import DiscordGateway, Spec
from shardpod.contract import ShardRange

from .assignment import assignment
from .ranges import cut_into_ranges
from .world import GatewayInfo, NotDone, Plan, PodSpec, ShardSet, World

FIRST_EPOCH = 1


def plan(gateway: DiscordGateway, world: World, now: float) -> Plan:
    """What should run, given what is seen. Without an active set and without Discord's answer: nothing yet.

    `now` is on the operator's monotonic clock in seconds; nothing depends on it before resharding does.
    """
    del now
    active = world.active or _first_set(gateway.spec, world.info)
    if active is None:
        return Plan(active=None, pods=(), remove=_running_but(set(), world), assignments={})
    pods = tuple(
        PodSpec(name=pod_name(gateway.metadata.name, active.epoch, cut), epoch=active.epoch, range=cut)
        for cut in active.ranges
    )
    return Plan(
        active=active,
        pods=pods,
        remove=_running_but({pod.name for pod in pods}, world),
        assignments={pod.name: made for pod in pods if (made := assignment(gateway, active, pod, world)) is not None},
        not_done=_not_done(gateway.spec, active),
    )


def pod_name(gateway: str, epoch: int, held: ShardRange) -> str:
    """`mybot-e1-0-15`: what a pod holds is its name, so a pod with another range is another pod."""
    return f"{gateway}-e{epoch}-{held.first_shard_id}-{held.last_shard_id}"


def _first_set(spec: Spec, info: GatewayInfo | None) -> ShardSet | None:
    if info is None:
        return None
    shard_count = spec.shards or info.recommended_shards
    return ShardSet(epoch=FIRST_EPOCH, shard_count=shard_count, ranges=_wanted_ranges(spec, shard_count))


def _wanted_ranges(spec: Spec, shard_count: int) -> tuple[ShardRange, ...]:
    first, last = spec.sharding.first_shard_id, spec.sharding.last_shard_id
    return cut_into_ranges(
        first_shard_id=0 if first is None else first,
        last_shard_id=shard_count - 1 if last is None else last,
        shards_per_pod=spec.sharding.shards_per_pod,
    )


def _running_but(wanted: set[str], world: World) -> tuple[str, ...]:
    return tuple(sorted(name for name, pod in world.pods.items() if pod.running and name not in wanted))


def _not_done(spec: Spec, active: ShardSet) -> tuple[NotDone, ...]:
    if spec.shards is not None and spec.shards != active.shard_count:
        return (
            NotDone(
                reason="ReshardNotSupported",
                message=f"{active.shard_count} shards are running and spec.shards asks for {spec.shards}: resharding "
                "is not supported yet, so nothing was changed",
            ),
        )
    if _wanted_ranges(spec, active.shard_count) != active.ranges:
        return (
            NotDone(
                reason="RecutNotSupported",
                message="spec.sharding asks for other shards or for another number of them in a pod: moving shards "
                "between running pods is not supported yet, so nothing was changed",
            ),
        )
    return ()
