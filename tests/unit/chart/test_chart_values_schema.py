"""The chart's values: every one is described, bounded by the schema, has a default, and is used."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway_operator.crd.chart import described_values

CHART = Path(__file__).parents[3] / "charts" / "discord-gateway-operator"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
TEMPLATES = {path.name: path.read_text() for path in CHART.glob("templates/**/*") if path.is_file()}


def paths_of(values: dict[str, Any], stop_at: set[str], path: str = "") -> Iterator[str]:
    """Of all defaults; maps that are one value are not looked into."""
    for name, value in values.items():
        if isinstance(value, dict) and path + name not in stop_at:
            yield from paths_of(value, stop_at, f"{path}{name}.")
        else:
            yield path + name


def objects_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("definitions", {}).values()]:
        yield from objects_in(part)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_defaults_are_allowed():
    jsonschema.validate(DEFAULTS, SCHEMA)


def test_each_value_of_the_schema_has_a_default_and_there_are_no_others():
    described = {path for path, _, _ in described_values(SCHEMA, DEFAULTS)}

    assert set(paths_of(DEFAULTS, described)) == described
    assert len(described) > 40


def test_each_value_is_described_in_sentences():
    undescribed = [
        path
        for path, field, _ in described_values(SCHEMA, DEFAULTS)
        if not re.fullmatch(r".*[.`…]", field["description"]) or field["description"] == field["description"].lower()
    ]

    assert undescribed == []


def test_a_value_that_is_misspelt_is_refused_at_every_depth():
    groups = list(objects_in(SCHEMA))
    open_ones = [
        group
        for group in groups
        # A name and more is a part of a pod, which Kubernetes checks.
        if group.get("additionalProperties") is not False and set(group["properties"]) != {"name"}
    ]

    assert len(groups) > 10
    assert open_ones == []


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("discord-gateway", True),
        ("registry.example.com:5000/team/discord-gateway", True),
        ("localhost/discord-gateway", True),
        ("discord-gateway:0.1.0", False),
        ("registry.example.com/discord-gateway@sha256:0", False),
        ("", False),
    ],
)
def test_a_repository_is_an_image_without_its_tag(value, allowed):
    validator = jsonschema.Draft7Validator(SCHEMA)

    assert validator.is_valid({"image": {"repository": value}}) is allowed


def test_templates_use_each_value_and_no_others():
    described = {path for path, _, _ in described_values(SCHEMA, DEFAULTS)}
    text = "\n".join(TEMPLATES.values())
    used = set(re.findall(r"\.Values\.([A-Za-z.]+)", text))
    # These two are read through a variable of their own: `$image.repository`.
    used |= {f"image.{name}" for name in ("repository", "tag", "digest")} | {
        f"shardPods.image.{name}" for name in ("repository", "tag", "digest")
    }

    assert described - used == set()
    assert used - described == {"image", "shardPods.image"}
