"""Whether a reshard may begin: what Discord would refuse, and what the identify budget cannot carry.

A reshard that runs out of identifies half-way would leave its sessions unused, and the running ones without a reserve.
"""

import math
from datetime import UTC, datetime, timedelta

from gateway_operator.model import Spec

from .identify_ledger import LedgerView
from .reshard_target import GUILDS_ALLOWED, LARGE_BOT, automatic_target, measured
from .spoken import spoken_duration
from .world import Reshard, ShardSet, World

RESTARTS_PART, RESTARTS_LEAST = 0.2, 5
"""Identifies kept for shards that have to identify again meanwhile: a part of the new set's, and never fewer than."""


def shortage(world: World, shard_count: int) -> str | None:
    """Why a reshard to so many shards cannot begin now, fit for users. For one that has opened no session yet."""
    return unfit(world, shard_count) or budget_shortage(world.ledger, shard_count, wall_now=world.wall_now)


def refusal(spec: Spec, world: World, shard_count: int, *, waits: bool = False) -> str | None:
    """Why the command does not take this number, fit for users. `waits`: what time alone can mend is no reason."""
    if world.active is None:
        return "no shard runs yet: ask again when Discord has said how many there should be"
    never = _never(spec, world, world.active, shard_count)
    return never if never is not None or waits else _not_now(world, world.active, shard_count)


def _never(spec: Spec, world: World, active: ShardSet, shard_count: int) -> str | None:
    if spec.is_a_part:
        return (
            "this gateway holds a part of the shards (spec.sharding.firstShardId, lastShardId): others would have to "
            "take over from it, which they cannot"
        )
    if world.reshard is None and shard_count == active.shard_count:
        return f"{_shards(shard_count, 'is', 'are')} running already"
    return (
        unfit(world, shard_count)
        or _never_within_budget(world.ledger, shard_count)
        or _undone_at_once(spec, world, shard_count)
    )


def _not_now(world: World, active: ShardSet, shard_count: int) -> str | None:
    reshard = world.reshard
    if reshard is None:
        return budget_shortage(world.ledger, shard_count, wall_now=world.wall_now)
    if shard_count == reshard.pending.shard_count:
        return None
    return (
        f"a reshard from {active.shard_count:,} to {reshard.pending.shard_count:,} shards is under way: give it up "
        f"first with --abort, or add --wait to go on to the new number as soon as that can be{spent(reshard)}"
    )


def spent(reshard: Reshard) -> str:
    """What is lost of one that makes way for another, fit for users; nothing before it has connected a shard."""
    count = reshard.connected if reshard.live else 0
    if not count:
        return ""
    those = "1 identify that it has taken is" if count == 1 else f"{count:,} identifies that it has taken are"
    return f"; the {those} spent either way"


def unfit(world: World, shard_count: int) -> str | None:
    """What Discord would answer with a refusal, however long one waits."""
    now, info = measured(world), world.info
    if now is None:
        return None
    if now.guilds > GUILDS_ALLOWED * shard_count:
        return (
            f"{_shards(shard_count, 'is', 'are')} too few for {now.guilds:,} guilds, as Discord allows "
            f"{GUILDS_ALLOWED:,} a shard (4011): at least {math.ceil(now.guilds / GUILDS_ALLOWED):,} are needed"
        )
    if now.guilds < LARGE_BOT or info is None:
        return None
    step = info.max_concurrency
    if shard_count % step and shard_count != info.recommended_shards:
        below, above = shard_count // step * step, -(-shard_count // step) * step
        near = f"{below:,} or {above:,}" if below else f"{above:,}"
        return (
            f"{shard_count:,} is not a multiple of {step:,}, as Discord demands of a bot with {now.guilds:,} guilds "
            f"(4010): {near} would be, and Discord recommends {info.recommended_shards:,}"
        )
    return None


def identifies_needed(shard_count: int) -> int:
    """One a shard, and some for shards that restart meanwhile."""
    return shard_count + for_restarts(shard_count)


def for_restarts(shard_count: int) -> int:
    return max(RESTARTS_LEAST, math.ceil(RESTARTS_PART * shard_count))


def budget_shortage(ledger: LedgerView | None, shard_count: int, *, wall_now: float) -> str | None:
    """Why the identify budget of now does not suffice, and when it will, fit for users."""
    if ledger is None or not ledger.known:
        return "Discord has not said yet how many identifies are left"
    if (never := _never_within_budget(ledger, shard_count)) is not None:
        return never
    if ledger.remaining - ledger.reserve >= identifies_needed(shard_count):
        return None
    return (
        f"{_need(shard_count)}, and {ledger.remaining:,} of {ledger.total:,} are left, {ledger.reserve:,} of them kept "
        f"back (spec.reshard.identifyReserve): {_possible(ledger, wall_now)}"
    )


def _never_within_budget(ledger: LedgerView | None, shard_count: int) -> str | None:
    if ledger is None or not ledger.known or identifies_needed(shard_count) <= ledger.total - ledger.reserve:
        return None
    return (
        f"{_need(shard_count)}, more than there ever are: {ledger.total:,} a day, {ledger.reserve:,} of them kept back "
        "(spec.reshard.identifyReserve)"
    )


def _need(shard_count: int) -> str:
    return (
        f"it takes {identifies_needed(shard_count):,} identifies ({_shards(shard_count)} and "
        f"{for_restarts(shard_count):,} for restarts meanwhile)"
    )


def _shards(count: int, singular: str = "", plural: str = "") -> str:
    """So many shards, and what they do."""
    return f"{count:,} shard {singular}".rstrip() if count == 1 else f"{count:,} shards {plural}".rstrip()


def _possible(ledger: LedgerView, wall_now: float) -> str:
    if not math.isfinite(ledger.resets_in):
        return "possible once Discord has said when the budget is refilled"
    when = datetime.fromtimestamp(wall_now, UTC) + timedelta(seconds=max(0.0, ledger.resets_in))
    return f"possible from {when:%Y-%m-%d %H:%M} UTC on, in {spoken_duration(ledger.resets_in)}"


def _undone_at_once(spec: Spec, world: World, shard_count: int) -> str | None:
    """A smaller number that the next look at the guilds would raise again."""
    now, info = measured(world), world.info
    if now is None or info is None or shard_count >= now.shards or not spec.reshards_by_itself:
        return None
    back = automatic_target(spec, info, now.on(shard_count))
    if back is None:
        return None
    return (
        f"with {_shards(shard_count)} an automatic reshard to {back.shard_count:,} would follow at once "
        f"({back.reason}): set spec.shards instead, or spec.reshard.auto to false"
    )
