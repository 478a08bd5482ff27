"""How many shards a gateway should have: asked for by a person, or measured on the set that runs.

Automatic targets only ever go up, and far enough that what has triggered one would not do so again at once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gateway_operator.model import MAX_SHARDS, Spec

from .digest import Digest, digest
from .spoken import spoken_duration
from .world import GatewayInfo, Reshard, ReshardPhase, ReshardRequest, ShardSet, World

GUILDS_ALLOWED = 2500
"""Guilds that Discord allows a shard (Discord docs, Gateway: Sharding); one more, and it answers 4011."""

GUILDS_WISHED = 1000
"""Guilds a shard should have on average after a reshard: what Discord's own recommendation aims at."""

LARGE_BOT = 100_000
"""Guilds from which on the number of shards is to be a multiple of Discord's. It refuses others from 150,000 on."""

ROOM = 0.75
"""The part of the threshold that the fullest shard may reach after a reshard, if it shrinks as all others do."""

FAR_ABOVE = 2
"""Discord's recommendation alone is a reason from so many times the present number on."""

HELD_BACK = 3600.0
"""Seconds after a reshard that was given up until the same begins without being asked for anew."""

ALIKE = 1.5
"""An automatic reshard to up to so many times the number that was given up is the same: guilds come every minute."""

SHARDING_REQUIRED = 4011


@dataclass(frozen=True, slots=True)
class Target:
    """So many shards are wanted; `reason` is fit for users. `manual`: a person asked for them."""

    shard_count: int
    reason: str
    manual: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """The guilds of the active set in all, and the most that one shard has; both 0 before any has reported.

    Shards that say nothing are taken for average ones. `refused`: Discord closed one as they are too few (4011).
    """

    shards: int
    guilds: int
    fullest: int
    refused: bool = False

    def on(self, shards: int) -> "Measured":
        """The same guilds on another number of shards, spread as they are now."""
        return Measured(shards, self.guilds, math.ceil(self.fullest * self.shards / shards))

    def reached(self, spec: Spec) -> float:
        """What is held against the threshold."""
        return self.fullest if spec.reshard.basis == "fullestShard" else self.guilds / self.shards


def wanted(spec: Spec, world: World) -> Target | None:
    """The number of shards that should run instead of the active set's; None if that is as it should be."""
    active = world.active
    if active is None or spec.is_a_part:
        return None
    target = _asked_for(spec, world)
    if target is None and world.reshard is not None and not _taken_back(world.reshard):
        target = _under_way(spec, world)
    elif target is None:
        target = _automatic(spec, world)
        if target is not None and _held_back(target, spec, world):
            return None
    return None if target is None or target.shard_count == active.shard_count else target


def why_held_back(spec: Spec, world: World) -> str | None:
    """Why a reshard that the manifest asks for does not begin, fit for users; None where none is asked for."""
    active = world.active
    if active is None or world.reshard is not None or wanted(spec, world) is not None:
        return None
    if by_command(spec, world.request) is not None:
        return None  # it stands in for the manifest's number
    if spec.is_a_part:
        if spec.shards in (None, active.shard_count):
            return None
        return (
            f"{active.shard_count:,} shards are running and spec.shards asks for {spec.shards:,}: a gateway that holds "
            "a part of the shards cannot be resharded, as others would have to take over from it; to begin anew with "
            f"{spec.shards}, stop it and run `discord-gateway up --fresh`, which forgets the sessions and all events "
            "not yet delivered"
        )
    target = _of_manifest(spec) or _automatic(spec, world)
    aborted = world.aborted
    if (
        target is None
        or target.shard_count == active.shard_count
        or aborted is None
        or not _held_back(target, spec, world)
    ):
        return None
    left = aborted.at + HELD_BACK - world.wall_now
    next_one = "is" if target.shard_count == aborted.shard_count else f"another, to {target.shard_count:,}, is"
    return (
        f"{why_given_up(world)} and {next_one} begun again in {spoken_duration(left)} ({target.reason}); sooner by "
        f"`discord-gateway reshard --to {target.shard_count}`"
    )


def why_given_up(world: World) -> str | None:
    """What became of the last reshard, fit for users; None if it was done, or is long past."""
    aborted = world.aborted
    if aborted is None or world.wall_now >= aborted.at + HELD_BACK:
        return None
    why = f" ({aborted.why})" if aborted.why else ""
    return f"a reshard to {aborted.shard_count:,} shards was given up{why}"


def by_command(spec: Spec, request: ReshardRequest) -> int | None:
    """The number that a person gave by the command; its word holds until the manifest has another than it had then."""
    return request.to if request.manifest_shards == spec.shards else None


def measured(world: World) -> Measured | None:
    """None without an active set."""
    active = world.active
    if active is None:
        return None
    reports = list(_reports(world, active))
    guilds: dict[int, int] = {}
    for told in reports:
        guilds |= told.guilds
    return Measured(
        shards=active.shard_count,
        guilds=round(sum(guilds.values()) * active.shard_count / len(guilds)) if guilds else 0,
        fullest=max(guilds.values(), default=0),
        refused=any(shard.close_code == SHARDING_REQUIRED for told in reports for shard in told.refused),
    )


def automatic_target(spec: Spec, info: GatewayInfo, now: Measured) -> Target | None:
    """What the set that runs gives reason for by itself, whatever became of such a reshard before."""
    reason = _trigger(spec, info, now)
    if reason is None:
        return None
    shard_count = min(MAX_SHARDS, _enough(spec, info, now))
    return Target(shard_count, reason, manual=False) if shard_count > now.shards else None


def _asked_for(spec: Spec, world: World) -> Target | None:
    """By a person."""
    active, commanded = world.active, by_command(spec, world.request)
    if commanded is not None:
        done = active is not None and active.shard_count == commanded and world.reshard is None
        if not done or spec.shards is not None:
            return Target(commanded, f"{commanded:,} shards were asked for by the command", manual=True)
    target = _of_manifest(spec)
    # Otherwise one that was given up, by a person or as nothing moved, would begin again at once.
    held = target is not None and world.reshard is None and _held_back(target, spec, world)
    return None if held else target


def _of_manifest(spec: Spec) -> Target | None:
    return None if spec.shards is None else Target(spec.shards, f"spec.shards is {spec.shards}", manual=True)


def _under_way(spec: Spec, world: World) -> Target | None:
    """What runs is finished. One that has not begun yet may have waited for days, and the bot may have grown."""
    reshard = world.reshard
    if reshard is None:
        return None
    present = Target(reshard.pending.shard_count, reshard.reason, manual=False)
    if reshard.phase is ReshardPhase.PREPARING:
        if not spec.reshards_by_itself:
            return None
        grown = _automatic(spec, world)
        if grown is not None and grown.shard_count > present.shard_count:
            return grown
    return present


def _taken_back(reshard: Reshard) -> bool:
    """Whether it would be gone without a person's wish: what is only prepared has opened no session yet."""
    return reshard.manual and reshard.phase is ReshardPhase.PREPARING


def _held_back(target: Target, spec: Spec, world: World) -> bool:
    aborted = world.aborted
    if aborted is None or world.wall_now >= aborted.at + HELD_BACK or aborted.manifest_shards != spec.shards:
        return False  # a manifest that was changed since is a newer word
    if target.manual:
        return target.shard_count == aborted.shard_count
    return target.shard_count <= ALIKE * aborted.shard_count


def _automatic(spec: Spec, world: World) -> Target | None:
    now = measured(world)
    if not spec.reshards_by_itself or world.info is None or now is None:
        return None
    return automatic_target(spec, world.info, now)


def _trigger(spec: Spec, info: GatewayInfo, now: Measured) -> str | None:
    if now.refused:
        return "Discord requires more shards (4011)"
    if now.reached(spec) >= _threshold(spec):
        which = "the fullest shard has" if spec.reshard.basis == "fullestShard" else "a shard has on average"
        return (
            f"{which} {now.reached(spec):,.0f} guilds, and from {spec.reshard.percentage} % of {GUILDS_ALLOWED:,} on "
            "there are to be more shards (spec.reshard.percentage)"
        )
    if info.recommended_shards >= FAR_ABOVE * now.shards:
        return f"Discord recommends {info.recommended_shards:,} shards, and {now.shards:,} are running"
    return None


def _enough(spec: Spec, info: GatewayInfo, now: Measured) -> int:
    large = now.guilds >= LARGE_BOT
    if large and not spec.reshard.use_optimal_large_bot_sharding:
        return info.recommended_shards  # the multiple is not known, and Discord's own number is one
    threshold = _threshold(spec)
    shard_count = max(
        info.recommended_shards,
        now.shards + 1,
        # With a low percentage, 1,000 guilds a shard would be above the threshold again.
        math.ceil(now.guilds / min(GUILDS_WISHED, threshold / 2)),
        math.ceil(now.shards * now.reached(spec) / (ROOM * threshold)),
    )
    return -(-shard_count // info.max_concurrency) * info.max_concurrency if large else shard_count


def _threshold(spec: Spec) -> float:
    return GUILDS_ALLOWED * spec.reshard.percentage / 100


def _reports(world: World, active: ShardSet) -> Iterator[Digest]:
    """What was last said of the set's shards; where two instances speak of one, the younger's word comes last."""
    for seen in sorted(world.instances.values(), key=lambda one: one.spec.number):
        if seen.observed is not None and seen.spec.pod.epoch == active.epoch:
            yield digest(seen.observed)
