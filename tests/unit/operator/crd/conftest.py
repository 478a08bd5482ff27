"""What an API server makes of a resource, as far as its documentation says it: prune, default, validate, rules.

Regular expressions are RE2's, which Go's are, and rules are carried out by cel-python. Not the real thing: how it
reckons the cost of rules is not here.
"""

import copy
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import pytest
import re2
import yaml
from celpy import celtypes

from gateway_operator.model.units import quantity

DEFINITION = Path(__file__).parents[4] / "crds" / "discordgateways.yaml"

MINIMAL: dict[str, Any] = {
    "apiVersion": "discordgateway.dev/v1alpha1",
    "kind": "DiscordGateway",
    "metadata": {"name": "mybot"},
    "spec": {
        "tokenSecretRef": {"name": "mybot", "key": "token"},
        "intents": ["Guilds"],
        "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
    },
}

Problem = tuple[str, str]


class ApiServer:
    """Answers with the path and the text of each problem; no problem: the resource would be stored."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def problems(self, manifest: dict[str, Any]) -> list[Problem]:
        resource = self.stored(manifest)
        errors = list(_Validator(self.schema).iter_errors(resource))
        problems = [*_unknown(self.schema, manifest, "")]
        problems += [(_dotted(error.absolute_path), error.message) for error in errors]
        # Rules are not tried on what has the wrong shape: the API server does not either.
        if not any(error.validator in _BLOCKING for error in errors):
            problems += _broken(self.schema, resource, "")
        return problems

    def stored(self, manifest: dict[str, Any]) -> Any:
        """With the defaults filled in."""
        return _defaulted(self.schema, copy.deepcopy(manifest))

    def minimal_with(self, path: str, value: object) -> dict[str, Any]:
        return self.with_field(MINIMAL, path, value)

    def with_field(self, manifest: dict[str, Any], path: str, value: object) -> dict[str, Any]:
        data = copy.deepcopy(manifest)
        *parents, last = path.split(".")
        place = data
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
        return data


@pytest.fixture(scope="session")
def definition() -> dict[str, Any]:
    return yaml.safe_load(DEFINITION.read_text())


@pytest.fixture(scope="session")
def schema(definition) -> dict[str, Any]:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.fixture(scope="session")
def server(schema) -> ApiServer:
    return ApiServer(schema)


_BLOCKING = {"type", "required", "maxLength", "maxItems", "maxProperties", "anyOf"}


def _pattern(_validator: Any, pattern: str, value: object, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not re2.search(pattern, value):
        yield jsonschema.ValidationError(f"should match '{pattern}'")


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def _dotted(path: Any) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _fields(schema: dict[str, Any], value: object, path: str) -> Iterator[tuple[dict[str, Any], Any, str]]:
    """What is in `value` and known, each with its schema and path."""
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            if name in value:
                yield part, value[name], f"{path}.{name}".removeprefix(".")
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield schema["items"], item, f"{path}[{index}]"


def _unknown(schema: dict[str, Any], value: object, path: str) -> Iterator[Problem]:
    """What would be pruned; `kubectl` asks the API server to refuse it (--validate=strict, its default)."""
    if path == "metadata":
        return  # the API server has a schema of its own for it
    if isinstance(value, dict):
        for name in value:
            if "properties" in schema and name not in schema["properties"]:
                yield f"{path}.{name}".removeprefix("."), "unknown field"
    for part, inner, inner_path in _fields(schema, value, path):
        yield from _unknown(part, inner, inner_path)


def _defaulted(schema: dict[str, Any], value: Any) -> Any:
    if isinstance(value, dict):
        for name, part in schema.get("properties", {}).items():
            # A null where there is a default, and nullable is not set, counts as left out.
            if "default" in part and value.get(name) is None:
                value[name] = copy.deepcopy(part["default"])
    for part, inner, _ in _fields(schema, value, ""):
        _defaulted(part, inner)
    return value


def _broken(schema: dict[str, Any], value: object, path: str) -> Iterator[Problem]:
    for validation in schema.get("x-kubernetes-validations", ()):
        try:
            holds = _holds(validation["rule"], json.dumps(value))
        except celpy.CELEvalError as error:
            yield path, f"the rule failed: {error}"
        else:
            if not holds:
                yield path + validation.get("fieldPath", ""), validation["message"]
    for part, inner, inner_path in _fields(schema, value, path):
        yield from _broken(part, inner, inner_path)


def _quantity(text: object) -> celtypes.IntType:
    return celtypes.IntType(quantity(str(text)))


def _compare(one: int, other: int) -> celtypes.IntType:
    return celtypes.IntType((one > other) - (one < other))


def _is_quantity(text: object) -> celtypes.BoolType:
    try:
        _quantity(text)
    except ValueError:
        return celtypes.BoolType(False)
    return celtypes.BoolType(True)


@cache
def _holds(rule: str, value: str) -> bool:
    return bool(_program(rule).evaluate({"self": celpy.json_to_cel(json.loads(value))}))


@cache
def _program(rule: str) -> Any:
    # Kubernetes' own functions for quantities, which cel-python does not have.
    functions = {"quantity": _quantity, "compareTo": _compare, "isQuantity": _is_quantity}
    limit = sys.getrecursionlimit()
    try:
        environment = celpy.Environment()  # it raises the limit for the whole process, which others rely on
        return environment.program(environment.compile(rule), functions=functions)
    finally:
        sys.setrecursionlimit(limit)
