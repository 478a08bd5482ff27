"""The operator's process: it leads, runs gateways, and stops without anybody noticing."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway_operator.kube import process
from gateway_operator.kube.api import DEPLOYMENT, LEASE
from gateway_operator.kube.pod_template import PodSettings
from gateway_operator.kube.process import Options, run_on_kubernetes
from shardpod.contract import environment

OPTIONS = Options(
    namespace="system",
    replica="operator-0",
    lease="operator",
    namespaces=(),
    pods=PodSettings(image="image:1", control_host="control.system.svc"),
    control_port=0,
    http_port=0,
)
DEADLINE = 20.0


class Stop:
    def __init__(self):
        self.asked = asyncio.Event()


class NothingWatched:
    """Kopf would look for a cluster."""

    def __init__(self, watched, namespaces): ...

    def start(self): ...

    def stop(self): ...

    def problem(self): ...


@pytest.fixture
def replica(cluster, discord, monkeypatch):
    """A process that leads at once, as if the Lease had been given back."""
    monkeypatch.setattr(process, "Watching", NothingWatched)
    monkeypatch.setattr(process, "PERMITS_USED", 0.0)
    spec = {"holderIdentity": "", "leaseTransitions": 3, "leaseDurationSeconds": 15}
    cluster.put(LEASE, {"metadata": {"namespace": "system", "name": "operator"}, "spec": spec})
    kept = []

    @asynccontextmanager
    async def run():
        stop = Stop()
        task = asyncio.create_task(run_on_kubernetes(cluster, OPTIONS, stop, kept.append))
        try:
            yield stop, kept
        finally:
            stop.asked.set()
            await asyncio.wait_for(task, DEADLINE)

    return run


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 -- the cluster has no event to wait for
            await asyncio.sleep(0.01)


async def test_the_leader_runs_gateways_and_gives_the_lease_back_when_it_stops(replica, resource, cluster):
    resource(token="t0ken")
    async with replica() as (_, kept):
        await until(lambda: cluster.all_of(DEPLOYMENT))
        assert cluster.look(LEASE, "operator", "system")["spec"]["holderIdentity"] == "operator-0"
    assert cluster.look(LEASE, "operator", "system")["spec"]["holderIdentity"] == ""

    [deployment] = cluster.all_of(DEPLOYMENT)
    assert deployment["spec"]["replicas"] == 1, "pods go on alone"
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [control] = [one["value"] for one in container["env"] if one["name"] == environment.CONTROL_ADDRESSES]
    assert control == "ws://control.system.svc:7400/v1/control/bots/mybot"
    assert "t0ken" in kept[-1], "secrets are kept out of the log from then on"


async def test_an_api_server_that_is_away_ends_nothing(replica, resource, cluster):
    resource()
    cluster.fail("", 0, times=3)
    async with replica():
        await until(lambda: cluster.all_of(DEPLOYMENT))
