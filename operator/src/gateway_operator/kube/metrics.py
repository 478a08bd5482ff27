"""Prometheus metrics of the operator, read from the statuses when they are asked for.

Their prefix is not that of the shard pods' own: a sum over all pods of `discord_gateway_guilds` must not count every
guild a second time.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway_operator.control import Key
from gateway_operator.core.status_model import ConditionStatus, GatewayStatus, Phase
from gateway_operator.core.world import ReshardPhase

_PREFIX = "discord_gateway_operator"
_OF_A_GATEWAY = ("namespace", "gateway")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Statuses(Protocol):
    """What is collected: nothing by a replica that does not lead."""

    def leads(self) -> bool: ...

    def statuses(self) -> Mapping[Key, GatewayStatus]: ...


class Reconciles:
    """Counts the passes over the gateways of this replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds", "How long a pass over a gateway took.", buckets=_BUCKETS, registry=registry
        )
        self._errors = Counter(
            f"{_PREFIX}_reconcile_errors", "Passes over a gateway that failed.", _OF_A_GATEWAY, registry=registry
        )

    def done(self, seconds: float) -> None:
        """A pass has ended, well or not."""
        self._seconds.observe(seconds)

    def failed(self, key: Key) -> None:
        self._errors.labels(*key).inc()


class GatewayCollector(Collector):
    """Collects at each scrape."""

    def __init__(self, source: Statuses) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        leads = self._source.leads()
        yield GaugeMetricFamily(f"{_PREFIX}_leader", "1 for the replica that leads.", value=int(leads))
        statuses = self._source.statuses() if leads else {}
        yield from _numbers(statuses)
        yield from _phases(statuses)
        yield _conditions(statuses)


def _numbers(statuses: Mapping[Key, GatewayStatus]) -> Iterable[Metric]:
    shards = _gauge("shards", "Shards of the whole set.")
    ready = _gauge("ready_shards", "Shards of the active set that are connected.")
    guilds = _gauge("guilds", "Guilds on the shards of the active set.")
    remaining = _gauge("identifies_remaining", "Identifies that Discord says are left.")
    letters = _gauge("dead_letters", "Events that the bot refused too often.")
    ranges = _gauge("reshard_ranges", "Ranges that the gateway's reshard hands over.")
    handed = _gauge("reshard_ranges_handed", "Of these, those that the new shard set has.")
    for key, status in statuses.items():
        shards.add_metric(key, status.shards)
        ready.add_metric(key, status.ready_shards)
        guilds.add_metric(key, status.guilds)
        letters.add_metric(key, status.dead_letters)
        ranges.add_metric(key, 0 if status.reshard is None else status.reshard.ranges)
        handed.add_metric(key, 0 if status.reshard is None else len(status.reshard.handed_ranges))
        if status.session_start_limit is not None:
            remaining.add_metric(key, status.session_start_limit.remaining)
    return shards, ready, guilds, remaining, letters, ranges, handed


def _phases(statuses: Mapping[Key, GatewayStatus]) -> Iterable[Metric]:
    """All phases, 1 for the one it is in: an alert need not know when a series ends."""
    phases = _gauge("phase", "1 for the phase that the gateway is in.", "phase")
    reshards = _gauge("reshard_phase", "1 for the phase that the gateway's reshard is in.", "phase")
    for key, status in statuses.items():
        for phase in Phase:
            phases.add_metric((*key, phase.value), int(status.phase is phase))
        for step in ReshardPhase:
            inside = status.reshard is not None and status.reshard.phase == step.value
            reshards.add_metric((*key, step.value), int(inside))
    return phases, reshards


def _conditions(statuses: Mapping[Key, GatewayStatus]) -> Metric:
    conditions = _gauge("condition", "1 if the condition is True, 0 if not, -1 if that is unknown.", "type")
    for key, status in statuses.items():
        for condition in status.conditions:
            conditions.add_metric((*key, condition.type), _NUMBERS[condition.status])
    return conditions


_NUMBERS = {ConditionStatus.TRUE: 1, ConditionStatus.FALSE: 0, ConditionStatus.UNKNOWN: -1}


def _gauge(name: str, text: str, *further: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=[*_OF_A_GATEWAY, *further])
