"""A gateway that is suspended: every pod is told that all ends, and then ends; nothing of what it has is forgotten."""

from collections.abc import Mapping

from shardpod.contract import Assignment

from .rollout import Rollout
from .there import there_are
from .world import InstanceSeen, PlannedInstance

RESUMABLE = (
    "when that ends, sessions resume as long as Discord knows them (about a minute and a half), "
    "and later each shard identifies anew"
)
"""What it costs, fit for users. Discord replays some 20 to 90 seconds."""


def all_ending(instances: Mapping[str, InstanceSeen], *, last_number: int) -> Rollout:
    """Nobody holds its range any more, and nobody is replaced, removed or started."""
    seen = sorted(instances.values(), key=lambda one: one.spec.number)
    return Rollout(
        run=tuple(PlannedInstance(one.spec, "ending", chosen=False) for one in seen),
        remove=(),
        last_number=max([last_number, *(one.spec.number for one in seen)]),
        there=there_are(seen),
    )


def to_stop(instances: Mapping[str, InstanceSeen], assignments: Mapping[str, Assignment]) -> tuple[str, ...]:
    """Those that run and know that nobody takes over, or can't be told: the others would wait for a successor."""
    return tuple(
        name
        for name, one in instances.items()
        if one.running and (one.told == "ending" or not one.connected or name not in assignments)
    )
