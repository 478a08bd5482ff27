"""The metrics of a pod, as Prometheus reads them."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shardpod.pod.metrics import WorkerCollector
from shardpod.protocol import ShardState
from shardpod.worker import WorkerReport
from shardpod.worker.report import counts_only, merged


def scrape(worker_report, restarts=0):
    registry = CollectorRegistry()
    registry.register(WorkerCollector(lambda: worker_report, lambda: restarts))
    text = generate_latest(registry).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "one page, however many workers"
    return {family.name: family for family in families}


def value(families, name, **labels):
    (found,) = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    return found


def test_before_the_assignment_there_are_no_metrics():
    assert scrape(None) == {}


def test_the_metrics_can_be_parsed_and_say_what_the_report_says(shard, report):
    families = scrape(report(shard(0, gap=2.5), shard(1, ShardState.RESUMING, latency=None)), restarts=3)

    assert value(families, "discord_gateway_shards", state="connected") == 1
    assert value(families, "discord_gateway_shards", state="resuming") == 1
    assert value(families, "discord_gateway_shards", state="refused") == 0
    assert value(families, "discord_gateway_guilds", shard="1") == 10
    assert value(families, "discord_gateway_heartbeat_latency_seconds", shard="0") == 0.04
    assert len(families["discord_gateway_heartbeat_latency_seconds"].samples) == 1
    assert value(families, "discord_gateway_shard_gap_seconds", shard="0") == 2.5
    assert len(families["discord_gateway_shard_gap_seconds"].samples) == 1
    assert value(families, "discord_gateway_events_received_total", type="MESSAGE_CREATE") == 4
    assert value(families, "discord_gateway_events_dropped_total", reason="queue_full", type="TYPING_START") == 6
    assert value(families, "discord_gateway_events_dropped_total", reason="queue_full", type='odd"type\n') == 1
    assert value(families, "discord_gateway_queue_oldest_age_seconds") == 1.5
    assert value(families, "discord_gateway_sink_up") == 1
    for name, expected in (
        ("events_delivered_total", 2),
        ("events_filtered_total", 1),
        ("events_repeated_total", 7),
        ("events_not_ours_total", 9),
        ("identifies_total", 2),
        ("resumes_total", 3),
        ("sessions_lost_total", 1),
        ("queue_events", 3),
        ("queue_bytes", 300),
        ("queue_longest_events", 5),
        ("spool_events", 2),
        ("spool_bytes", 200),
        ("spool_ok", 1),
        ("dead_letters", 4),
        ("events_dead_lettered_total", 8),
        ("transfers_total", 6),
        ("worker_restarts_total", 3),
    ):
        assert value(families, f"discord_gateway_{name}") == expected
    assert all(family.documentation for family in families.values())


def test_a_sink_that_is_down_shows(report):
    assert value(scrape(report(sink_up=False)), "discord_gateway_sink_up") == 0


def test_a_spool_that_cannot_be_written_shows(report):
    assert value(scrape(report(spool_problem="the disk is full")), "discord_gateway_spool_ok") == 0


@pytest.mark.parametrize("state", [ShardState.RELEASED, ShardState.AWAITING_TRANSFER])
def test_shards_that_change_hands_are_counted(shard, report, state):
    families = scrape(report(shard(0), shard(1, state), shard(2, state)))

    assert value(families, "discord_gateway_shards", state=state.value) == 2


# Several workers.


def test_several_workers_make_one_page_with_their_counts_summed_and_the_worst_of_their_states(shard, report):
    one = report(shard(0), shard(1), oldest_age=0.5, received={"READY": 1, "A": 2})
    other = report(
        shard(2, ShardState.RESUMING),
        oldest_age=9.5,
        sink_up=False,
        spool_problem="full",
        paused=True,
        received={"READY": 1},
    )
    families = scrape(merged([one, other]))

    assert value(families, "discord_gateway_shards", state="connected") == 2
    assert value(families, "discord_gateway_shards", state="resuming") == 1
    assert value(families, "discord_gateway_events_received_total", type="READY") == 2
    assert value(families, "discord_gateway_events_received_total", type="A") == 2
    assert value(families, "discord_gateway_events_dropped_total", reason="queue_full", type="TYPING_START") == 12
    assert value(families, "discord_gateway_queue_oldest_age_seconds") == 9.5
    assert value(families, "discord_gateway_sink_up") == 0
    assert value(families, "discord_gateway_spool_ok") == 0
    assert value(families, "discord_gateway_reading_paused") == 1
    assert value(families, "discord_gateway_queue_events") == 6


def counters(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        if family.type == "counter"
        for sample in family.samples
    }


def test_no_counter_goes_back_or_vanishes_when_a_worker_dies_and_begins_again(report):
    before, other = report(), report()
    dead = counts_only(before)
    lives = [counters(scrape(merged(one))) for one in ([before, other], [dead, other], [dead, WorkerReport(), other])]
    again = counters(scrape(merged([dead, report(), other])))

    assert len(lives[0]) > 10
    assert lives[0] == lives[1] == lives[2]
    assert all(again[name] > number for name, number in lives[2].items() if "worker_restarts" not in name[0])


def test_what_waited_in_a_worker_that_died_is_not_told_twice(report):
    families = scrape(merged([counts_only(report(paused=True, sink_up=False)), WorkerReport()]))

    assert value(families, "discord_gateway_queue_events") == 0
    assert value(families, "discord_gateway_spool_bytes") == 0
    assert value(families, "discord_gateway_dead_letters") == 0
    assert value(families, "discord_gateway_sink_up") == 1
    assert value(families, "discord_gateway_reading_paused") == 0
    assert value(families, "discord_gateway_shards", state="connected") == 0
