"""One row a pod: its queue and what it has delivered."""

from collections.abc import Iterator, Mapping

from .status_model import PodRow
from .world import PodSeen, PodSpec


def pod_rows(pods: tuple[PodSpec, ...], seen: Mapping[str, PodSeen]) -> Iterator[PodRow]:
    """Every pod that the plan wants, in order; of one that never reported only the name is known."""
    for spec in pods:
        pod = seen.get(spec.name)
        observed = pod.observed if pod is not None else None
        if pod is None or observed is None:
            yield PodRow(name=spec.name, connected=False, ready=False)
            continue
        yield PodRow(
            name=spec.name,
            connected=pod.connected,
            ready=pod.connected and observed.ready,
            queue_events=observed.queue.events,
            queue_longest=observed.queue.events_longest,
            oldest_age=round(observed.queue.oldest_age, 1),
            delivered=observed.counters.delivered,
            dropped=sum(observed.counters.dropped.values()),
            http_address=observed.http_address,
        )
