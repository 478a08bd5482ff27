"""docs/metrics.md is true: it names every metric of pod and operator with its labels, and none that there is not."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase, SessionStartLimitStatus
from gateway_operator.kube.metrics import GatewayCollector, Reconciles
from shardpod.pod.metrics import WorkerCollector

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
KEY = ("bots", "mybot")
STATUS = GatewayStatus(
    name="mybot",
    phase=Phase.RUNNING,
    conditions=(Condition(type="Ready", status=ConditionStatus.TRUE, reason="Ready", message="all"),),
    shards=2,
    ready_shards=2,
    guilds=20,
    active=None,
    session_start_limit=SessionStartLimitStatus(total=1000, remaining=998, reset_at=None, max_concurrency=1),
    recommended_shards=None,
)


class Leader:
    def leads(self):
        return True

    def statuses(self):
        return {KEY: STATUS}


@pytest.fixture
def exposed(shard, report):
    """The labels of each metric by its name, of a pod and an operator of which every metric has a value."""
    registry = CollectorRegistry()
    worker = report(shard(0, gap=2.5))
    registry.register(WorkerCollector(lambda: worker, lambda: 1))
    reconciles = Reconciles(registry)
    reconciles.done(0.1)
    reconciles.failed(KEY)
    registry.register(GatewayCollector(Leader()))
    found = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_every_metric_stands_in_a_table_with_its_labels_and_no_other_does(exposed):
    rows = re.findall(r"^\| `(discord_gateway_\w+)` \| ([^|]*) \| [^|]+ \|$", PAGE.replace("| |", "|  |"), re.MULTILINE)

    assert len(rows) == len({name for name, _labels in rows}), "each once"
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == exposed


def test_every_metric_that_any_page_names_is_exposed(exposed):
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"\bdiscord_gateway_\w+(?![\w*])", pages))

    assert len(named) > 30
    assert named <= exposed.keys()


def test_every_reason_of_a_drop_is_one_of_the_workers():
    table = PAGE.split("| reason | what was dropped |")[1].split("\n\n")[0]
    reasons = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    folder = ROOT / "shardpod" / "src" / "shardpod"
    code = "".join(path.read_text() for name in ("delivery", "worker") for path in (folder / name).glob("*.py"))

    assert reasons
    assert [reason for reason in reasons if f'"{reason}"' not in code] == []
