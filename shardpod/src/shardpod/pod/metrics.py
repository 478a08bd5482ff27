"""Prometheus metrics, computed from the worker's plain counts when they are asked for: events pay nothing for them."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shardpod.protocol import ShardState
from shardpod.worker import WorkerReport

_PREFIX = "discord_gateway"


class WorkerCollector(Collector):
    """Collects from a fresh report at each scrape; nothing before the pod has its assignment."""

    def __init__(self, report: Callable[[], WorkerReport | None], restarts: Callable[[], int]) -> None:
        self._report = report
        self._restarts = restarts

    def collect(self) -> Iterable[Metric]:
        report = self._report()
        if report is None:
            return
        yield from _shards(report)
        yield from _queue(report)
        yield from _events(report)
        yield CounterMetricFamily(
            f"{_PREFIX}_worker_restarts", "Workers started again after they died.", value=self._restarts()
        )


def _shards(report: WorkerReport) -> Iterable[Metric]:
    states = GaugeMetricFamily(f"{_PREFIX}_shards", "Shards of this pod by state.", labels=["state"])
    for state in ShardState:
        states.add_metric([state.value], sum(shard.state is state for shard in report.shards))
    yield states
    guilds = GaugeMetricFamily(f"{_PREFIX}_guilds", "Guilds of a shard.", labels=["shard"])
    latency = GaugeMetricFamily(
        f"{_PREFIX}_heartbeat_latency_seconds", "Time from a heartbeat to its ACK.", labels=["shard"]
    )
    gap = GaugeMetricFamily(
        f"{_PREFIX}_shard_gap_seconds", "For how long nothing was read at the last interruption.", labels=["shard"]
    )
    for shard in report.shards:
        guilds.add_metric([str(shard.shard_id)], shard.guilds)
        if shard.latency is not None:
            latency.add_metric([str(shard.shard_id)], shard.latency)
        if shard.gap is not None:
            gap.add_metric([str(shard.shard_id)], shard.gap)
    yield guilds
    yield latency
    yield gap
    yield CounterMetricFamily(f"{_PREFIX}_identifies", "Identifies sent.", value=report.identifies)
    yield CounterMetricFamily(f"{_PREFIX}_resumes", "Resumes sent.", value=report.resumes)
    yield CounterMetricFamily(f"{_PREFIX}_transfers", "Shards taken over from another pod.", value=report.transfers)
    yield CounterMetricFamily(
        f"{_PREFIX}_sessions_lost", "Sessions that could not be resumed.", value=report.sessions_lost
    )


def _queue(report: WorkerReport) -> Iterable[Metric]:
    yield GaugeMetricFamily(f"{_PREFIX}_queue_events", "Events waiting for the bot.", value=report.queued_events)
    yield GaugeMetricFamily(f"{_PREFIX}_queue_bytes", "Bytes of the events waiting.", value=report.queued_bytes)
    yield GaugeMetricFamily(
        f"{_PREFIX}_queue_longest_events", "The most events that ever waited at once.", value=report.queued_longest
    )
    yield GaugeMetricFamily(
        f"{_PREFIX}_queue_oldest_age_seconds", "Age of the oldest waiting event.", value=report.oldest_age
    )
    yield GaugeMetricFamily(
        f"{_PREFIX}_spool_events", "Waiting events that are on disk as well.", value=report.spooled_events
    )
    yield GaugeMetricFamily(f"{_PREFIX}_spool_bytes", "Bytes of these events.", value=report.spooled_bytes)
    yield GaugeMetricFamily(
        f"{_PREFIX}_spool_ok", "0 while the spool cannot be written.", value=int(report.spool_problem is None)
    )
    yield GaugeMetricFamily(
        f"{_PREFIX}_reading_paused", "1 while the queue is full and sockets are not read.", value=int(report.paused)
    )
    yield GaugeMetricFamily(f"{_PREFIX}_dead_letters", "Dead letters that are kept.", value=report.dead_letters)
    yield GaugeMetricFamily(f"{_PREFIX}_sink_up", "1 while the bot acknowledges events.", value=int(report.sink_up))


def _events(report: WorkerReport) -> Iterable[Metric]:
    received = CounterMetricFamily(f"{_PREFIX}_events_received", "Events from Discord.", labels=["type"])
    for event_type, number in report.received.items():
        received.add_metric([event_type], number)
    yield received
    yield CounterMetricFamily(f"{_PREFIX}_events_delivered", "Acknowledged by the bot.", value=report.delivered)
    yield CounterMetricFamily(
        f"{_PREFIX}_events_filtered", "Left out by delivery.events of the manifest.", value=report.filtered
    )
    yield CounterMetricFamily(
        f"{_PREFIX}_events_not_ours", "Left to the other shard set while two live.", value=report.not_ours
    )
    yield CounterMetricFamily(
        f"{_PREFIX}_events_repeated", "Sent by Discord again with the same seq, and left out.", value=report.repeated
    )
    yield CounterMetricFamily(
        f"{_PREFIX}_events_dead_lettered", "Given up after maxAttempts.", value=report.dead_lettered
    )
    dropped = CounterMetricFamily(f"{_PREFIX}_events_dropped", "Dropped, by reason.", labels=["reason", "type"])
    for reason, by_type in report.dropped.items():
        for event_type, number in by_type.items():
            dropped.add_metric([reason, event_type], number)
    yield dropped
