"""Decides what should run: the heart of the operator, pure and repeated in every pass.

The number of shards of a set never changes: another number is another set, which takes over by a reshard. A set's
layout and settings change by replacing instances, one after the other, without an identify. Identifying is not planned
here; pods ask the identify ledger.
"""

from dataclasses import replace

from gateway_operator.model import DiscordGateway, Spec

from .assignment import assignments
from .holding import held
from .layout import pods_of, wanted_ranges
from .reshard_concern import parties
from .reshard_machine import advance
from .reshard_step import Step
from .reshard_target import by_command
from .revision import revision
from .rollout import Rollout, roll_out
from .suspension import all_ending, to_stop
from .world import Plan, PodSpec, ShardSet, World

FIRST_EPOCH = 1


def plan(gateway: DiscordGateway, world: World, now: float) -> Plan:
    """What should run, given what is seen. Without an active set and without Discord's answer: nothing yet.

    `now` is on the operator's monotonic clock in seconds.
    """
    active = _active_set(gateway.spec, world)
    if active is None:
        return Plan(
            active=None,
            last_number=world.last_number,
            last_epoch=world.last_epoch,
            last_handover=world.last_handover,
            request=world.request,
            aborted=world.aborted,
            suspended=gateway.spec.suspend,
            stop=to_stop(world.instances, {}) if gateway.spec.suspend else (),
        )
    if world.reshard is not None and world.reshard.pending.epoch <= active.epoch:
        # It has ended, and that could not be stored any more; or no session was left of either set.
        world = replace(world, reshard=None)
    step = advance(gateway.spec, world, active, now)
    pods = _pods(gateway.metadata.name, step)
    return _plan(gateway, world, step, pods, _rollout(gateway.spec, world, step, pods))


def _rollout(spec: Spec, world: World, step: Step, pods: tuple[PodSpec, ...]) -> Rollout:
    if _suspended(spec, step):
        return all_ending(world.instances, last_number=world.last_number)
    return roll_out(
        pods,
        world.instances,
        revision=revision(spec, secrets_digest=world.secrets_digest, restarts=world.restarts),
        last_number=world.last_number,
        hold=step.reshard is not None and step.reshard.fenced is not None,
        paused=spec.stands_still,
    )


def _suspended(spec: Spec, step: Step) -> bool:
    """Not while a range is on its way: that arrives first, or comes back."""
    return spec.suspend and (step.reshard is None or step.reshard.fenced is None)


def _plan(gateway: DiscordGateway, world: World, step: Step, pods: tuple[PodSpec, ...], rollout: Rollout) -> Plan:
    told = (*rollout.run, *rollout.remove)
    givers, takers = parties(step.active, step.reshard, (one.spec for one in told))
    assigned = assignments(gateway, step.active, step.reshard, told, world, there=rollout.there)
    suspended = _suspended(gateway.spec, step)
    return Plan(
        active=step.active,
        pods=pods,
        instances=rollout.run,
        remove=tuple(one.spec.name for one in rollout.remove),
        assignments=assigned,
        last_number=rollout.last_number,
        last_epoch=step.last_epoch,
        last_handover=step.last_handover,
        reshard=step.reshard,
        request=step.request,
        aborted=step.aborted,
        waiting_for=step.waiting_for,
        givers=givers,
        takers=takers,
        suspended=suspended,
        stop=to_stop(world.instances, assigned) if suspended else (),
    )


def _pods(gateway: str, step: Step) -> tuple[PodSpec, ...]:
    pending = step.reshard.pending if step.reshard is not None and step.reshard.live else None
    return (*pods_of(gateway, step.active), *(pods_of(gateway, pending) if pending is not None else ()))


def _active_set(spec: Spec, world: World) -> ShardSet | None:
    """The set that is remembered, in the manifest's layout; another one only where no session is left to keep."""
    remembered = world.active
    if spec.stands_still and (remembered is not None or spec.suspend):
        return remembered
    if remembered is None:
        return _new_set(spec, world, max(FIRST_EPOCH, world.last_epoch + 1))
    if not world.request.paused and not _any_session_left(world, remembered):
        fresh = _new_set(spec, world, max(remembered.epoch, world.last_epoch) + 1)
        if fresh is not None and fresh.shard_count != remembered.shard_count:
            return fresh
    if world.reshard is not None and world.reshard.fenced is not None:
        return remembered
    if spec.is_a_part and spec.shards not in (None, remembered.shard_count):
        return remembered  # the part that is asked for is one of another set
    return replace(remembered, ranges=wanted_ranges(spec, remembered.shard_count))


def _any_session_left(world: World, remembered: ShardSet) -> bool:
    """In an instance, or with the operator: pods that are all gone for a moment resume by its checkpoints."""
    kept = any(shard_count == remembered.shard_count for _shard, shard_count in world.checkpoints)
    return kept or any(held(one) for one in world.instances.values())


def _new_set(spec: Spec, world: World, epoch: int) -> ShardSet | None:
    if world.info is None:
        return None
    commanded = by_command(spec, world.request)
    shard_count = commanded or spec.shards or world.info.recommended_shards
    return ShardSet(epoch=epoch, shard_count=shard_count, ranges=wanted_ranges(spec, shard_count))
