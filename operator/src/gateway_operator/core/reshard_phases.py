"""The phases of a reshard before its first range is handed over, and after the last."""

from dataclasses import replace

from shardpod.contract import Windows

from .digest import Digest, digest
from .layout import wanted_ranges
from .refusals import explain_refusal
from .reshard_budget import shortage
from .reshard_gate import gate
from .reshard_step import Scene, Step
from .reshard_target import Target
from .reshard_voice import left_behind, not_announced
from .reshard_window import why_outside_window
from .world import Reshard, ReshardPhase, ShardSet


def begin(scene: Scene) -> Step:
    """Without a reshard: whether one is wanted."""
    world, target = scene.world, scene.target
    if target is None or scene.spec.suspend:
        return scene.idle()
    epochs = (one.spec.pod.epoch for one in world.instances.values())
    numbers = (
        one.observed.handover.number
        for one in world.instances.values()
        if one.observed is not None and one.observed.handover is not None
    )
    begun = Reshard(
        pending=_pending(scene, max(world.last_epoch, scene.active.epoch, *epochs) + 1, target),
        phase=ReshardPhase.PREPARING,
        reason=target.reason,
        manual=target.manual,
        started_at=scene.wall,
        progressed_at=scene.wall,
        last_handover=max(world.last_handover, 0, *numbers),
    )
    return scene.stay(begun, None)


def prepare(scene: Scene, reshard: Reshard) -> Step:
    """No session was opened yet: the target may change, or go."""
    if (target := scene.target) is None:
        return scene.stay(reshard, "Discord has not answered yet") if scene.world.info is None else scene.idle()
    if (target.shard_count, target.reason) != (reshard.pending.shard_count, reshard.reason):
        pending = _pending(scene, reshard.pending.epoch, target)
        reshard = replace(reshard, pending=pending, reason=target.reason, manual=target.manual)
    if (why := _why_not_to_start(scene, target)) is not None:
        return scene.stay(reshard, why)
    settings = scene.spec.reshard
    windows = Windows(max_skew=settings.max_skew, fence_timeout=settings.fence_timeout)
    return scene.enter(ReshardPhase.STARTING, replace(reshard, windows=windows))


def start(scene: Scene, reshard: Reshard) -> Step:
    """The pending set's shards connect; each that does is progress."""
    connected, wanted = len(_connected(scene, reshard.pending)), reshard.pending.shard_count
    if connected > reshard.connected:
        reshard = replace(reshard, connected=connected, progressed_at=scene.wall)
    if connected < wanted:
        return scene.stay(reshard, f"{connected:,} of {wanted:,} new shards are connected")
    return scene.enter(ReshardPhase.WARMING, reshard)


def why_refused(scene: Scene, reshard: Reshard) -> str | None:
    """Whether Discord closed a shard of a pending set for good that delivers nothing yet: waiting would not help."""
    if not reshard.live or reshard.handed or reshard.fenced is not None:
        return None
    refused = (shard for report in _reports(scene, reshard.pending) for shard in report.refused)
    first = next(refused, None)
    return None if first is None else explain_refusal(first.close_code, scene.spec.intents_value).message


def warm(scene: Scene, reshard: Reshard) -> Step:
    """Both sets watch, until the first range could be compared."""
    why = gate(scene, reshard).closed_because(reshard.pending.ranges[0])
    return scene.enter(ReshardPhase.HANDING_OVER, reshard) if why is None else scene.stay(reshard, why)


def drain(scene: Scene, reshard: Reshard) -> Step:
    """All is handed over; the old set is kept for a while, and until it has delivered what it had.

    However long that takes: the bot may be away. Only what nobody can ask for is given up, after a while.
    """
    if (left := _said_to_be_left(scene)) is not None:
        return scene.stay(scene.kept_alive(reshard), left)
    waited = scene.wall - reshard.progressed_at
    if waited < scene.spec.reshard.drain_delay:
        return scene.stay(reshard, _said_while_draining(scene, reshard))
    if waited < scene.spec.reshard.abort_after and (why := _why_not_over(scene, reshard)) is not None:
        return scene.stay(reshard, why)
    request = scene.world.request
    if scene.spec.shards is None and request.to == reshard.pending.shard_count:
        # Done. Where the manifest has another number, it goes on standing in for that.
        request = replace(request, to=None, manifest_shards=None)
    return replace(scene.idle(), active=reshard.pending, request=request)


def _said_while_draining(scene: Scene, reshard: Reshard) -> str:
    kept = "the old shards are kept for spec.reshard.drainDelay"
    left = left_behind(scene.spec, scene.world, reshard)
    return kept if left is None else f"{kept}; {left}"


def _why_not_over(scene: Scene, reshard: Reshard) -> str | None:
    if (name := not_announced(scene.spec, scene.world, reshard)) is not None:
        return f"{name} has still to tell the bot"
    name = _not_known_to_be_empty(scene)
    return None if name is None else f"{name} may still have events to deliver, and is not connected to the operator"


def _pending(scene: Scene, epoch: int, target: Target) -> ShardSet:
    return ShardSet(epoch, target.shard_count, wanted_ranges(scene.spec, target.shard_count))


def _why_not_to_start(scene: Scene, target: Target) -> str | None:
    if (paused := scene.paused_because) is not None:
        return paused
    if any(one.spec.pod.epoch != scene.active.epoch for one in scene.world.instances.values()):
        # Their sessions may have the same numbers as those of the new set.
        return "the pods of the shard set before are still ending"
    if (unknown := _not_known(scene)) is not None:
        return unknown
    outside = None if target.manual else why_outside_window(scene.spec, scene.wall)
    return outside or shortage(scene.world, target.shard_count)


def _not_known(scene: Scene) -> str | None:
    """Whether a shard that runs is still to connect: how many guilds there are it has to say, and it may identify."""
    refused = (shard.shard_id for report in _reports(scene, scene.active) for shard in report.refused)
    known = _connected(scene, scene.active) | frozenset(refused)
    missing, of = scene.active.shard_count - len(known), scene.active.shard_count
    if not missing:
        return None
    those = "is not connected, so its" if missing == 1 else "are not connected, so their"
    return f"{missing:,} of the {of:,} shards that run {those} guilds are not known"


def _connected(scene: Scene, shard_set: ShardSet) -> frozenset[int]:
    return frozenset[int]().union(*(report.connected for report in _reports(scene, shard_set)))


def _reports(scene: Scene, shard_set: ShardSet) -> list[Digest]:
    """Of the set's instances that are connected now."""
    return [
        digest(one.observed)
        for one in scene.world.instances.values()
        if one.spec.pod.epoch == shard_set.epoch and one.connected and one.observed is not None
    ]


def _said_to_be_left(scene: Scene) -> str | None:
    """What an instance of the active set says that it still has."""
    for one in scene.world.instances.values():
        if one.spec.pod.epoch == scene.active.epoch and one.connected and (observed := one.observed) is not None:
            if observed.queue.events:
                return f"{one.spec.name} still has events to deliver: {observed.queue.events:,}"
            if observed.dead_letters:
                return f"{one.spec.name} still has dead letters to hand on: {observed.dead_letters:,}"
    return None


def _not_known_to_be_empty(scene: Scene) -> str | None:
    """An instance of the active set of which it is not known that nothing is left in it."""
    for one in scene.world.instances.values():
        observed = one.observed if one.connected else None
        known_empty = observed is not None and not observed.queue.events and not observed.dead_letters
        # One that does not run, as after a suspension, comes again and delivers what it has on disk.
        may_have_some = one.running or one.scratch
        if one.spec.pod.epoch == scene.active.epoch and may_have_some and not known_empty:
            return one.spec.name
    return None
