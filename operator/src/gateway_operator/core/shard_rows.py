"""One row a shard: what its pod said of it, or why nothing is known."""

from collections.abc import Iterator, Mapping

from shardpod.contract import ShardObserved

from .refusals import explain_refusal
from .status_model import ShardRow
from .world import PodSeen, PodSpec

UNKNOWN = "unknown"


def shard_rows(pods: tuple[PodSpec, ...], seen: Mapping[str, PodSeen], intents: int) -> Iterator[ShardRow]:
    """Every shard that the plan wants, in order."""
    for spec in pods:
        pod = seen.get(spec.name)
        known = _reported(pod, spec)
        for shard_id in range(spec.range.first_shard_id, spec.range.last_shard_id + 1):
            if pod is not None and shard_id in known:
                yield _row(spec, pod, known[shard_id], intents)
            else:
                yield ShardRow(shard_id=shard_id, pod=spec.name, state=UNKNOWN, problem=_why_unknown(pod))


def _reported(pod: PodSeen | None, spec: PodSpec) -> dict[int, ShardObserved]:
    """What holds now: a pod that is not connected may have changed since it last spoke."""
    if pod is None or not pod.connected or pod.observed is None or pod.observed.epoch != spec.epoch:
        return {}
    return {shard.shard_id: shard for shard in pod.observed.shards}


def _why_unknown(pod: PodSeen | None) -> str:
    if pod is None or not pod.running:
        return (pod and pod.problem) or "its pod is not running"
    if not pod.connected:
        return pod.problem or "its pod is not connected to the operator"
    return "its pod has not reported it yet"


def _row(spec: PodSpec, pod: PodSeen, shard: ShardObserved, intents: int) -> ShardRow:
    refused = shard.state == "refused"
    return ShardRow(
        shard_id=shard.shard_id,
        pod=spec.name,
        state=shard.state,
        guilds=shard.guilds,
        latency_ms=None if shard.latency is None else round(shard.latency * 1000, 1),
        queue_events=pod.observed.queue.events if pod.observed else 0,
        problem=explain_refusal(shard.close_code, intents)[1] if refused else shard.problem,
    )
