"""The schema is one that an API server takes: structural, bounded, and with defaults that it takes itself.

The rules are those of Kubernetes' docs ("Extend the Kubernetes API with CustomResourceDefinitions: Specifying a
structural schema") and of apiextensions-apiserver's pkg/apiserver/schema/validation.go.
"""

import copy
from typing import Any

import jsonschema
import pytest
import re2
from pydantic import BaseModel

from gateway_operator.crd.structural import structural
from gateway_operator.model import parse_manifest

INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
FORBIDDEN = {
    "$ref",
    "$defs",
    "definitions",
    "dependencies",
    "deprecated",
    "discriminator",
    "id",
    "patternProperties",
    "propertyNames",
    "readOnly",
    "writeOnly",
    "xml",
    "uniqueItems",
    "const",
    "nullable",  # not the API server's rule but ours: optional fields are absent, never null
}
KNOWN = {
    "type", "description", "properties", "required", "items", "default", "enum", "format", "pattern", "anyOf",
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    "x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields", "additionalProperties", "maxProperties",
}  # fmt: skip


def faults(schema: dict[str, Any], path: str = "") -> list[str]:
    """What an API server would refuse, or we would."""
    found = [f"{path}: {word} is forbidden" for word in FORBIDDEN & set(schema)]
    found += [f"{path}: {word} is unknown" for word in set(schema) - KNOWN - FORBIDDEN]
    either = schema.get("x-kubernetes-int-or-string", False)
    if not either and "type" not in schema:
        found.append(f"{path}: has no type")
    if either and "type" in schema:
        found.append(f"{path}: has a type beside int-or-string")
    if "anyOf" in schema and not (either and schema["anyOf"] == INT_OR_STRING):
        found.append(f"{path}: anyOf with types is not structural")
    if schema.get("type") == "array" and "items" not in schema:
        found.append(f"{path}: has no items")
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            found.append(f"{path}: requires {name}, which is not among its properties")
    if schema.get("x-kubernetes-list-type") == "map":
        item = schema["items"]
        keys = schema.get("x-kubernetes-list-map-keys", ())
        if not keys or not all(key in item.get("required", ()) for key in keys):
            found.append(f"{path}: a list-map whose keys are not required")
    found += _bounds(schema, path) + _rules(schema, path)
    if path == "":
        metadata = copy.deepcopy(schema.get("properties", {}).get("metadata", {"type": "object"}))
        names = set(metadata.pop("properties", {}))
        if metadata != {"type": "object"} or not names <= {"name", "generateName"}:
            found.append("metadata: may restrict name and generateName only")
    return found + _parts(schema, path)


def _parts(schema: dict[str, Any], path: str) -> list[str]:
    found = [fault for name, part in schema.get("properties", {}).items() for fault in faults(part, f"{path}.{name}")]
    if "items" in schema:
        found += faults(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        if "properties" in schema:
            found.append(f"{path}: has both properties and additionalProperties")
        found += faults(schema["additionalProperties"], f"{path}.*")
    return found


def _bounds(schema: dict[str, Any], path: str) -> list[str]:
    bound = {"string": "maxLength", "array": "maxItems"}.get(schema.get("type", ""))
    if "additionalProperties" in schema:
        bound = "maxProperties"
    if schema.get("x-kubernetes-int-or-string"):
        bound = "maxLength"
    told_apart = "enum" in schema or schema.get("format") == "date-time"
    return [f"{path}: has no {bound}"] if bound and bound not in schema and not told_apart else []


def _rules(schema: dict[str, Any], path: str) -> list[str]:
    found = []
    for validation in schema.get("x-kubernetes-validations", ()):
        reasons = {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}
        if validation["reason"] not in reasons or "\n" in validation["rule"] + validation["message"]:
            found.append(f"{path}: {validation['message']} has an unknown reason, or line breaks")
        place = schema
        for name in validation.get("fieldPath", "").split(".")[1:]:
            place = place.get("properties", {}).get(name)
            if place is None:
                found.append(f"{path}: {validation['fieldPath']} is no field")
                break
    return found


def test_the_schema_is_structural_and_bounded(schema):
    assert faults(schema) == []


@pytest.mark.parametrize(
    ("path", "change", "fault"),
    [
        ("spec.shards", {"nullable": True}, ".spec.shards: nullable is forbidden"),
        ("spec.shards", {"type": None}, ".spec.shards: has no type"),
        ("spec.shards", {"title": "Shards"}, ".spec.shards: title is unknown"),
        ("spec.shards", {"anyOf": INT_OR_STRING}, ".spec.shards: anyOf with types is not structural"),
        ("spec.intents", {"items": None}, ".spec.intents: has no items"),
        ("spec.intents", {"maxItems": None}, ".spec.intents: has no maxItems"),
        ("spec.discord.baseURL", {"maxLength": None}, ".spec.discord.baseURL: has no maxLength"),
        ("spec.delivery.queue.maxBytes", {"type": "string"}, ".spec.delivery.queue.maxBytes: has a type beside"),
        ("spec", {"required": ["token"]}, ".spec: requires token"),
        ("metadata", {"description": "x"}, "metadata: may restrict name"),
        ("status.conditions", {"x-kubernetes-list-map-keys": ["message_"]}, ".status.conditions: a list-map"),
        (
            "spec",
            {"x-kubernetes-validations": [{"rule": "", "message": "", "reason": "Invalid", "fieldPath": ".no"}]},
            ".spec: .no is no field",
        ),
    ],
)
def test_the_checker_finds_what_is_not(schema, path, change, fault):
    wrong = copy.deepcopy(schema)
    place = wrong
    for name in path.split("."):
        place = place["properties"][name]
    place.update(change)
    for name, value in change.items():
        if value is None:
            del place[name]

    assert any(found.startswith(fault) for found in faults(wrong))


def test_all_expressions_are_those_of_go(schema):
    """Whose expressions are RE2's: no look-ahead, and no reference to what was found."""

    def patterns(part: Any):
        if isinstance(part, dict):
            if isinstance(part.get("pattern"), str):
                yield part["pattern"]
            for inner in part.values():
                yield from patterns(inner)

    found = list(patterns(schema))

    assert found
    for pattern in found:
        re2.compile(pattern)


def test_defaults_are_right_by_the_schema_itself(schema):
    def check(part: dict[str, Any]) -> int:
        count = 0
        if "default" in part and part["default"] != {}:
            jsonschema.validate(part["default"], part)
            count = 1
        return count + sum(check(inner) for inner in [*part.get("properties", {}).values(), *part_items(part)])

    def part_items(part: dict[str, Any]) -> list[dict[str, Any]]:
        return [part["items"]] if "items" in part else []

    assert check(schema) > 20


def test_what_a_cluster_fills_in_is_what_the_models_take_for_left_out(server):
    minimal = server.minimal_with("spec.presence", {})

    stored = server.stored(minimal)

    assert stored["spec"]["reshard"]["abortAfter"] == "30m"
    assert stored["spec"]["delivery"]["queue"] == {
        "maxEvents": 100000,
        "maxBytes": "256Mi",
        "overflow": "dropOldest",
        "spool": {"maxBytes": "2Gi"},
    }
    assert server.problems(stored) == []
    assert parse_manifest(stored) == parse_manifest(minimal)


def test_a_part_of_the_set_stays_one_after_defaults_are_filled_in(server):
    """A default of `reshard.auto` would look like a wish of the user's, and be refused."""
    part = server.minimal_with("spec.sharding", {"firstShardId": 8})
    part["spec"]["shards"] = 16

    assert not parse_manifest(server.stored(part)).spec.reshards_by_itself


def test_a_kind_of_schema_without_a_translation_is_an_error():
    class Strange(BaseModel):
        either: int | bool

    class Named(BaseModel):
        labels: dict[str, str]

    with pytest.raises(ValueError, match="no structural schema for the choice"):
        structural(Strange, {}, "spec")
    with pytest.raises(ValueError, match=r"spec\.labels: a map without known fields, or without a bound"):
        structural(Named, {}, "spec")
