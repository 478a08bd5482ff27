"""Range by range from one shard set to the other: each is rehearsed, sent on its way, and committed or given back."""

from dataclasses import replace

from shardpod.contract import Handover, ShardRange

from .reshard_concern import concern
from .reshard_gate import gate
from .reshard_handover import Close, Commit, GiveBack, judge
from .reshard_step import Scene, Step
from .reshard_voice import why_voice_waits
from .spoken import spoken_duration
from .world import InstanceSeen, Reshard, ReshardPhase, ShardSet, World


def hand_over(scene: Scene, reshard: Reshard) -> Step:
    """To the pending set, until all is."""
    if reshard.fenced is not None:
        return _finish(scene, reshard, reshard.fenced)
    cut = next_range(reshard.pending, reshard.handed)
    if cut is None:
        return _end(scene, replace(reshard, handover=None))
    if (why := scene.paused_because) is not None:
        return scene.stay(replace(reshard, handover=None), why)  # comparing costs messages to Discord
    return _rehearse(scene, reshard, cut, from_epoch=scene.active.epoch, to_epoch=reshard.pending.epoch)


def _end(scene: Scene, reshard: Reshard) -> Step:
    """All is handed over: the old set may go once the bot's voice does not hang on it any more."""
    if (why := why_voice_waits(scene.spec, scene.world, reshard)) is not None:
        return scene.stay(reshard, why)
    return scene.enter(ReshardPhase.DRAINING, reshard)


def give_all_back(scene: Scene, reshard: Reshard) -> Step:
    """To the active set, the last one first, until nothing is the pending set's; then that ends."""
    if reshard.fenced is not None:
        return _finish(scene, reshard, reshard.fenced)
    if all_given_back(reshard):
        return _end_for_nothing(scene, reshard)
    cut = reshard.handed[-1]
    giver_there = _any_connected(scene, reshard, cut)
    if giver_there:
        reshard = scene.kept_alive(reshard)
    elif scene.wall >= reshard.progressed_at + scene.spec.reshard.abort_after:
        # Nobody could tell any more what it had delivered, and meanwhile nobody delivers what comes.
        why = f"shards {cut.first_shard_id}-{cut.last_shard_id} went back without their pod"
        return scene.stay(replace(reshard, handover=None, handed=reshard.handed[:-1]), why)
    step = _rehearse(scene, reshard, cut, from_epoch=reshard.pending.epoch, to_epoch=scene.active.epoch)
    return step if giver_there or step.waiting_for is None else replace(step, waiting_for=_warned(scene, step))


def _any_connected(scene: Scene, reshard: Reshard, cut: ShardRange) -> bool:
    """Whether a pod of the pending set that has some of the range can be asked."""
    concerned = concern(cut, scene.active, reshard.pending)
    holders = concerned.instances(scene.world.instances.values(), reshard.pending.epoch)
    return any(one.connected for one in holders)


def _warned(scene: Scene, step: Step) -> str:
    limit = spoken_duration(scene.spec.reshard.abort_after)
    return (
        f"{step.waiting_for}; if that lasts for {limit} (spec.reshard.abortAfter), its guilds go back without what it "
        "has not delivered"
    )


def all_given_back(reshard: Reshard) -> bool:
    """Whether the pending set of a reshard that is given up has nothing to deliver any more."""
    return reshard.phase is ReshardPhase.ABORTING and not reshard.handed and reshard.fenced is None


def _end_for_nothing(scene: Scene, reshard: Reshard) -> Step:
    """The pending set may go once the active one has its dead letters: those wait for a person, and stay."""
    holder = with_dead_letters(scene.world, reshard.pending.epoch)
    if holder is None:
        return scene.idle()
    if holder.connected:
        reshard = scene.kept_alive(reshard)
    elif scene.wall >= reshard.progressed_at + scene.spec.reshard.abort_after:
        return scene.idle()
    return scene.stay(replace(reshard, handover=None), f"{holder.spec.name} still has dead letters to hand back")


def heirs_epoch(world: World, active: ShardSet, reshard: Reshard) -> int | None:
    """The set that is to fetch the dead letters of the other one, which is about to end; None if there are none."""
    if all_given_back(reshard):
        heirs, ending = active.epoch, reshard.pending.epoch
    elif reshard.phase is ReshardPhase.DRAINING:
        heirs, ending = reshard.pending.epoch, active.epoch
    else:
        return None
    return heirs if with_dead_letters(world, ending) is not None else None


def with_dead_letters(world: World, epoch: int) -> InstanceSeen | None:
    """An instance of a set that says it has some, or has said so; one that can still be asked if there is one."""
    there = [one for one in world.instances.values() if one.spec.pod.epoch == epoch]
    holders = [one for one in there if one.observed is not None and one.observed.dead_letters]
    return max(holders, key=lambda one: one.connected, default=None)


def next_range(pending: ShardSet, handed: tuple[ShardRange, ...]) -> ShardRange | None:
    """What is left of the first pod's range that is not handed over; None if all is.

    A part of one is left where the pending set was cut anew in the middle.
    """
    done = {shard for cut in handed for shard in range(cut.first_shard_id, cut.last_shard_id + 1)}
    for cut in pending.ranges:
        left = [shard for shard in range(cut.first_shard_id, cut.last_shard_id + 1) if shard not in done]
        if left:
            end = next((shard for shard in range(left[0], left[-1] + 1) if shard in done), left[-1] + 1)
            return ShardRange(first_shard_id=left[0], last_shard_id=end - 1)
    return None


def _rehearse(scene: Scene, reshard: Reshard, cut: ShardRange, *, from_epoch: int, to_epoch: int) -> Step:
    """Begin to compare, or go on to the fence if the gate is open."""
    handover = reshard.handover
    if handover is None or (handover.range, handover.from_epoch) != (cut, from_epoch):
        reshard = replace(reshard, handover=None)
        if scene.wall < reshard.not_before:
            return scene.stay(reshard, "what was handed over last has to settle first")
        number = reshard.last_handover + 1
        handover = Handover(number=number, range=cut, from_epoch=from_epoch, to_epoch=to_epoch, step="rehearse")
        return scene.stay(replace(reshard, handover=handover, last_handover=number), "both shard sets compare")
    its_gate = gate(scene, reshard)
    if (why := its_gate.closed_because(cut, handover)) is not None:
        return scene.stay(reshard, why)
    going = handover.model_copy(update={"step": "go", "blind": its_gate.is_blind(cut, handover)})
    return scene.stay(replace(reshard, handover=going, giving_back=None, went_at=scene.wall), None)


def _finish(scene: Scene, reshard: Reshard, handover: Handover) -> Step:
    """The range is on its way: nothing else happens until it has arrived, or is back."""
    verdict = judge(scene.world, scene.active, reshard, handover, scene.now)
    over = replace(reshard, handover=None, giving_back=None)
    match verdict:
        case Close():
            closing = replace(reshard, giving_back=verdict.reason)
            return scene.stay(closing, f"a handover is being given back: {verdict.reason}")
        case GiveBack():
            again = replace(over, not_before=scene.wall + reshard.windows.history)
            return scene.stay(again, f"a handover was given back: {reshard.giving_back}")
        case Commit():
            not_before = scene.wall + scene.spec.reshard.settle
            handed = _handed(reshard, handover)
            return scene.stay(replace(over, handed=handed, progressed_at=scene.wall, not_before=not_before), None)
        case _:
            return scene.stay(reshard, verdict.reason)


def _handed(reshard: Reshard, handover: Handover) -> tuple[ShardRange, ...]:
    if handover.to_epoch == reshard.pending.epoch:
        return (*reshard.handed, handover.range)
    return tuple(cut for cut in reshard.handed if cut != handover.range)
