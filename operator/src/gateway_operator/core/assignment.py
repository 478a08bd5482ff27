"""Writes the instances' assignments out of the resource and the world."""

from collections.abc import Iterator, Mapping, Sequence

from gateway_operator.model import Delivery, DiscordGateway, Spec
from shardpod.contract import (
    Assignment,
    Checkpoint,
    DeliverySettings,
    DiscordSettings,
    HttpSinkSettings,
    Ownership,
    Peer,
    Windows,
)

from .counterparts import counterparts
from .holding import held, told_shard_count
from .ownership import ownership
from .reshard_concern import parties
from .reshard_ranges import heirs_epoch
from .reshard_voice import announces, rejoins
from .there import There
from .world import InstanceSeen, InstanceSpec, PlannedInstance, Reshard, ShardSet, World

Assignments = Mapping[str, Assignment]


def assignments(
    gateway: DiscordGateway,
    active: ShardSet,
    reshard: Reshard | None,
    run: Sequence[PlannedInstance],
    world: World,
    *,
    there: There,
) -> Assignments:
    """What each instance has to do, by name; none while no gateway URL is known, neither Discord's nor the manifest's.

    Instances of a set that is neither active nor pending are told how to end, if they have said which it was. `there`:
    the world's instances, to be found by their ranges.
    """
    gateway_url = gateway.spec.discord.gateway_url or (world.info.url if world.info else None)
    if gateway_url is None:
        return {}
    live = reshard if reshard is not None and reshard.live else None
    writer = _Writer(gateway.spec, active, live, world, run, there)
    settings = gateway.spec.sharding, _discord(gateway.spec, gateway_url), _delivery(gateway.spec.delivery)
    written = {}
    for one in run:
        shard_count = writer.shard_count(one.spec)
        if shard_count is None:
            continue
        written[one.spec.name] = Assignment(
            term=0,
            n=0,
            gateway=gateway.metadata.name,
            pod=one.spec.pod.name,
            instance=one.spec.name,
            epoch=one.spec.pod.epoch,
            shard_count=shard_count,
            range=one.spec.pod.range,
            role=one.role,
            ownership=writer.ownership(one.spec.pod.epoch, shard_count),
            windows=writer.windows,
            handover=writer.reshard.handover if writer.reshard and one.spec.name in writer.parties else None,
            counterparts=writer.counterparts.get(one.spec.name, ()),
            rejoin_voice=writer.is_pending(one.spec) and writer.rejoins,
            announce=writer.is_pending(one.spec) and writer.announces and one.role == "active",
            inherits=one.spec.pod.epoch == writer.heirs,
            checkpoints=writer.checkpoints(one, shard_count),
            peers=tuple(writer.peers(one)),
            shards_per_worker=settings[0].shards_per_worker,
            max_workers=settings[0].max_workers,
            discord=settings[1],
            delivery=settings[2],
        )
    return written


class _Writer:
    """What the assignments of one pass share."""

    def __init__(
        self,
        spec: Spec,
        active: ShardSet,
        reshard: Reshard | None,
        world: World,
        run: Sequence[PlannedInstance],
        there: There,
    ) -> None:
        self.reshard = reshard
        self.windows = (
            Windows(max_skew=spec.reshard.max_skew, fence_timeout=spec.reshard.fence_timeout)
            if reshard is None
            else reshard.windows
        )
        self.rejoins = reshard is not None and rejoins(spec, reshard)
        self.announces = reshard is not None and announces(spec, reshard)
        self.heirs = heirs_epoch(world, active, reshard) if reshard is not None else None
        self._world = world
        self._active = active
        running = [world.instances[one.spec.name] for one in run if one.spec.name in world.instances]
        self.counterparts = counterparts(active, reshard, running)
        givers, takers = parties(active, reshard, (one.spec for one in run))
        self.parties = givers | takers
        self._there = there
        self._tables: dict[tuple[int, int], Ownership] = {}

    def is_pending(self, spec: InstanceSpec) -> bool:
        return self.reshard is not None and spec.pod.epoch == self.reshard.pending.epoch

    def ownership(self, epoch: int, shard_count: int) -> Ownership:
        """One table for all instances of a set: it names every range that was handed over."""
        if (epoch, shard_count) not in self._tables:
            self._tables[epoch, shard_count] = ownership(epoch, shard_count, self._active, self.reshard)
        return self._tables[epoch, shard_count]

    def shard_count(self, spec: InstanceSpec) -> int | None:
        """Of the set that an instance belongs to; None where that is over, and it has not said what it was."""
        if spec.pod.epoch == self._active.epoch:
            return self._active.shard_count
        if self.reshard is not None and spec.pod.epoch == self.reshard.pending.epoch:
            return self.reshard.pending.shard_count
        seen = self._world.instances.get(spec.name)
        return None if seen is None else told_shard_count(seen)

    def peers(self, planned: PlannedInstance) -> Iterator[Peer]:
        """Those older ones from whom shards of this range are to come; one without an address is waited for."""
        if planned.role != "active":
            return
        mine = planned.spec
        for other in self._there.overlapping(mine.pod):
            if other.spec.number >= mine.number or not held(other) & set(mine.pod.shards):
                continue
            yield Peer(
                pod=other.spec.pod.name,
                instance=other.spec.name,
                address=other.observed.http_address if other.connected and other.observed else None,
                range=other.spec.pod.range,
            )

    def checkpoints(self, planned: PlannedInstance, shard_count: int) -> tuple[Checkpoint, ...]:
        """What shards resume from that nobody else may still hold (architecture, Takeover).

        A connected instance knows the sessions of its shards better than the operator does, but for those that have
        none yet. Sending it its own reports would make every one of them a new assignment.
        """
        if planned.role != "active" or planned.settled:
            return ()
        kept = [shard_id for shard_id in planned.spec.pod.shards if (shard_id, shard_count) in self._world.checkpoints]
        if not kept:
            return ()
        known = _under_way(self._world.instances.get(planned.spec.name))
        others = [one for one in self._there.overlapping(planned.spec.pod) if one.spec.name != planned.spec.name]
        elsewhere = {shard_id for other in others for shard_id in held(other)}
        return tuple(
            self._world.checkpoints[shard_id, shard_count]
            for shard_id in kept
            if shard_id not in known and shard_id not in elsewhere
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
