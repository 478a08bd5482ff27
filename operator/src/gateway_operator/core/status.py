"""Says how a gateway is doing, in the words of people: computed last, from what the pass has seen and decided."""

import math
from datetime import UTC, datetime, timedelta

from gateway_operator.model import DiscordGateway

from .conditions import Standing, conditions
from .identify_ledger import LedgerView
from .pod_rows import pod_rows
from .shard_rows import shard_rows
from .status_model import (
    GatewayStatus,
    Phase,
    RangeStatus,
    RolloutStatus,
    SessionStartLimitStatus,
    ShardSetStatus,
)
from .troubles import troubles
from .world import Plan, World


def status(
    gateway: DiscordGateway, world: World, plan: Plan, ledger: LedgerView, now: float, *, wall_now: datetime
) -> GatewayStatus:
    """The whole status. `now` is on the operator's monotonic clock in seconds, `wall_now` the same moment's date."""
    rows = tuple(shard_rows(plan, world, gateway.spec.intents_value))
    pods = tuple(pod_rows(plan.instances, world.instances))
    rollout = _rollout(world, plan)
    ready = sum(row.state == "connected" for row in rows)
    resets = _date(ledger.reset_at, now, wall_now)
    found = troubles(gateway, world, plan)
    standing = Standing(
        wanted=len(rows),
        ready=ready,
        plan=plan,
        rollout=rollout,
        ledger=ledger,
        now=now,
        resets=resets,
        troubles=found,
    )
    return GatewayStatus(
        name=gateway.metadata.name,
        phase=_phase(standing),
        conditions=conditions(standing),
        shards=plan.active.shard_count if plan.active else 0,
        ready_shards=ready,
        guilds=sum(row.guilds for row in rows),
        active=_active(plan, ready),
        session_start_limit=_session_start_limit(ledger, resets),
        recommended_shards=world.info.recommended_shards if world.info else None,
        shard_rows=rows,
        pods=pods,
        rollout=rollout,
        dead_letters=sum(pod.dead_letters for pod in pods),
    )


def _rollout(world: World, plan: Plan) -> RolloutStatus:
    return RolloutStatus(
        restarts=world.restarts,
        pods=len(plan.pods),
        replaced=sum(one.chosen and one.up_to_date and one.settled for one in plan.instances),
        leaving=sum(not one.chosen for one in plan.instances) + len(plan.remove),
    )


def _phase(standing: Standing) -> Phase:
    if standing.refused and not standing.ready:
        return Phase.FAILED
    if not standing.wanted:
        return Phase.PENDING
    if standing.troubles:
        return Phase.DEGRADED
    return Phase.RUNNING if standing.complete else Phase.CONNECTING


def _active(plan: Plan, ready: int) -> ShardSetStatus | None:
    if plan.active is None:
        return None
    return ShardSetStatus(
        epoch=plan.active.epoch,
        shard_count=plan.active.shard_count,
        ranges=tuple(
            RangeStatus(first_shard_id=held.first_shard_id, last_shard_id=held.last_shard_id)
            for held in plan.active.ranges
        ),
        ready=ready,
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
