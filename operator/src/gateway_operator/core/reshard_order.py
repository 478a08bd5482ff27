"""What the command `discord-gateway reshard` asks of a running operator, and what it is answered.

Nothing is done here: an order becomes a `ReshardRequest`, which the planner reads in its next pass.
"""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from gateway_operator.model import MAX_SHARDS, Spec
from shardpod.contract import ShardRange

from .reshard_budget import budget_shortage, refusal, shortage, spent
from .reshard_cost import cost
from .reshard_step import why_paused
from .reshard_target import HELD_BACK, Target, wanted, why_held_back
from .reshard_window import why_outside_window
from .spoken import spoken_duration
from .world import ReshardPhase, ReshardRequest, World


class ReshardOrder(BaseModel):
    """One of `to`, `abort` and `pause`. `wait`: what only the time stands in the way of is taken as well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: int | None = Field(default=None, ge=1, le=MAX_SHARDS)
    wait: bool = False
    abort: bool = False
    pause: bool | None = None


class ReshardAnswer(BaseModel):
    """What was done, or the `problems` because of which nothing was."""

    message: str = ""
    problems: tuple[str, ...] = ()


class ReshardPreview(BaseModel):
    """What a reshard would do and cost; `to` is None where none is wanted, and `message` says why.

    Times are in seconds. `why_not_now`: why it would wait or, if `refused`, why the command would not take it; `never`:
    nor would it with --wait. `identifies` left out what is kept back.
    """

    shards: int
    to: int | None = None
    message: str
    why_not_now: str | None = None
    refused: bool = False
    never: bool = False
    ranges: tuple[ShardRange, ...] = ()
    identifies: int = 0
    identifies_left: int | None = None
    identifies_kept: int = 0
    max_concurrency: int = 1
    identifying: float = 0.0
    watching: float = 0.0
    settling: float = 0.0
    draining: float = 0.0
    seconds: float = 0.0


def take_order(order: ReshardOrder, spec: Spec, world: World) -> tuple[ReshardRequest | None, ReshardAnswer]:
    """The request to be stored, or None where the answer has problems."""
    if order.abort:
        return _abort(spec, world)
    if order.pause is not None:
        message = _paused(spec, world, paused=order.pause)
        return replace(world.request, paused=order.pause), ReshardAnswer(message=message)
    if order.to is None:
        return None, ReshardAnswer(problems=("the request says nothing to do",))
    if (refused := refusal(spec, world, order.to, waits=order.wait)) is not None:
        return None, ReshardAnswer(problems=(refused,))
    request = replace(world.request, to=order.to, manifest_shards=spec.shards, abort=False)
    return request, ReshardAnswer(message=_accepted(spec, world, order.to))


def preview(spec: Spec, world: World, to: int | None) -> ReshardPreview:
    """Of a reshard to `to` shards, or to the number that the manifest and the guilds ask for."""
    active = world.active
    if active is None:
        return ReshardPreview(shards=0, message="no shard runs yet: ask again when Discord has answered")
    if to is None and world.reshard is not None:
        to_come = world.reshard.pending.shard_count
        message = (
            f"a reshard from {active.shard_count:,} to {to_come:,} shards is under way: see `discord-gateway status`"
        )
        return ReshardPreview(shards=active.shard_count, message=message)
    target = wanted(spec, world) if to is None else None
    if to is None and target is None:
        message = why_held_back(spec, world) or f"{active.shard_count:,} shards are as many as there should be"
        return ReshardPreview(shards=active.shard_count, message=message)
    shard_count = to if target is None or to is not None else target.shard_count
    assert shard_count is not None, "either is given"
    priced, ledger = cost(spec, world, shard_count), world.ledger
    refused = refusal(spec, world, shard_count) if target is None else None
    return ReshardPreview(
        shards=active.shard_count,
        to=shard_count,
        message="as asked" if target is None else target.reason,
        why_not_now=refused or _why_not_now(spec, world, shard_count, target),
        refused=refused is not None,
        never=refused is not None and refusal(spec, world, shard_count, waits=True) is not None,
        ranges=priced.ranges,
        identifies=priced.identifies,
        identifies_left=ledger.remaining if ledger is not None and ledger.known else None,
        identifies_kept=ledger.reserve if ledger is not None else 0,
        max_concurrency=ledger.max_concurrency if ledger is not None else 1,
        identifying=priced.identifying,
        watching=priced.watching,
        settling=priced.settling,
        draining=priced.draining,
        seconds=priced.seconds,
    )


def _why_not_now(spec: Spec, world: World, shard_count: int, target: Target | None) -> str | None:
    if (paused := why_paused(spec, world.request)) is not None:
        return paused
    if target is None:
        return None
    outside = None if target.manual else why_outside_window(spec, world.wall_now)
    return outside or shortage(world, shard_count)


def _abort(spec: Spec, world: World) -> tuple[ReshardRequest | None, ReshardAnswer]:
    reshard = world.reshard
    if reshard is None:
        return None, ReshardAnswer(problems=("no reshard is under way",))
    if reshard.phase is ReshardPhase.DRAINING:
        problem = (
            f"all is handed over to the {reshard.pending.shard_count:,} new shards, so nothing can be given up any "
            "more: to go back, reshard --to the former number when it is done"
        )
        return None, ReshardAnswer(problems=(problem,))
    message = f"the reshard to {reshard.pending.shard_count:,} shards is being given up"
    if spec.shards == reshard.pending.shard_count:
        message += (
            f"; spec.shards still asks for as many, so it is begun again {spoken_duration(HELD_BACK)} later: "
            "put the former number there to keep it"
        )
    request = replace(world.request, abort=True)
    if reshard.phase is ReshardPhase.ABORTING and (world.active is None or request.to != world.active.shard_count):
        request = replace(request, to=None, manifest_shards=None)  # asked for since: that is given up as well
    # Otherwise the number stays for the machine, which has to know whether it stood in for the manifest's.
    return request, ReshardAnswer(message=message)


def _paused(spec: Spec, world: World, *, paused: bool) -> str:
    if not paused:
        held = why_paused(spec, replace(world.request, paused=False))
        return "resumed" if held is None else f"resumed, but held all the same: {held}"
    phase = world.reshard.phase if world.reshard is not None else None
    if phase is None:
        return "paused: no reshard is begun until --resume"
    if phase is ReshardPhase.DRAINING:
        return "paused: all is handed over, so this reshard comes to its end; none is begun until --resume"
    if phase is ReshardPhase.ABORTING:
        return "paused: no reshard is begun until --resume; what is being given back goes on"
    return "paused: what is being handed over is finished, and nothing more is begun until --resume"


def _finished_first(world: World, to: int) -> int | None:
    """The number of a reshard that goes on to its end before the one that is asked for begins."""
    reshard = world.reshard
    if reshard is None or reshard.phase is ReshardPhase.ABORTING or reshard.pending.shard_count == to:
        return None
    return reshard.pending.shard_count if reshard.handed or reshard.fenced is not None else None


def _accepted(spec: Spec, world: World, to: int) -> str:
    active = world.active
    assert active is not None, "refused before"
    words = f"resharding from {active.shard_count:,} to {to:,} shards"
    if (first := _finished_first(world, to)) is not None:
        words = f"resharding to {first:,} shards is finished first, and then back to {to:,}"
    later = world.reshard is None and budget_shortage(world.ledger, to, wall_now=world.wall_now)
    if later:
        words += f", later: {later}"
    if world.reshard is not None and world.reshard.pending.shard_count != to:
        words += spent(world.reshard)
    if spec.stands_still:
        return f"{words}; held: {why_paused(spec, world.request)}"
    return f"{words}; paused: --resume lets it go on" if world.request.paused else words
