"""/healthz, /readyz and /metrics over HTTP."""

import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shardpod.contract import Counters, Observed
from shardpod.pod.http_endpoints import CannotListenError, HttpEndpoints
from shardpod.pod.observation import observe
from shardpod.protocol import ShardState


@pytest.fixture(scope="module")
def assignment(make_assignment):
    return make_assignment(range={"first_shard_id": 0, "last_shard_id": 1})


def observed(assignment, worker_report):
    return observe(pod="p", assignment=assignment, report=worker_report, stopping=False, http_address=None)


def serving(state, port=0):
    return HttpEndpoints(
        "127.0.0.1",
        port,
        secret="s",
        observe=lambda: state["observed"],
        report=lambda: state["report"],
        workers=lambda: None,
    )


@pytest.fixture
async def endpoints():
    state = {"observed": Observed(pod="p", why_not_ready="waiting for the operator's assignment"), "report": None}
    served = serving(state)
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


async def test_ready_and_a_bot_that_is_down_are_both_told(endpoints, assignment, shard, report):
    state, get = endpoints
    state["observed"] = observed(assignment, report())
    assert (await get("/readyz"))[:2] == (200, "ready\n")
    reconnecting = report(shard(0), shard(1, ShardState.RESUMING, connected_ago=2.0))
    state["observed"] = observed(assignment, reconnecting)
    assert (await get("/readyz"))[:2] == (200, "ready; reconnecting: shard 1 is resuming\n")
    state["observed"] = observed(assignment, report(sink_up=False, sink_problem="cannot connect"))

    assert (await get("/readyz"))[:2] == (200, "ready; delivery is down: cannot connect\n")


async def test_metrics_are_served_as_prometheus_text(endpoints, report):
    state, get = endpoints
    assert (await get("/metrics"))[0] == 200
    state["report"] = report()
    state["observed"] = Observed(pod="p", counters=Counters(worker_restarts=2))
    _, text, content_type = await get("/metrics")

    assert content_type.startswith("text/plain; version=0.0.4")
    assert "discord_gateway_queue_events 3.0" in text
    assert "discord_gateway_worker_restarts_total 2.0" in text
    assert [family.name for family in text_string_to_metric_families(text)]


async def test_a_port_that_is_taken_is_an_os_error():
    first = serving({})
    await first.start()
    port = int(first.address.rpartition(":")[2])
    second = serving({}, port)
    with pytest.raises(CannotListenError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: .*address already in use"):
        await second.start()
    await second.close()
    await first.close()
    await asyncio.sleep(0)
