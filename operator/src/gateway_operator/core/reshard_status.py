"""Says how a reshard stands: how far it is, what it waits for, and when it will be done."""

from datetime import UTC, datetime

from gateway_operator.model import DiscordGateway

from .reshard_cost import ranges_handed, time_left
from .reshard_step import why_paused
from .spoken import spoken_duration
from .status_model import RangeStatus, ReshardStatus
from .troubles import pending_troubles
from .world import Plan, Reshard, ReshardPhase, ShardSet, World

_HELD_BY_A_PAUSE = (ReshardPhase.PREPARING, ReshardPhase.STARTING, ReshardPhase.WARMING, ReshardPhase.HANDING_OVER)
"""Nobody knows when those are done while a person holds them."""


def reshard_status(gateway: DiscordGateway, world: World, plan: Plan, *, connected: int) -> ReshardStatus | None:
    """None while none runs or waits. `connected` counts the pending set's shards."""
    reshard, active = plan.reshard, plan.active
    if reshard is None or active is None:
        return None
    wrong = [trouble.message for trouble in pending_troubles(gateway, world, plan)]
    paused = why_paused(gateway.spec, plan.request) is not None
    held = plan.suspended or (paused and reshard.phase in _HELD_BY_A_PAUSE)
    left = None if held else time_left(gateway.spec, world, reshard, connected=connected)
    eta = None if left is None else reshard.progressed_at + left
    handed = ranges_handed(reshard)
    progress = _how_far(reshard, len(handed), connected)
    # What is said by how far it is needs no repeating.
    waiting = "; ".join(one for one in (plan.waiting_for, *wrong) if one and one != progress) or None
    return ReshardStatus(
        phase=reshard.phase,
        reason=reshard.reason,
        from_=active.shard_count,
        to=reshard.pending.shard_count,
        ranges=len(reshard.pending.ranges),
        handed_ranges=tuple(
            RangeStatus(first_shard_id=cut.first_shard_id, last_shard_id=cut.last_shard_id) for cut in handed
        ),
        started_at=_date(reshard.started_at),
        # One that is past was wrong, and says nothing any more.
        eta=_date(eta) if eta is not None and eta > world.wall_now else None,
        progress=progress,
        message=_message(
            reshard, active, progress, waiting=waiting, left=None if eta is None else eta - world.wall_now
        ),
        waiting_for=waiting,
        paused=paused,
    )


def _message(reshard: Reshard, active: ShardSet, progress: str, *, waiting: str | None, left: float | None) -> str:
    parts = [f"from {active.shard_count:,} to {reshard.pending.shard_count:,} shards: {progress}"]
    if reshard.aborted_because:
        parts.append(f"given up: {reshard.aborted_because}")
    if waiting:
        parts.append(f"waiting: {waiting}")
    if left is not None and left > 0:
        parts.append(f"done in about {spoken_duration(left)}")
    return ", ".join(parts)


def _how_far(reshard: Reshard, handed: int, connected: int) -> str:
    total = len(reshard.pending.ranges)
    ranges = "1 range" if total == 1 else f"{total:,} ranges"
    match reshard.phase:
        case ReshardPhase.PREPARING:
            return "not begun yet"
        case ReshardPhase.STARTING:
            return f"{connected:,} of {reshard.pending.shard_count:,} new shards are connected"
        case ReshardPhase.WARMING:
            return "all new shards are connected, and both sets watch what comes in"
        case ReshardPhase.HANDING_OVER:
            return f"{handed:,} of {ranges} handed over"
        case ReshardPhase.DRAINING:
            return "all is handed over"
        case ReshardPhase.ABORTING:
            return f"{handed:,} of {ranges} still to be given back"


def _date(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC).replace(microsecond=0)
