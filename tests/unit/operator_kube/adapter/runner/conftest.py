"""What the gateways of a replica stand on, and one of them passing under a hand on the clock."""

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from gateway_operator.control import ControlService
from gateway_operator.core.world import GatewayInfo
from gateway_operator.kube import running as running_module
from gateway_operator.kube.api import GATEWAY
from gateway_operator.kube.claims import Claims
from gateway_operator.kube.metrics import Reconciles
from gateway_operator.kube.pod_template import PodSettings
from gateway_operator.kube.runner import Runner
from gateway_operator.kube.running import Around


class Discord:
    """It recommends `shards`."""

    def __init__(self):
        self.shards = 2

    async def gateway_bot(self):
        return GatewayInfo("wss://gateway.example", self.shards, 1000, 1000, 2e5, 1, 1000.0)


@pytest.fixture
def discord(monkeypatch):
    discord = Discord()
    monkeypatch.setattr(running_module, "discord_api", lambda _settings: discord)
    return discord


@pytest.fixture
def leading():
    return SimpleNamespace(now=True)


@pytest.fixture
def around(cluster, clock, leading):
    """What the gateways of a replica share."""
    return Around(
        api=cluster,
        control=ControlService(),
        claims=Claims(),
        leads=lambda: leading.now,
        pod_settings=PodSettings(image="image:1", control_host="control.system.svc"),
        operator_namespace="system",
        replica="operator-0",
        reconciles=Reconciles(CollectorRegistry()),
        clock=clock,
        jitter=SimpleNamespace(uniform=lambda low, _high: low),
        keep_out_of_logs=lambda _key, _secrets: None,
    )


@pytest.fixture
async def runner_of(around, discord):
    """Make one; what it has begun is ended with the test."""
    made = []

    def build(name="mybot"):
        made.append(Runner(("bots", name), around))
        return made[-1]

    yield build
    for runner in made:
        if runner._running is not None:
            await runner._running.stop_reading()


@pytest.fixture
def passing(cluster, clock):
    """Passes, until all is carried out, each after a change that a watch has told of."""

    async def passing(runner, passes=4):
        for _ in range(passes):
            runner.note_change()
            runner.note_pods()
            await runner._running._watch.read() if runner._running else None
            await runner.one_pass()
            cluster.roll()
            clock.advance(2.0)

    return passing


@pytest.fixture
def condition(cluster):
    """The condition of this type in the resource's status, or None."""

    def find(kind="Ready", name="mybot"):
        status = cluster.look(GATEWAY, name).get("status") or {}
        return next((one for one in status.get("conditions", ()) if one["type"] == kind), None)

    return find
