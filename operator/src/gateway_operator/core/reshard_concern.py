"""Which shards, instances and pods a range of the pending set concerns: those that receive its guilds' events.

A guild with the key k is in shard k % M of the pending set and in k % N of the active one, so a shard s of the active
set may have guilds of the pending shard p iff s and p leave the same rest by gcd(N, M).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shardpod.contract import Handover, HandoverObserved, ShardRange

from .world import InstanceSeen, InstanceSpec, PodSpec, Reshard, ShardSet


@dataclass(frozen=True, slots=True)
class Concern:
    """What `range`, shards of `pending`, concerns. Ask for it by `concern`."""

    range: ShardRange
    active: ShardSet
    pending: ShardSet
    modulus: int

    def shards(self, pod: PodSpec) -> Sequence[int]:
        """The shards of a pod, of either set, that may receive events of the range's guilds."""
        first, last = self.range.first_shard_id, self.range.last_shard_id
        if pod.epoch == self.pending.epoch:
            return range(max(pod.range.first_shard_id, first), min(pod.range.last_shard_id, last) + 1)
        if not self.includes(pod):
            return ()
        return [shard for shard in pod.shards if (shard - first) % self.modulus <= last - first]

    def includes(self, pod: PodSpec) -> bool:
        """Whether it has any such shard: asked of a thousand pods, of which a few do."""
        first, last = self.range.first_shard_id, self.range.last_shard_id
        if pod.epoch == self.pending.epoch:
            return pod.range.first_shard_id <= last and first <= pod.range.last_shard_id
        if pod.epoch != self.active.epoch:
            return False
        # Going round by the modulus: the pod's first shard is in the range, or the range's first is in the pod.
        past = (pod.range.first_shard_id - first) % self.modulus
        return past <= last - first or pod.range.first_shard_id + self.modulus - past <= pod.range.last_shard_id

    def of(self, shard_set: ShardSet) -> frozenset[int]:
        """All shards of one of the two sets that are concerned."""
        pods = (PodSpec("", shard_set.epoch, cut) for cut in shard_set.ranges)
        return frozenset(shard for pod in pods for shard in self.shards(pod))

    def instances(self, seen: Iterable[InstanceSeen], epoch: int) -> Iterator[InstanceSeen]:
        """Those of one set that hold, or are to hold, a shard concerned."""
        return (one for one in seen if one.spec.pod.epoch == epoch and self.includes(one.spec.pod))


def concern(handed: ShardRange, active: ShardSet, pending: ShardSet) -> Concern:
    """What a range of the pending set concerns."""
    return Concern(handed, active, pending, math.gcd(active.shard_count, pending.shard_count))


def parties(
    active: ShardSet, reshard: Reshard | None, instances: Iterable[InstanceSpec]
) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the givers and the takers of the handover, be it only rehearsed; nobody without one."""
    if reshard is None or reshard.handover is None:
        return frozenset(), frozenset()
    concerned = concern(reshard.handover.range, active, reshard.pending)
    epochs = {one.name: one.pod.epoch for one in instances if concerned.includes(one.pod)}
    givers = frozenset(name for name, epoch in epochs.items() if epoch == reshard.handover.from_epoch)
    takers = frozenset(name for name, epoch in epochs.items() if epoch == reshard.handover.to_epoch)
    return givers, takers


def told_of(seen: InstanceSeen, handover: Handover) -> HandoverObserved | None:
    """What an instance says of this handover, if anything."""
    said = seen.observed.handover if seen.running and seen.observed is not None else None
    role = "giver" if seen.spec.pod.epoch == handover.from_epoch else "taker"
    return said if said is not None and (said.number, said.role) == (handover.number, role) else None
