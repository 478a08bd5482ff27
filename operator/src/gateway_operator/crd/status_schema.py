"""The schema of the status: what core/status_model.py tells, and what only a cluster knows.

Its bounds lie far above what the operator writes. They are there because the API server reckons with them, not to
refuse anything.
"""

from typing import Any

from gateway_operator.core.status_model import GatewayStatus

from .status_descriptions import STATUS_DESCRIPTIONS
from .structural import Schema, structural

_NOT_IN_THE_RESOURCE = ("name", "shardRows", "pods")
"""The name stands in the metadata already; thousands of shards would not fit."""

_MAX_CHARACTERS = 1024
_MAX_MESSAGE = 32768
_MAX_ITEMS = 65536

_CONDITION: dict[str, Schema] = {
    "type": {"maxLength": 316, "pattern": "^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?$"},
    "reason": {"maxLength": 1024, "minLength": 1, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
    "message": {"maxLength": _MAX_MESSAGE},
    "lastTransitionTime": {
        "type": "string",
        "format": "date-time",
        "description": "When the status of this condition changed last.",
    },
    "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "description": "The generation of the resource that this condition is about.",
    },
}
"""As metav1.Condition has them, for `kubectl wait` and everything else that reads conditions."""


def status_schema() -> Schema:
    schema = structural(GatewayStatus, STATUS_DESCRIPTIONS, "status")
    del schema["required"]  # whoever writes a status writes what is known by then
    fields = schema["properties"]
    for name in _NOT_IN_THE_RESOURCE:
        del fields[name]
    schema["properties"] = {
        "observedGeneration": {
            "description": "The generation of the resource that this status is about.",
            "type": "integer",
            "format": "int64",
            "minimum": 0,
        },
        **fields,
        "selector": {
            "description": "Selects the pods of this gateway, for those who scale by the scale subresource.",
            "type": "string",
        },
    }
    _conditions(fields["conditions"])
    _bound(schema)
    return schema


def _conditions(conditions: Schema) -> None:
    conditions |= {"maxItems": 32, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    condition = conditions["items"]
    for name, bounds in _CONDITION.items():
        condition["properties"].setdefault(name, {}).update(bounds)
    condition["required"] = [*condition["required"], "lastTransitionTime"]


def _bound(schema: Any) -> None:
    """Gives a bound to what has none, and takes defaults away: a status says what is, never what usually is."""
    schema.pop("default", None)
    match schema.get("type"):
        case "string" if "enum" not in schema and "format" not in schema:
            schema.setdefault("maxLength", _MAX_CHARACTERS)
        case "array":
            schema.setdefault("maxItems", _MAX_ITEMS)
            _bound(schema["items"])
        case "object":
            for part in schema["properties"].values():
                _bound(part)
