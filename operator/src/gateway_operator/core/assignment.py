"""Writes the instances' assignments out of the resource and the world."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway_operator.model import Delivery, DiscordGateway, Spec
from shardpod.contract import (
    Assignment,
    Checkpoint,
    DeliverySettings,
    DiscordSettings,
    HttpSinkSettings,
    Ownership,
    Peer,
)

from .holding import held
from .world import InstanceSeen, PlannedInstance, ShardSet, World

Assignments = Mapping[str, Assignment]


def assignments(gateway: DiscordGateway, active: ShardSet, run: Sequence[PlannedInstance], world: World) -> Assignments:
    """What each instance has to do, by name; none while no gateway URL is known, neither Discord's nor the manifest's.

    Instances of another epoch than the active one are told nothing: their sessions are not this shard set's.
    """
    gateway_url = gateway.spec.discord.gateway_url or (world.info.url if world.info else None)
    if gateway_url is None:
        return {}
    there = [world.instances[one.spec.name] for one in run if one.spec.name in world.instances]
    settings = gateway.spec.sharding, _discord(gateway.spec, gateway_url), _delivery(gateway.spec.delivery)
    return {
        one.spec.name: Assignment(
            term=0,
            n=0,
            gateway=gateway.metadata.name,
            pod=one.spec.pod.name,
            instance=one.spec.name,
            epoch=active.epoch,
            shard_count=active.shard_count,
            range=one.spec.pod.range,
            role=one.role,
            ownership=Ownership(active_epoch=active.epoch, active_shard_count=active.shard_count),
            checkpoints=_checkpoints(one, active, world),
            peers=tuple(_peers(one, there)),
            shards_per_worker=settings[0].shards_per_worker,
            max_workers=settings[0].max_workers,
            discord=settings[1],
            delivery=settings[2],
        )
        for one in run
        if one.spec.pod.epoch == active.epoch
    }


def _peers(planned: PlannedInstance, there: Iterable[InstanceSeen]) -> Iterator[Peer]:
    """Those older ones from whom shards of this range are to come; one without an address is waited for."""
    if planned.role != "active":
        return
    mine = planned.spec
    for other in there:
        older = other.spec.number < mine.number and other.spec.overlaps(mine.pod)
        if older and held(other) & set(mine.pod.shards):
            yield Peer(
                pod=other.spec.pod.name,
                instance=other.spec.name,
                address=other.observed.http_address if other.connected and other.observed else None,
                range=other.spec.pod.range,
            )


def _checkpoints(planned: PlannedInstance, active: ShardSet, world: World) -> tuple[Checkpoint, ...]:
    """What shards resume from that nobody else may still hold (architecture, Takeover).

    A connected instance knows the sessions of its shards better than the operator does, but for those that have none
    yet. Sending it its own reports would make every one of them a new assignment.
    """
    if planned.role != "active":
        return ()
    others = [held(one) for name, one in world.instances.items() if name != planned.spec.name]
    known = _under_way(world.instances.get(planned.spec.name))
    return tuple(
        checkpoint
        for shard_id in planned.spec.pod.shards
        if (checkpoint := world.checkpoints.get((shard_id, active.shard_count))) is not None
        and shard_id not in known
        and not any(shard_id in held_elsewhere for held_elsewhere in others)
    )


def _under_way(seen: InstanceSeen | None) -> set[int]:
    """The shards for which a connected instance needs no checkpoint any more."""
    if seen is None or not seen.connected or seen.observed is None:
        return set()
    return {shard.shard_id for shard in seen.observed.shards if shard.state != "awaiting_transfer"}


def _discord(spec: Spec, gateway_url: str) -> DiscordSettings:
    return DiscordSettings(
        gateway_url=gateway_url,
        compression=spec.discord.compression,
        intents=spec.intents_value,
        presence=spec.presence.payload() if spec.presence else None,
    )


def _delivery(delivery: Delivery) -> DeliverySettings:
    http, queue = delivery.sink.http, delivery.queue
    return DeliverySettings(
        http=HttpSinkSettings(
            url=http.url,
            max_batch_events=http.batch.max_events,
            max_in_flight=http.max_in_flight,
            compression=http.compression,
        ),
        ordering=delivery.ordering,
        timeout=delivery.timeout,
        max_queued_events=queue.max_events,
        max_queued_bytes=queue.max_bytes,
        overflow=queue.overflow,
        shed_first=queue.shed_first,
        spool_max_bytes=queue.spool.max_bytes,
        max_attempts=delivery.max_attempts,
        include=delivery.events.include,
        exclude=delivery.events.exclude,
    )
