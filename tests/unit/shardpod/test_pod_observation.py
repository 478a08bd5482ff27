"""What a pod tells of itself: the operator's report, the words of /readyz, and the metrics."""

import asyncio

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shardpod.contract import Observed, from_pod
from shardpod.pod.http_endpoints import CannotListenError, HttpEndpoints
from shardpod.pod.metrics import WorkerCollector
from shardpod.pod.observation import RECONNECT_GRACE, explain_not_ready, explain_reconnecting, observe
from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport


def shard(shard_id=0, state=ShardState.CONNECTED, **fields):
    values = {
        "guilds": 10,
        "unavailable_guilds": 1,
        "all_guilds_loaded": True,
        "latency": 0.04,
        "session_id": "s",
        "resume_gateway_url": "wss://resume",
        "seq": 12,
        "settled_seq": 9,
        "close_code": None,
        "problem": None,
        **fields,
    }
    return ShardReport(shard_id=shard_id, state=state, **values)


def report(*shards, **fields):
    values = {
        "queued_events": 3,
        "queued_bytes": 300,
        "queued_longest": 5,
        "oldest_age": 1.5,
        "sink_up": True,
        "sink_problem": None,
        "received": {"MESSAGE_CREATE": 4, "READY": 2},
        "delivered": 2,
        "filtered": 1,
        "repeated": 7,
        "dropped": {"queue_full": {"TYPING_START": 6, 'odd"type\n': 1}},
        "identifies": 2,
        "resumes": 3,
        "sessions_lost": 1,
        **fields,
    }
    return WorkerReport(shards=shards or (shard(0), shard(1)), **values)


@pytest.fixture(scope="module")
def assignment(make_assignment):
    return make_assignment(term=5, n=6)


def observed(assignment, worker_report, *, stopping=False):
    return observe(
        pod="mybot-e1-0-1", assignment=assignment, report=worker_report, stopping=stopping, http_address="127.0.0.1:1"
    )


# Readiness in words.


def test_a_pod_without_an_assignment_waits_for_it():
    assert explain_not_ready(None, None, stopping=False) == "waiting for the operator's assignment"


def test_a_pod_whose_shards_are_all_connected_is_ready(assignment):
    assert explain_not_ready(assignment, report(), stopping=False) is None


def test_a_stopping_pod_says_so(assignment):
    assert explain_not_ready(assignment, report(), stopping=True) == "stopping"


def test_what_keeps_a_pod_from_being_ready_is_told_shard_by_shard(assignment):
    waiting = report(
        shard(0),
        shard(1, ShardState.AWAITING_PERMIT, problem="the identify budget is low"),
        shard(2, ShardState.RESUMING),
    )

    assert explain_not_ready(assignment, waiting, stopping=False) == (
        "1 of 3 shards connected; shard 1 is awaiting permit (the identify budget is low); shard 2 is resuming"
    )


def test_many_shards_that_wait_are_counted_not_listed(assignment):
    waiting = report(*(shard(number, ShardState.CONNECTING) for number in range(50)))
    words = explain_not_ready(assignment, waiting, stopping=False)

    assert words.startswith("0 of 50 shards connected; ")
    assert words.endswith("and 47 more")


@pytest.mark.parametrize("state", [state for state in ShardState if state is not ShardState.CONNECTED])
def test_one_shard_that_is_not_connected_is_enough(assignment, state):
    words = explain_not_ready(assignment, report(shard(0), shard(1, state)), stopping=False)

    assert f"shard 1 is {state.replace('_', ' ')}" in words


@pytest.mark.parametrize("state", [ShardState.DISCONNECTED, ShardState.CONNECTING, ShardState.RESUMING])
def test_a_pod_stays_ready_while_a_shard_reconnects_with_its_session_and_says_which(assignment, state):
    message = observed(assignment, report(shard(0), shard(1, state, connected_ago=RECONNECT_GRACE, problem="op 7")))

    assert (message.ready, message.why_not_ready) == (True, None)
    assert message.shards[1].state == state.value
    assert explain_reconnecting(message) == f"reconnecting: shard 1 is {state} (op 7)"
    assert explain_reconnecting(observed(assignment, report())) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"connected_ago": RECONNECT_GRACE + 0.1},
        {"connected_ago": None},
        {"connected_ago": 1.0, "session_id": None},
        {"connected_ago": 1.0, "state": ShardState.REFUSED},
    ],
)
def test_a_shard_that_is_away_for_long_or_lost_its_session_makes_its_pod_not_ready(assignment, changes):
    away = shard(1, **{"state": ShardState.RESUMING, **changes})
    returning = shard(2, ShardState.RESUMING, connected_ago=1.0)
    words = explain_not_ready(assignment, report(shard(0), away, returning), stopping=False)

    assert words.startswith("1 of 3 shards connected; shard 1 is ")
    assert words.endswith("shard 2 is resuming")


def test_an_assignment_that_cannot_be_carried_out_keeps_a_pod_from_being_ready(assignment):
    message = observe(
        pod="p", assignment=assignment, report=None, stopping=False, http_address=None, problem="ValueError: no port"
    )

    assert not message.ready
    assert message.why_not_ready == "the assignment cannot be carried out: ValueError: no port"


# The report.


def test_before_its_assignment_a_pod_reports_only_its_name():
    message = observed(None, None)

    assert (message.pod, message.term, message.n, message.ready) == ("mybot-e1-0-1", 0, 0, False)
    assert message.shards == ()


def test_the_report_tells_all_and_survives_the_wire(assignment):
    message = observed(assignment, report())

    assert from_pod.validate_json(message.model_dump_json()) == message
    assert (message.term, message.n, message.epoch, message.shard_count) == (5, 6, 1, 16)
    assert message.ready
    assert (message.counters.received, message.counters.delivered, message.counters.dropped) == (
        6,
        2,
        {"queue_full": 7},
    )
    assert (message.queue.events, message.queue.bytes, message.queue.oldest_age, message.queue.events_longest) == (
        3,
        300,
        1.5,
        5,
    )
    first = message.shards[0]
    assert (first.seq, first.acknowledged_seq, first.state) == (12, 9, "connected")


@pytest.mark.parametrize("state", list(ShardState))
def test_every_state_of_the_protocol_is_one_of_the_contract(assignment, state):
    assert observed(assignment, report(shard(0, state))).shards[0].state == state.value


def test_a_checkpoint_names_what_is_settled_and_not_what_was_received(assignment):
    (one, _) = observed(assignment, report()).shards
    checkpoint = one.checkpoint_remote

    assert (checkpoint.session_id, checkpoint.seq, checkpoint.resume_gateway_url) == ("s", 9, "wss://resume")
    assert (checkpoint.shard_id, checkpoint.shard_count) == (0, 16)
    assert one.checkpoint_local == checkpoint


@pytest.mark.parametrize("missing", ["session_id", "settled_seq", "resume_gateway_url"])
def test_without_a_whole_session_there_is_no_checkpoint(assignment, missing):
    assert observed(assignment, report(shard(0, **{missing: None}))).shards[0].checkpoint_remote is None


# Metrics.


def scrape(worker_report):
    registry = CollectorRegistry()
    registry.register(WorkerCollector(lambda: worker_report))
    text = generate_latest(registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


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


def test_the_metrics_can_be_parsed_and_say_what_the_report_says():
    families = scrape(report(shard(0), shard(1, ShardState.RESUMING, latency=None)))

    assert value(families, "discord_gateway_shards", state="connected") == 1
    assert value(families, "discord_gateway_shards", state="resuming") == 1
    assert value(families, "discord_gateway_shards", state="refused") == 0
    assert value(families, "discord_gateway_guilds", shard="1") == 10
    assert value(families, "discord_gateway_heartbeat_latency_seconds", shard="0") == 0.04
    assert len(families["discord_gateway_heartbeat_latency_seconds"].samples) == 1
    assert value(families, "discord_gateway_events_received_total", type="MESSAGE_CREATE") == 4
    assert value(families, "discord_gateway_events_dropped_total", reason="queue_full", type="TYPING_START") == 6
    assert value(families, "discord_gateway_events_dropped_total", reason="queue_full", type='odd"type\n') == 1
    assert value(families, "discord_gateway_queue_oldest_age_seconds") == 1.5
    assert value(families, "discord_gateway_sink_up") == 1
    for name, expected in (
        ("events_delivered_total", 2),
        ("events_filtered_total", 1),
        ("events_repeated_total", 7),
        ("identifies_total", 2),
        ("resumes_total", 3),
        ("sessions_lost_total", 1),
        ("queue_events", 3),
        ("queue_bytes", 300),
        ("queue_longest_events", 5),
    ):
        assert value(families, f"discord_gateway_{name}") == expected
    assert all(family.documentation for family in families.values())


def test_a_sink_that_is_down_shows():
    assert value(scrape(report(sink_up=False)), "discord_gateway_sink_up") == 0


# The endpoints.


@pytest.fixture
async def endpoints():
    state = {"observed": Observed(pod="p", why_not_ready="waiting for the operator's assignment"), "report": None}
    served = HttpEndpoints("127.0.0.1", 0, observe=lambda: state["observed"], report=lambda: state["report"])
    await served.start()
    async with aiohttp.ClientSession() as client:

        async def get(path):
            async with client.get(f"http://{served.address}{path}") as response:
                return response.status, await response.text(), response.headers["Content-Type"]

        yield state, get
    await served.close()


async def test_a_pod_that_lives_is_healthy_even_if_it_is_not_ready(endpoints):
    _, get = endpoints

    assert (await get("/healthz"))[:2] == (200, "ok\n")
    assert (await get("/readyz"))[:2] == (503, "not ready: waiting for the operator's assignment\n")


async def test_ready_and_a_bot_that_is_down_are_both_told(endpoints, assignment):
    state, get = endpoints
    state["observed"] = observed(assignment, report())
    assert (await get("/readyz"))[:2] == (200, "ready\n")
    reconnecting = report(shard(0), shard(1, ShardState.RESUMING, connected_ago=2.0))
    state["observed"] = observed(assignment, reconnecting)
    assert (await get("/readyz"))[:2] == (200, "ready; reconnecting: shard 1 is resuming\n")
    state["observed"] = observed(assignment, report(sink_up=False, sink_problem="cannot connect"))

    assert (await get("/readyz"))[:2] == (200, "ready; delivery is down: cannot connect\n")


async def test_metrics_are_served_as_prometheus_text(endpoints):
    state, get = endpoints
    assert (await get("/metrics"))[0] == 200
    state["report"] = report()
    _, text, content_type = await get("/metrics")

    assert content_type.startswith("text/plain; version=0.0.4")
    assert "discord_gateway_queue_events 3.0" in text
    assert [family.name for family in text_string_to_metric_families(text)]


async def test_a_port_that_is_taken_is_an_os_error():
    first = HttpEndpoints("127.0.0.1", 0, observe=lambda: Observed(pod="p"), report=lambda: None)
    await first.start()
    port = int(first.address.rpartition(":")[2])
    second = HttpEndpoints("127.0.0.1", port, observe=lambda: Observed(pod="p"), report=lambda: None)
    with pytest.raises(CannotListenError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: .*address already in use"):
        await second.start()
    await second.close()
    await first.close()
    await asyncio.sleep(0)
