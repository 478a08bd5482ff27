"""Says how a gateway is doing, in the words of people: computed last, from what the pass has seen and decided.

Every pass makes a summary. The rows, one a shard and one an instance, are made when somebody asks for them: thousands
of shards take longer than all the rest of a pass.
"""

import math
from datetime import UTC, datetime, timedelta

from gateway_operator.model import DiscordGateway

from .conditions import Standing, conditions
from .identify_ledger import LedgerView
from .pod_rows import pod_rows
from .reshard_status import reshard_status
from .reshard_target import why_given_up, why_held_back
from .shard_rows import shard_rows
from .shard_tally import Tally, tally
from .standstill import standstill
from .status_model import (
    GatewayStatus,
    Phase,
    RangeStatus,
    RolloutStatus,
    SessionStartLimitStatus,
    ShardSetStatus,
)
from .troubles import troubles
from .world import Plan, ShardSet, World


def status(
    gateway: DiscordGateway, world: World, plan: Plan, ledger: LedgerView, now: float, *, wall_now: datetime
) -> GatewayStatus:
    """The summary. `now` is on the operator's monotonic clock in seconds, `wall_now` the same moment's date."""
    rollout = _rollout(world, plan)
    pending = plan.reshard.pending if plan.reshard is not None else None
    of_active, of_pending = tally(plan, world, plan.active), tally(plan, world, pending)
    resets = _date(ledger.reset_at, now, wall_now)
    reshard = reshard_status(gateway, world, plan, connected=of_pending.connected)
    standing = Standing(
        wanted=of_active.wanted,
        ready=of_active.connected,
        plan=plan,
        rollout=rollout,
        ledger=ledger,
        now=now,
        resets=resets,
        troubles=troubles(gateway, world, plan),
        reshard=reshard,
        held_back=why_held_back(gateway.spec, world) if reshard is None else None,
        given_up=why_given_up(world),
        ending=_ending(world, plan),
        standstill=standstill(gateway.spec, world, plan),
    )
    return GatewayStatus(
        name=gateway.metadata.name,
        phase=_phase(standing),
        conditions=conditions(standing),
        shards=plan.active.shard_count if plan.active else 0,
        ready_shards=of_active.connected,
        guilds=of_active.guilds,
        active=_shard_set(plan.active, of_active),
        pending=_shard_set(pending, of_pending),
        reshard=reshard,
        session_start_limit=_session_start_limit(ledger, resets),
        recommended_shards=world.info.recommended_shards if world.info else None,
        rollout=rollout,
        dead_letters=_dead_letters(world, plan),
    )


def with_rows(summary: GatewayStatus, gateway: DiscordGateway, world: World, plan: Plan) -> GatewayStatus:
    """The whole status: with a row for each shard, and one for each instance. World and plan are the summary's."""
    rows = tuple(shard_rows(plan, world, gateway.spec.intents_value))
    return summary.model_copy(update={"shard_rows": rows, "pods": tuple(pod_rows(plan.instances, world.instances))})


def _dead_letters(world: World, plan: Plan) -> int:
    there = (world.instances.get(one.spec.name) for one in plan.instances)
    return sum(one.observed.dead_letters for one in there if one is not None and one.observed is not None)


def _rollout(world: World, plan: Plan) -> RolloutStatus:
    """Of the active set: the pending one's pods are made anew, and those of a former one end."""
    epoch = plan.active.epoch if plan.active is not None else None
    mine = [one for one in plan.instances if one.spec.pod.epoch == epoch]
    removed = [one for one in _removed(world, plan) if one == epoch]
    return RolloutStatus(
        restarts=world.restarts,
        pods=sum(pod.epoch == epoch for pod in plan.pods),
        replaced=sum(one.chosen and one.up_to_date and one.settled for one in mine),
        leaving=sum(not one.chosen for one in mine) + len(removed),
    )


def _ending(world: World, plan: Plan) -> int:
    """Instances of sets that are neither active nor pending."""
    pending = plan.reshard.pending if plan.reshard is not None else None
    live = {one.epoch for one in (plan.active, pending) if one is not None}
    there = [*(one.spec.pod.epoch for one in plan.instances), *_removed(world, plan)]
    return sum(epoch not in live for epoch in there)


def _removed(world: World, plan: Plan) -> list[int]:
    """The epochs of the instances that hold nothing any more."""
    return [world.instances[name].spec.pod.epoch for name in plan.remove if name in world.instances]


def _phase(standing: Standing) -> Phase:
    if standing.plan.suspended:
        return Phase.SUSPENDED
    if standing.refused and not standing.ready:
        return Phase.FAILED
    if not standing.wanted:
        return Phase.PENDING
    if standing.troubles:
        return Phase.DEGRADED
    return Phase.RUNNING if standing.complete else Phase.CONNECTING


def _shard_set(shard_set: ShardSet | None, counted: Tally) -> ShardSetStatus | None:
    if shard_set is None:
        return None
    return ShardSetStatus(
        epoch=shard_set.epoch,
        shard_count=shard_set.shard_count,
        ranges=tuple(
            RangeStatus(first_shard_id=held.first_shard_id, last_shard_id=held.last_shard_id)
            for held in shard_set.ranges
        ),
        ready=counted.connected,
    )


def _session_start_limit(ledger: LedgerView, resets: datetime | None) -> SessionStartLimitStatus | None:
    if not ledger.known:
        return None
    return SessionStartLimitStatus(
        total=ledger.total, remaining=ledger.remaining, reset_at=resets, max_concurrency=ledger.max_concurrency
    )


def _date(time: float, now: float, wall_now: datetime) -> datetime | None:
    """The date of a time on the monotonic clock, to the second; None if it is not known."""
    if not math.isfinite(time):
        return None
    return (wall_now + timedelta(seconds=time - now)).astimezone(UTC).replace(microsecond=0)
