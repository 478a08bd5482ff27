"""The gate before a fence: the first reason, fit for users, for which a range may not be handed over yet.

Two sessions can only be aligned while both are whole: each concerned one must have run for `history` without an
interruption, and both sets must have remembered what they saw for as long.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shardpod.contract import Handover, Observed, ShardObserved, ShardRange, Windows

from .digest import digest
from .holding import settled
from .reshard_concern import Concern, concern, told_of
from .reshard_step import Scene
from .revision import revision
from .spoken import spoken_duration
from .world import InstanceSeen, PodSpec, Reshard, ShardSet, World


@dataclass(frozen=True, slots=True)
class Gate:
    """One pass's look at it. `revision`: what instances are to have been started with, None where any will do."""

    world: World
    active: ShardSet
    reshard: Reshard
    revision: str | None

    def closed_because(self, cut: ShardRange, handover: Handover | None = None) -> str | None:
        """Why the range may not be fenced; None: it may. Without a handover the rehearsal is not asked about."""
        concerned = concern(cut, self.active, self.reshard.pending)
        instances = sorted(
            (one for one in self.world.instances.values() if concerned.includes(one.spec.pod)),
            key=lambda one: (one.spec.pod.epoch, one.spec.number),
        )
        reasons = (
            *self._replaced(),
            *(reason for one in instances for reason in _instance(one, self.reshard.windows)),
            *(reason for one in instances for reason in self._shards(one, concerned)),
            *(() if handover is None else self._rehearsal(instances, concerned, handover)),
        )
        return next(iter(reasons), None)

    def _replaced(self) -> Iterator[str]:
        """A pod that is replaced, of either set: its sessions move, and the next one's will."""
        sets = (self.active, self.reshard.pending)
        wanted = {(one.epoch, *_ends(cut)) for one in sets for cut in one.ranges}
        epochs = {one.epoch for one in sets}
        there = [one for one in self.world.instances.values() if one.spec.pod.epoch in epochs]
        held = [(one.spec.pod.epoch, *_ends(one.spec.pod.range)) for one in there]
        holders = Counter(held)
        for one, held_range in zip(there, held, strict=True):
            alone = held_range in wanted and holders[held_range] == 1
            if not alone or one.stopping or self.revision not in (None, one.spec.revision):
                yield f"{one.spec.pod.name} is being replaced"
            elif one.running and one.connected and not settled(one):
                yield f"{one.spec.pod.name} does not hold all its shards yet"
        for epoch, first, last in sorted(wanted - holders.keys()):
            yield f"shards {first}-{last} of epoch {epoch} have no pod yet"

    def is_blind(self, cut: ShardRange, handover: Handover) -> bool:
        """Whether a giver's shard was refused: what it does not receive cannot be compared with anything."""
        concerned = concern(cut, self.active, self.reshard.pending)
        return self._blind(self.world.instances.values(), concerned, handover)

    def _shards(self, seen: InstanceSeen, concerned: Concern) -> Iterator[str]:
        shard_count = self._shard_count(seen.spec.pod)
        giver = seen.spec.pod.epoch == self._from_epoch()
        reported = {shard.shard_id: shard for shard in seen.observed.shards} if seen.observed else {}
        for shard_id in concerned.shards(seen.spec.pod):
            shard = reported.get(shard_id)
            if giver and shard is not None and shard.state == "refused":
                continue  # Discord closed it for good: it receives nothing, and waiting would help nobody
            if (why := _restless(shard, self.reshard.windows)) is not None:
                yield f"shard {shard_id} of {shard_count} {why}"

    def _rehearsal(self, instances: Iterable[InstanceSeen], concerned: Concern, handover: Handover) -> Iterator[str]:
        if self._blind(instances, concerned, handover):
            return
        for one in instances:
            said = told_of(one, handover)
            if one.spec.pod.epoch == handover.from_epoch:
                if said is not None and said.state == "rehearsing" and said.reason:
                    yield f"{one.spec.name} cannot compare yet: {said.reason}"
                continue
            if said is None or said.state != "rehearsed":
                why = f": {said.reason}" if said is not None and said.reason else ""
                yield f"{one.spec.name} is still comparing what both shard sets receive{why}"

    def _blind(self, instances: Iterable[InstanceSeen], concerned: Concern, handover: Handover) -> bool:
        """Whether a giver's shard was refused: what it does not receive cannot be compared with anything."""
        return any(
            shard.shard_id in concerned.shards(one.spec.pod)
            for one in instances
            if one.spec.pod.epoch == handover.from_epoch and one.observed is not None
            for shard in digest(one.observed).refused
        )

    def _from_epoch(self) -> int:
        return self.active.epoch if self.reshard.handover is None else self.reshard.handover.from_epoch

    def _shard_count(self, pod: PodSpec) -> int:
        shard_set = self.active if pod.epoch == self.active.epoch else self.reshard.pending
        return shard_set.shard_count


def gate(scene: Scene, reshard: Reshard) -> Gate:
    """The gate as this pass sees it."""
    world = scene.world
    now = revision(scene.spec, secrets_digest=world.secrets_digest, restarts=world.restarts)
    # While nobody is replaced, who would have to be is no hindrance: what is given up can be given back.
    return Gate(world, scene.active, reshard, None if scene.spec.stands_still else now)


def _instance(seen: InstanceSeen, windows: Windows) -> Iterator[str]:
    name, observed = seen.spec.name, seen.observed
    if not seen.running or not seen.connected or observed is None:
        yield f"{name} is not connected to the operator"
    elif seen.told != "active":
        yield f"{name} has not taken up its assignment yet"
    else:
        yield from (f"{name} {why}" for why in _busy(observed, windows))


def _busy(observed: Observed, windows: Windows) -> Iterator[str]:
    if observed.watching_for is None or observed.watching_for < windows.history:
        yield f"has not yet compared events for {spoken_duration(windows.history)}"
    if observed.sink is None or not observed.sink.up:
        yield "cannot deliver at the moment"
    if observed.queue.oldest_age >= windows.fence_timeout:
        yield f"has events that have waited for {spoken_duration(windows.fence_timeout)} or longer"
    if observed.loop_lag >= windows.fence_timeout / 4:
        yield "is too busy: its loop is late"


def _restless(shard: ShardObserved | None, windows: Windows) -> str | None:
    if shard is None:
        return "is not there yet"
    if shard.state != "connected":
        return f"is not connected ({shard.state})"
    if not shard.all_guilds_loaded:
        return "has not yet received all its guilds"
    if shard.calm_for is None or shard.calm_for < windows.history:
        return f"has not yet run for {spoken_duration(windows.history)} without an interruption"
    return None


def _ends(cut: ShardRange) -> tuple[int, int]:
    return cut.first_shard_id, cut.last_shard_id
