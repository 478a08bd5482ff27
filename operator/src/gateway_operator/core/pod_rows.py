"""One row an instance of a pod, of either shard set: its queue, what it has delivered, its part in a replacement."""

from collections.abc import Iterable, Iterator, Mapping

from shardpod.contract import Observed

from .status_model import PodRow, RangeStatus
from .world import InstanceSeen, PlannedInstance


def pod_rows(planned: Iterable[PlannedInstance], seen: Mapping[str, InstanceSeen]) -> Iterator[PodRow]:
    """Every instance that the plan wants or lets leave; of one that never reported only its place is known."""
    for one in planned:
        instance = seen.get(one.spec.name)
        observed = instance.observed if instance is not None else None
        yield _row(
            one, observed or Observed(pod=one.spec.pod.name), connected=instance is not None and instance.connected
        )


def _row(one: PlannedInstance, observed: Observed, *, connected: bool) -> PodRow:
    held = one.spec.pod.range
    return PodRow(
        name=one.spec.pod.name,
        instance=one.spec.name,
        role=one.role,
        epoch=one.spec.pod.epoch,
        range=RangeStatus(first_shard_id=held.first_shard_id, last_shard_id=held.last_shard_id),
        up_to_date=one.chosen and one.up_to_date,
        connected=connected,
        ready=connected and observed.ready,
        queue_events=observed.queue.events,
        queue_longest=observed.queue.events_longest,
        oldest_age=round(observed.queue.oldest_age, 1),
        spool_events=observed.spool.events,
        spool_bytes=observed.spool.bytes,
        spool_problem=observed.spool.problem,
        dead_letters=observed.dead_letters,
        delivered=observed.counters.delivered,
        dropped=sum(observed.counters.dropped.values()),
        transfers=observed.counters.transfers,
        worker_restarts=observed.counters.worker_restarts,
        http_address=observed.http_address if connected else None,
    )
