"""Decides what should run: the heart of the operator, pure and repeated in every pass.

The number of shards of a running set stays; its layout and its settings change by replacing instances, one after the
other, without an identify. Identifying is not planned here; pods ask the identify ledger.
"""

from gateway_operator.model import DiscordGateway, Spec
from shardpod.contract import ShardRange

from .assignment import assignments
from .holding import held
from .ranges import cut_into_ranges
from .revision import revision
from .rollout import roll_out
from .world import GatewayInfo, NotDone, Plan, PodSpec, ShardSet, World

FIRST_EPOCH = 1


def plan(gateway: DiscordGateway, world: World, now: float) -> Plan:
    """What should run, given what is seen. Without an active set and without Discord's answer: nothing yet.

    `now` is on the operator's monotonic clock in seconds; nothing depends on it before resharding does.
    """
    del now
    active = _active_set(gateway.spec, world)
    if active is None:
        return Plan(active=None, last_number=world.last_number)
    pods = tuple(
        PodSpec(name=pod_name(gateway.metadata.name, active.epoch, cut), epoch=active.epoch, range=cut)
        for cut in active.ranges
    )
    rollout = roll_out(
        pods,
        world.instances,
        revision=revision(gateway.spec, secrets_digest=world.secrets_digest, restarts=world.restarts),
        last_number=world.last_number,
    )
    return Plan(
        active=active,
        pods=pods,
        instances=rollout.run,
        remove=tuple(one.spec.name for one in rollout.remove),
        assignments=assignments(gateway, active, (*rollout.run, *rollout.remove), world),
        not_done=_not_done(gateway.spec, active),
        last_number=rollout.last_number,
    )


def pod_name(gateway: str, epoch: int, cut: ShardRange) -> str:
    """`mybot-e1-0-15`: what a pod holds is its name, so a pod with another range is another pod."""
    return f"{gateway}-e{epoch}-{cut.first_shard_id}-{cut.last_shard_id}"


def _active_set(spec: Spec, world: World) -> ShardSet | None:
    """The set that is remembered, in the manifest's layout; another one only where no session is left to keep."""
    remembered = world.active
    if remembered is None:
        return _new_set(spec, world.info, FIRST_EPOCH)
    if not any(held(one) for one in world.instances.values()):
        fresh = _new_set(spec, world.info, remembered.epoch + 1)
        if fresh is not None and fresh.shard_count != remembered.shard_count:
            return fresh
    if spec.shards not in (None, remembered.shard_count):
        return remembered
    ranges = _wanted_ranges(spec, remembered.shard_count)
    return ShardSet(epoch=remembered.epoch, shard_count=remembered.shard_count, ranges=ranges)


def _new_set(spec: Spec, info: GatewayInfo | None, epoch: int) -> ShardSet | None:
    if info is None:
        return None
    shard_count = spec.shards or info.recommended_shards
    return ShardSet(epoch=epoch, shard_count=shard_count, ranges=_wanted_ranges(spec, shard_count))


def _wanted_ranges(spec: Spec, shard_count: int) -> tuple[ShardRange, ...]:
    first, last = spec.sharding.first_shard_id, spec.sharding.last_shard_id
    return cut_into_ranges(
        first_shard_id=0 if first is None else first,
        last_shard_id=shard_count - 1 if last is None else last,
        shards_per_pod=spec.sharding.shards_per_pod,
    )


def _not_done(spec: Spec, active: ShardSet) -> tuple[NotDone, ...]:
    if spec.shards in (None, active.shard_count):
        return ()
    return (
        NotDone(
            reason="ReshardNotSupported",
            message=f"{active.shard_count} shards are running and spec.shards asks for {spec.shards}: resharding "
            f"is not supported yet, so nothing was changed. To begin anew with {spec.shards}, stop it and run "
            "`discord-gateway up --fresh`, which forgets the sessions and all events not yet delivered",
        ),
    )
