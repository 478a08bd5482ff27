"""Decides which instances run: who holds each range, who is leaving, and when the next one is replaced.

The youngest instance of a pod is its choice, and a younger one of any overlapping range ends that for good: roles
only ever go from active to draining, so nothing has to be remembered but the numbers in the instances' names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .holding import held, settled, told_shard_count
from .there import There, there_are
from .world import InstanceSeen, InstanceSpec, PlannedInstance, PodSpec


@dataclass(frozen=True, slots=True)
class Rollout:
    """`run`: every instance that should run; `remove`: those that hold nothing that anybody wants.

    `there`: all that are seen, to be found by their ranges.
    """

    run: tuple[PlannedInstance, ...]
    remove: tuple[PlannedInstance, ...]
    last_number: int
    there: There


def roll_out(
    pods: Sequence[PodSpec],
    instances: Mapping[str, InstanceSeen],
    *,
    revision: str,
    last_number: int,
    hold: bool = False,
    paused: bool = False,
) -> Rollout:
    """One pass: each pod gets its choice, and of those that take over from others one at a time is started.

    `hold`: none that runs is replaced now, whatever the reason, since guilds are on their way between two shard sets.
    `paused`: none is for new settings or another layout, but who was told to end by somebody else is.
    """
    seen = tuple(sorted(instances.values(), key=lambda one: one.spec.number))
    there = there_are(seen)
    chosen, waiting = _choose(pods, there, revision)
    number = max([last_number, *(one.spec.number for one in seen)])
    busy = any(_takes_over(one, there) for one in chosen if one.revision == revision)
    for pod in waiting:
        older = there.overlapping(pod)
        free = not any(held(one) & set(pod.shards) for one in older)
        # Who was told to end by somebody else has little time left: its successor waits for nobody.
        urgent = any(one.stopping for one in older)
        if not older or (not hold and (urgent or (not paused and (free or not busy)))):
            number += 1
            busy = busy or not free
            chosen.append(InstanceSpec(pod, number, revision))
        elif (present := _youngest(pod, there)) is not None:
            chosen.append(present.spec)
    chosen.sort(key=lambda one: (one.pod.epoch, one.pod.range.first_shard_id))
    leaving, remove = _leaving(pods, chosen, seen)
    planned = tuple(_planned(one, instances.get(one.name), revision) for one in chosen)
    return Rollout(run=(*planned, *leaving), remove=tuple(remove), last_number=number, there=there)


def _choose(pods: Iterable[PodSpec], there: There, revision: str) -> tuple[list[InstanceSpec], list[PodSpec]]:
    """The pods' choices among what is there, and the pods that want a new instance."""
    chosen, waiting = [], []
    for pod in pods:
        youngest = _youngest(pod, there)
        if youngest is not None and not youngest.running:
            # Its scratch knows where to go on, and nobody is disturbed by a change of its settings.
            chosen.append(replace(youngest.spec, revision=revision))
        elif youngest is not None and youngest.spec.revision == revision and not youngest.stopping:
            chosen.append(youngest.spec)
        else:
            waiting.append(pod)
    return chosen, waiting


def _youngest(pod: PodSpec, there: There) -> InstanceSeen | None:
    """The instance of this very pod that no younger one, of whatever range, has begun to replace."""
    overlapping = there.overlapping(pod)
    return overlapping[-1] if overlapping and overlapping[-1].spec.pod == pod else None


def _takes_over(spec: InstanceSpec, there: There) -> bool:
    """Whether an instance that was started has not yet taken all that older ones have for it."""
    overlapping = there.overlapping(spec.pod)
    if not any(one.spec.number < spec.number for one in overlapping):
        return False
    mine = next((one for one in overlapping if one.spec.number == spec.number), None)
    return mine is not None and not settled(mine)


def _leaving(
    pods: Sequence[PodSpec], chosen: Sequence[InstanceSpec], seen: Sequence[InstanceSeen]
) -> tuple[list[PlannedInstance], list[PlannedInstance]]:
    """Instances that are no pod's choice: those to keep until they hold nothing, and those to remove."""
    names = {spec.name for spec in chosen}
    others = [one for one in seen if one.spec.name not in names]
    if not others:
        return [], []
    wanted = {(pod.epoch, shard_id) for pod in pods for shard_id in pod.shards}
    there = [one.spec for one in seen]
    leaving, remove = [], []
    for one in others:
        holds = held(one)
        if any((one.spec.pod.epoch, shard_id) in wanted for shard_id in holds):
            younger = [spec for spec in (*chosen, *there) if spec.number > one.spec.number]
            succeeded = any(spec.overlaps(one.spec.pod) for spec in younger)
            # Until a successor is there it may identify, and take over, as before.
            leaving.append(PlannedInstance(one.spec, "draining" if succeeded else "active", chosen=False))
        elif (
            holds
            and one.connected
            and one.told != "ending"
            and (any(pod.epoch == one.spec.pod.epoch for pod in pods) or told_shard_count(one) is not None)
        ):
            # Nobody will take what it has: it is told so first, or it would wait for a successor until it is killed.
            leaving.append(PlannedInstance(one.spec, "ending", chosen=False))
        else:
            remove.append(PlannedInstance(one.spec, "ending" if holds else "draining", chosen=False))
    return leaving, remove


def _planned(spec: InstanceSpec, seen: InstanceSeen | None, revision: str) -> PlannedInstance:
    return PlannedInstance(
        spec,
        "active",
        chosen=True,
        up_to_date=spec.revision == revision,
        settled=seen is not None and settled(seen),
    )
