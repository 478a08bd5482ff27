"""One row a shard: what the instance that holds it said of it, or why nothing is known."""

from collections.abc import Iterable, Iterator

from shardpod.contract import ShardObserved, ShardState

from .refusals import explain_refusal
from .status_model import ShardRow
from .world import InstanceSeen, Plan, ShardSet, World

UNKNOWN = "unknown"

_NEARNESS: dict[ShardState, int] = {
    "connected": 0,
    "resuming": 1,
    "identifying": 2,
    "connecting": 3,
    "disconnected": 4,
    "refused": 5,
    "awaiting_permit": 6,
    "awaiting_transfer": 7,
    "released": 8,
}
"""While a pod is replaced two instances speak of each shard: the one nearer to a session holds it."""


def shard_rows(plan: Plan, world: World, intents: int) -> Iterator[ShardRow]:
    """Every shard that the plan wants: of the active set and, while a reshard runs, of the pending one; in order."""
    known = holders(speaking(plan, world))
    chosen = {one.spec.pod.name: world.instances.get(one.spec.name) for one in plan.instances if one.chosen}
    for shard_set in _sets(plan):
        for pod in plan.pods:
            if pod.epoch != shard_set.epoch:
                continue
            for shard_id in pod.shards:
                holder = known.get((shard_set.epoch, shard_id))
                if holder is not None:
                    yield _reported_row(shard_set, *holder, intents)
                else:
                    yield ShardRow(
                        shard_id=shard_id,
                        shard_count=shard_set.shard_count,
                        epoch=shard_set.epoch,
                        pod=pod.name,
                        state=UNKNOWN,
                        problem=_why_unknown(chosen.get(pod.name)),
                    )


def _sets(plan: Plan) -> Iterator[ShardSet]:
    if plan.active is not None:
        yield plan.active
    if plan.reshard is not None:
        yield plan.reshard.pending


def speaking(plan: Plan, world: World) -> Iterator[InstanceSeen]:
    """Whose word counts, the pods' choices first: an instance that is not connected may have changed since it spoke."""
    for one in sorted(plan.instances, key=lambda planned: not planned.chosen):
        seen = world.instances.get(one.spec.name)
        if seen is None or not seen.connected or seen.observed is None:
            continue
        if seen.observed.epoch == one.spec.pod.epoch:
            yield seen


def holders(speakers: Iterable[InstanceSeen]) -> dict[tuple[int, int], tuple[InstanceSeen, ShardObserved]]:
    """Who of them holds each shard now, by epoch and id, and what it says of it."""
    best: dict[tuple[int, int], tuple[InstanceSeen, ShardObserved]] = {}
    for seen in speakers:
        epoch = seen.spec.pod.epoch
        for shard in seen.observed.shards if seen.observed is not None else ():
            other = best.get((epoch, shard.shard_id))
            if other is None or _NEARNESS[shard.state] < _NEARNESS[other[1].state]:
                best[epoch, shard.shard_id] = (seen, shard)
    return best


def _why_unknown(seen: InstanceSeen | None) -> str:
    if seen is None or not seen.running:
        return (seen and seen.problem) or "its pod is not running"
    if not seen.connected:
        return seen.problem or "its pod is not connected to the operator"
    return "its pod has not reported it yet"


def _reported_row(shard_set: ShardSet, seen: InstanceSeen, shard: ShardObserved, intents: int) -> ShardRow:
    return ShardRow(
        shard_id=shard.shard_id,
        shard_count=shard_set.shard_count,
        epoch=shard_set.epoch,
        pod=seen.spec.pod.name,
        instance=seen.spec.name,
        state=shard.state,
        guilds=shard.guilds,
        latency_ms=None if shard.latency is None else round(shard.latency * 1000, 1),
        queue_events=seen.observed.queue.events if seen.observed else 0,
        gap_seconds=None if shard.gap is None else round(shard.gap, 3),
        problem=_problem(shard, intents),
    )


def _problem(shard: ShardObserved, intents: int) -> str | None:
    match shard.state:
        case "refused":
            return explain_refusal(shard.close_code, intents)[1]
        case "released":
            return "given to the pod's new instance, which has not reported it yet"
        case "awaiting_transfer":
            return shard.problem or "waits for the pod's old instance to hand it over"
        case _:
            return shard.problem
