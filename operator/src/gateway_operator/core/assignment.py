"""Writes one pod's assignment out of the resource and the world."""

from gateway_operator.model import Delivery, DiscordGateway, Spec
from shardpod.contract import (
    Assignment,
    Checkpoint,
    DeliverySettings,
    DiscordSettings,
    HttpSinkSettings,
    Ownership,
)

from .world import PodSeen, PodSpec, ShardSet, World


def assignment(gateway: DiscordGateway, active: ShardSet, pod: PodSpec, world: World) -> Assignment | None:
    """The whole of what `pod` has to do; None while no gateway URL is known, neither Discord's nor the manifest's."""
    gateway_url = gateway.spec.discord.gateway_url or (world.info.url if world.info else None)
    if gateway_url is None:
        return None
    return Assignment(
        term=0,
        n=0,
        gateway=gateway.metadata.name,
        pod=pod.name,
        epoch=pod.epoch,
        shard_count=active.shard_count,
        range=pod.range,
        role="active",
        ownership=Ownership(active_epoch=active.epoch, active_shard_count=active.shard_count),
        checkpoints=_checkpoints(world.pods.get(pod.name), active),
        discord=_discord(gateway.spec, gateway_url),
        delivery=_delivery(gateway.spec.delivery),
    )


def _checkpoints(pod: PodSeen | None, active: ShardSet) -> tuple[Checkpoint, ...]:
    """What a pod that comes back resumes from: what it last reported itself.

    A connected pod knows its sessions better than the operator does. Sending it its own reports would make
    every one of them a new assignment.
    """
    if pod is None or pod.connected or pod.observed is None:
        return ()
    return tuple(
        shard.checkpoint_remote
        for shard in pod.observed.shards
        if shard.checkpoint_remote is not None and shard.checkpoint_remote.shard_count == active.shard_count
    )


def _discord(spec: Spec, gateway_url: str) -> DiscordSettings:
    return DiscordSettings(
        gateway_url=gateway_url,
        compression=spec.discord.compression,
        intents=spec.intents_value,
        presence=spec.presence.payload() if spec.presence else None,
    )


def _delivery(delivery: Delivery) -> DeliverySettings:
    return DeliverySettings(
        http=HttpSinkSettings(url=delivery.sink.http.url, max_batch_events=delivery.sink.http.batch.max_events),
        ordering=delivery.ordering,
        timeout=delivery.timeout,
        max_queued_events=delivery.queue.max_events,
        max_queued_bytes=delivery.queue.max_bytes,
        overflow=delivery.queue.overflow,
        include=delivery.events.include,
        exclude=delivery.events.exclude,
    )
