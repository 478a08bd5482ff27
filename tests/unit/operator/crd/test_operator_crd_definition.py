"""The resource definition as it stands in crds/: what the models give, described, and fit for kubectl."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway_operator.core.status_model import (
    Condition,
    ConditionStatus,
    GatewayStatus,
    Phase,
    RangeStatus,
    ReshardStatus,
    RolloutStatus,
    SessionStartLimitStatus,
    ShardSetStatus,
)
from gateway_operator.crd import as_yaml
from gateway_operator.crd.__main__ import DEFINITION, REFERENCE, main
from gateway_operator.crd.reference import as_markdown
from gateway_operator.crd.spec_descriptions import SPEC_DESCRIPTIONS
from gateway_operator.crd.status_descriptions import STATUS_DESCRIPTIONS
from gateway_operator.crd.written import duration_text, size_text
from gateway_operator.model.gateway import DiscordGateway

ROOT = Path(__file__).parents[4]


def fields_of(schema: dict[str, Any], path: str = ""):
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from fields_of(part.get("items", part), f"{path}.{name}")


def at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for name in path.removeprefix(".").split("."):
        schema = schema["properties"][name]
    return schema


@pytest.mark.parametrize(("path", "text"), [(DEFINITION, as_yaml), (REFERENCE, as_markdown)])
def test_the_file_is_what_the_models_give(path, text):
    assert (ROOT / path).read_text() == text(), f"{path} is out of date: run `make crds`"


def test_make_crds_writes_both_files(tmp_path):
    main(tmp_path)

    assert (tmp_path / DEFINITION).read_text() == as_yaml()
    assert (tmp_path / REFERENCE).read_text() == as_markdown()


def test_kubectl_finds_it_by_its_names(definition):
    assert definition["metadata"]["name"] == "discordgateways.discordgateway.dev"
    assert definition["spec"]["names"] == {
        "kind": "DiscordGateway",
        "listKind": "DiscordGatewayList",
        "plural": "discordgateways",
        "singular": "discordgateway",
        "shortNames": ["dgw"],
        "categories": ["discord"],
    }


def test_every_field_is_described_in_sentences(schema):
    # Of the metadata the API server allows no description, and has its own.
    undescribed = [
        path
        for path, field in fields_of(schema)
        if path != ".metadata" and not field.get("description", "").endswith(".")
    ]

    assert undescribed == []


def test_no_description_is_of_a_field_that_is_gone():
    def known(model):
        definitions = model.model_json_schema(by_alias=True)
        models = {model.__name__: definitions, **definitions["$defs"]}
        return {(name, field) for name, part in models.items() for field in part.get("properties", ())}

    described = {
        (model, field)
        for table in (SPEC_DESCRIPTIONS, STATUS_DESCRIPTIONS)
        for model, fields in table.items()
        for field in fields
        if field
    }

    assert described - known(DiscordGateway) - known(GatewayStatus) - {("DiscordGateway", "status")} == set()


def test_fields_that_do_not_work_yet_are_left_out(schema):
    """So that they are refused, and not stored with nobody to carry them out."""
    paths = {path for path, _ in fields_of(schema)}

    assert not paths & {".spec.commands", ".spec.handlers", ".spec.delivery.sink.nats"}
    assert ".spec.delivery.sink.http" in paths


def test_shards_scale(definition, schema):
    scale = definition["spec"]["versions"][0]["subresources"]["scale"]

    assert at(schema, scale["specReplicasPath"])["type"] == "integer"
    assert at(schema, scale["statusReplicasPath"])["type"] == "integer"
    assert at(schema, scale["labelSelectorPath"])["type"] == "string"
    assert "default" not in at(schema, ".spec.shards")


def test_columns_show_fields_of_the_status(definition, schema):
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]

    narrow = [column["name"] for column in columns if not column.get("priority")]
    assert narrow == ["Shards", "Ready", "Guilds", "Phase", "Epoch", "Age"]
    assert [column["name"] for column in columns if column.get("priority")] == ["Identifies", "Reason"]
    for column in columns:
        if column["jsonPath"].startswith(".status.") and "[" not in column["jsonPath"]:
            assert at(schema, column["jsonPath"])["type"] == column["type"]


def test_conditions_are_those_that_kubectl_wait_reads(schema):
    conditions = at(schema, ".status.conditions")

    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert set(conditions["items"]["properties"]) == {
        "type",
        "status",
        "reason",
        "message",
        "lastTransitionTime",
        "observedGeneration",
    }
    assert "observedGeneration" not in conditions["items"]["required"]


def test_the_status_has_no_rows_of_shards_and_pods(schema):
    status = at(schema, ".status")

    assert not {"name", "shardRows", "pods"} & set(status["properties"])
    assert {"observedGeneration", "selector", "active", "pending", "reshard"} <= set(status["properties"])
    assert "required" not in status


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.1, "100ms"), (1.5, "1500ms"), (90, "90s"), (1800, "30m"), (86400, "24h")]
)
def test_durations_are_written_in_their_largest_whole_unit(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, 0), (1000, 1000), (1024, "1Ki"), (268435456, "256Mi"), (2**31, "2Gi"), (2**40, "1Ti")]
)
def test_sizes_are_written_in_their_largest_whole_unit(size, text):
    assert size_text(size) == text


def test_a_status_as_the_operator_tells_it_fits(server):
    half = RangeStatus(first_shard_id=0, last_shard_id=1)
    shard_set = ShardSetStatus(epoch=1, shard_count=4, ranges=(half,), ready=4)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    status = GatewayStatus(
        name="mybot",
        phase=Phase.RUNNING,
        conditions=(
            Condition(type="Ready", status=ConditionStatus.TRUE, reason="AllConnected", message="All is well."),
        ),
        shards=4,
        ready_shards=4,
        guilds=2000,
        active=shard_set,
        pending=shard_set,
        reshard=ReshardStatus.model_validate(
            {"from": 4, "to": 8, "phase": "Warming", "reason": "Asked", "ranges": 4, "progress": "", "message": ""}
            | {"handed_ranges": (half,), "started_at": now, "waiting_for": "calm"}
        ),
        session_start_limit=SessionStartLimitStatus(total=1000, remaining=996, reset_at=None, max_concurrency=1),
        recommended_shards=None,
        shard_rows=(),
        rollout=RolloutStatus(restarts=0, pods=2, replaced=2, leaving=0),
    )
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name", "shard_rows", "pods"})
    told["conditions"][0] |= {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3}
    resource = server.minimal_with("status", told | {"observedGeneration": 3, "selector": "app=mybot"})

    assert server.problems(resource) == []
    assert server.problems(server.minimal_with("status", told | {"phase": "Fine"})) != []
    assert server.problems(server.minimal_with("status", told | {"shardRows": []})) != []
