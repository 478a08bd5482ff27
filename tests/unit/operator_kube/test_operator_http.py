"""The operator's HTTP, served on loopback and asked as kubelet, Prometheus and the command ask it."""

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import (
    Condition,
    ConditionStatus,
    GatewayStatus,
    Phase,
    ReshardStatus,
    SessionStartLimitStatus,
)
from gateway_operator.kube.http import application, serving
from gateway_operator.kube.metrics import Reconciles

MYBOT, OTHER = ("bots", "mybot"), ("bots", "other")


def build(name: str = "mybot", **changes) -> GatewayStatus:
    return GatewayStatus(
        name=name,
        **{
            "phase": Phase.RUNNING,
            "conditions": (Condition(type="Ready", status=ConditionStatus.TRUE, reason="Ready", message="all"),),
            "shards": 16,
            "ready_shards": 15,
            "guilds": 1234,
            "active": None,
            "session_start_limit": SessionStartLimitStatus(total=1000, remaining=968, reset_at=None, max_concurrency=1),
            "recommended_shards": None,
            "shard_rows": (),
            "dead_letters": 3,
            **changes,
        },
    )


class Replica:
    """Both seams: what it runs, and whether it leads."""

    def __init__(self) -> None:
        self.running: dict[tuple[str, str], GatewayStatus | None] = {MYBOT: build()}
        self.leading = True
        self.known_leader: str | None = "operator-0"
        self.asked: list[tuple[tuple[str, str], int | None]] = []
        self.problem: str | None = None

    def names(self):
        return list(self.running)

    def status(self, key):
        return self.running[key]

    def preview(self, key, to):
        self.asked.append((key, to))
        return ReshardPreview(shards=16, to=to, message="as asked")

    def leads(self) -> bool:
        return self.leading

    def leader(self) -> str | None:
        return self.known_leader


@pytest.fixture
def replica() -> Replica:
    return Replica()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def get(replica, registry):
    app = application(replica, replica, registry, lambda: replica.problem)
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def get(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, await response.text()

        yield get


async def test_it_is_healthy_while_the_watchers_are(get, replica):
    assert await get("/healthz") == (200, "ok\n")

    replica.problem = "the watcher of pods heard nothing for 95 s"
    assert await get("/healthz") == (503, "the watcher of pods heard nothing for 95 s\n")


async def test_a_standby_is_as_ready_as_the_leader(get, replica):
    assert await get("/readyz") == (200, "ready, leads\n")

    replica.leading = False
    assert await get("/readyz") == (200, "ready, stands by: operator-0 leads\n")
    replica.known_leader = None
    assert await get("/readyz") == (200, "ready, stands by: which one does stands in the Lease\n")


async def test_the_status_is_told_whole(get, replica):
    status, text = await get("/v1/gateways/bots/mybot/status")

    assert status == 200
    assert GatewayStatus.model_validate_json(text) == replica.running[MYBOT]
    assert '"readyShards":15' in text


async def test_the_gateways_are_listed(get, replica):
    replica.running[("a", "bot")] = build("bot")

    assert await get("/v1/gateways") == (
        200,
        '{"gateways": [{"namespace": "a", "name": "bot"}, {"namespace": "bots", "name": "mybot"}]}',
    )


@pytest.mark.parametrize(("query", "to"), [("", None), ("?to=32", 32)])
async def test_a_reshard_is_previewed(get, replica, query, to):
    status, text = await get(f"/v1/gateways/bots/mybot/reshard{query}")

    assert status == 200
    assert ReshardPreview.model_validate_json(text) == ReshardPreview(shards=16, to=to, message="as asked")
    assert replica.asked == [(MYBOT, to)]


@pytest.mark.parametrize("to", ["0", "many", "65537", ""])
async def test_what_is_no_number_of_shards_is_refused(get, replica, to):
    assert (await get(f"/v1/gateways/bots/mybot/reshard?to={to}"))[0] == 400
    assert replica.asked == []


@pytest.mark.parametrize("what", ["status", "reshard"])
async def test_one_that_is_not_known_is_told_which_are(get, replica, what):
    replica.running[OTHER] = None

    assert await get(f"/v1/gateways/default/mybot/{what}") == (
        404,
        "No gateway default/mybot runs here; known: bots/mybot, bots/other.\n",
    )


@pytest.mark.parametrize("what", ["status", "reshard"])
async def test_one_that_was_only_just_taken_up_has_no_answer_yet(get, replica, what):
    replica.running[MYBOT] = None

    assert await get(f"/v1/gateways/bots/mybot/{what}") == (503, "The operator has only just taken it up.\n")


@pytest.mark.parametrize(
    "path", ["/v1/gateways", "/v1/gateways/bots/mybot/status", "/v1/gateways/bots/mybot/reshard?to=2"]
)
async def test_a_standby_says_who_leads(get, replica, path):
    replica.leading = False

    assert await get(path) == (503, "This replica does not lead: operator-0 leads.\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_ordered_by_http(replica, registry, method):
    app = application(replica, replica, registry, lambda: None)
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        for path in ("/v1/gateways/bots/mybot/reshard?to=2", "/v1/gateways/bots/mybot/status"):
            async with session.request(method, f"http://127.0.0.1:{port}{path}") as response:
                assert response.status == 405


async def samples(get) -> dict[tuple[str, ...], float]:
    """Value by name and the values of the labels."""
    _, text = await get("/metrics")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_each_gateway_is_measured(get, replica):
    found = await samples(get)

    of = ("mybot", "bots")
    assert found[("discord_gateway_operator_shards", *of)] == 16
    assert found[("discord_gateway_operator_ready_shards", *of)] == 15
    assert found[("discord_gateway_operator_guilds", *of)] == 1234
    assert found[("discord_gateway_operator_identifies_remaining", *of)] == 968
    assert found[("discord_gateway_operator_dead_letters", *of)] == 3
    assert found[("discord_gateway_operator_phase", *of, "Running")] == 1
    assert found[("discord_gateway_operator_phase", *of, "Failed")] == 0
    assert found[("discord_gateway_operator_condition", *of, "Ready")] == 1
    assert {found[key] for key in found if key[0] == "discord_gateway_operator_reshard_phase"} == {0}


async def test_the_phase_of_a_reshard_is_measured(get, replica):
    reshard = ReshardStatus(
        phase="Warming",
        reason="as asked",
        from_=16,
        to=32,
        ranges=2,
        started_at="2026-03-01T00:00:00Z",
        progress="",
        message="",
    )
    replica.running[MYBOT] = build(reshard=reshard)

    found = await samples(get)
    assert found[("discord_gateway_operator_reshard_phase", "mybot", "bots", "Warming")] == 1
    assert found[("discord_gateway_operator_reshard_phase", "mybot", "bots", "Starting")] == 0


async def test_a_budget_that_is_not_known_is_not_measured(get, replica):
    replica.running = {MYBOT: build(session_start_limit=None), OTHER: None}

    found = await samples(get)
    assert not any(key[0].endswith("identifies_remaining") for key in found)
    assert not any("other" in key for key in found)


async def test_only_the_leader_measures_gateways(get, replica):
    assert (await samples(get))[("discord_gateway_operator_leader",)] == 1

    replica.leading = False
    assert await samples(get) == {("discord_gateway_operator_leader",): 0}


async def test_passes_and_those_that_failed_are_counted(get, registry):
    reconciles = Reconciles(registry)
    reconciles.done(0.02)
    reconciles.done(3)
    reconciles.failed(MYBOT)

    found = await samples(get)
    assert found[("discord_gateway_operator_reconcile_seconds_count",)] == 2
    assert found[("discord_gateway_operator_reconcile_seconds_bucket", "0.025")] == 1
    assert found[("discord_gateway_operator_reconcile_errors_total", "mybot", "bots")] == 1
