"""The reshard machine: from one shard set to the next, and back if it must be, one step a pass at most.

Pure, and without a memory of its own: all that it needs after a crash is in `Reshard`, which is stored before a pass
acts on it, or in what pods report. Each phase is a function that looks at the scene and says what comes next.
"""

from dataclasses import replace

from gateway_operator.model import Spec

from .layout import wanted_ranges
from .reshard_phases import begin, drain, prepare, start, warm, why_refused
from .reshard_ranges import give_all_back, hand_over
from .reshard_step import SUSPENDED, Scene, Step
from .reshard_target import wanted
from .reshard_voice import all_handed
from .spoken import spoken_duration
from .world import Aborted, Reshard, ReshardPhase, ReshardRequest, ShardSet, World

_PHASES = {
    ReshardPhase.PREPARING: prepare,
    ReshardPhase.STARTING: start,
    ReshardPhase.WARMING: warm,
    ReshardPhase.HANDING_OVER: hand_over,
    ReshardPhase.DRAINING: drain,
    ReshardPhase.ABORTING: give_all_back,
}

_PAST_ABORTING = (ReshardPhase.DRAINING, ReshardPhase.ABORTING)


def advance(spec: Spec, world: World, active: ShardSet, now: float) -> Step:
    """One step. `active` is this pass's active set; `now` is on the operator's monotonic clock in seconds."""
    world = replace(world, active=active, request=_in_force(world, spec), aborted=_given_up_before(world, spec))
    scene = Scene(spec, world, active, now, wanted(spec, world))
    reshard = world.reshard
    if reshard is None:
        return begin(scene)
    if reshard.live and reshard.fenced is None and not spec.stands_still:
        # Pods of the pending set may be cut anew, as those of the active one; but not while a range is on its way.
        ranges = wanted_ranges(spec, reshard.pending.shard_count)
        reshard = replace(reshard, pending=replace(reshard.pending, ranges=ranges))
    reshard = _of_this_clock(scene, reshard)
    if _excused(scene, reshard):
        reshard = scene.kept_alive(reshard)
    if (given_up := _given_up(scene, reshard)) is not None:
        return given_up
    if spec.suspend and reshard.fenced is None:
        # After this every pod is another process: what was only compared is compared anew, and connecting is progress.
        return scene.stay(replace(reshard, handover=None, connected=0), SUSPENDED)
    return _PHASES[reshard.phase](scene, reshard)


def _in_force(world: World, spec: Spec) -> ReshardRequest:
    """What a person asked for, less what is over."""
    request = world.request
    if request.to is not None and request.manifest_shards != spec.shards:
        # The manifest has been changed since: it is the newer wish.
        request = replace(request, to=None, manifest_shards=None)
    if world.reshard is None or world.reshard.phase in _PAST_ABORTING:
        request = replace(request, abort=False)
    return request


def _given_up_before(world: World, spec: Spec) -> Aborted | None:
    """The last reshard that was given up, unless the manifest has been changed since: that is a newer word."""
    aborted = world.aborted
    return aborted if aborted is not None and aborted.manifest_shards == spec.shards else None


def _of_this_clock(scene: Scene, reshard: Reshard) -> Reshard:
    """Times of the future are those of a clock that was put back since: nobody shall wait for them."""
    longest = max(scene.spec.reshard.settle, reshard.windows.history)
    return replace(
        reshard,
        progressed_at=min(reshard.progressed_at, scene.wall),
        went_at=min(reshard.went_at, scene.wall),
        not_before=min(reshard.not_before, scene.wall + longest),
    )


def _excused(scene: Scene, reshard: Reshard) -> bool:
    """Whether that nothing moves is a person's will.

    A suspended reshard may go on if it is still in time. But one whose pods have only to deliver what is left gets the
    time for it, or that would be forgotten.
    """
    if scene.spec.suspend:
        return reshard.phase in _PAST_ABORTING
    return scene.paused_because is not None and reshard.phase is not ReshardPhase.DRAINING


def _given_up(scene: Scene, reshard: Reshard) -> Step | None:
    """Whether the reshard is to be given up, or makes way for another one; None: it goes on."""
    if reshard.phase in _PAST_ABORTING:
        return None
    nothing_handed = not reshard.handed and reshard.fenced is None
    if (why := _why_given_up(scene, reshard)) is not None:
        if nothing_handed:
            step = scene.idle()
        else:
            # What is only rehearsed goes the other way from now on; what is on its way is finished first.
            reshard = replace(reshard, aborted_because=why, handover=reshard.fenced, not_before=0.0)
            step = scene.enter(ReshardPhase.ABORTING, reshard)
        by_hand = scene.world.request.abort
        aborted = Aborted(reshard.pending.shard_count, scene.wall, scene.spec.shards, "" if by_hand else why)
        return replace(step, request=_request_after(scene, reshard), aborted=aborted)
    if reshard.live and nothing_handed and _another_target(scene, reshard):
        return scene.idle()
    return None


def _why_given_up(scene: Scene, reshard: Reshard) -> str | None:
    if scene.world.request.abort:
        return "it was asked for by the command"
    if (refused := why_refused(scene, reshard)) is not None:
        return refused
    limit = scene.spec.reshard.abort_after
    if reshard.phase is ReshardPhase.HANDING_OVER and all_handed(reshard):
        return None  # what it waits for is the bot's voice, which it was told to
    if reshard.live and reshard.fenced is None and scene.wall >= reshard.progressed_at + limit:
        return f"nothing has moved for {spoken_duration(limit)} (spec.reshard.abortAfter)"
    return None


def _another_target(scene: Scene, reshard: Reshard) -> bool:
    if scene.target is None:
        return scene.world.info is not None  # else nobody knows what is wanted
    return scene.target.shard_count != reshard.pending.shard_count


def _request_after(scene: Scene, reshard: Reshard) -> ReshardRequest:
    """The request that led to what is given up is over as well, or it would begin again at once."""
    request = replace(scene.world.request, to=None, manifest_shards=None, abort=False)
    usual = (None, scene.active.shard_count, reshard.pending.shard_count)
    if scene.world.request.to is not None and scene.spec.shards not in usual:
        # An earlier one had put another number in place of the manifest's; giving up must not bring that about.
        return replace(request, to=scene.active.shard_count, manifest_shards=scene.spec.shards)
    return request
