"""What the Helm chart holds of the models' and its own: the definition as a template, and the README's table of values.

Helm installs what lies in a chart's own `crds/` folder once and never upgrades it; as a template it is upgraded with
the operator.
"""

import json
from collections.abc import Iterator
from typing import Any

from .structural import Schema

CHART = "charts/discord-gateway-operator"

_METADATA = "metadata:\n  name: discordgateways.discordgateway.dev\n"
_MORE_METADATA = """\
  labels:
    {{- include "operator.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # With the definition Kubernetes would delete every gateway of the cluster.
    helm.sh/resource-policy: keep
  {{- end }}
"""

_TABLE_BEGINS = "<!-- values: made by `make crds` from values.schema.json and values.yaml -->\n"
_TABLE_ENDS = "<!-- end of values -->\n"

_WORDS = {"boolean": "true or false", "string": "text", "array": "a list", "object": "a map"}


def as_template(definition: str) -> str:
    """The definition, as it stands in crds/, as one of the chart's templates."""
    assert "{{" not in definition, "Helm would take it for an instruction"
    head, metadata, rest = definition.partition(_METADATA)
    assert metadata, "the definition's metadata is no longer its name alone"
    return "{{- if .Values.crds.enabled }}\n" + head + metadata + _MORE_METADATA + rest + "{{- end }}\n"


def with_values_table(readme: str, schema: Schema, defaults: dict[str, Any]) -> str:
    """The chart's README with its table written anew between the two comments."""
    before, begins, rest = readme.partition(_TABLE_BEGINS)
    _, ends, after = rest.partition(_TABLE_ENDS)
    assert begins, "the README's table of values has lost the comment it begins with"
    assert ends, "the README's table of values has lost the comment it ends with"
    rows = [
        f"| `{path}` | {_kind(field)} | {_default(default)} | {_cell(field['description'])} |"
        for path, field, default in described_values(schema, defaults)
    ]
    table = "\n".join(["", "| value | allowed | default | meaning |", "|---|---|---|---|", *rows, "", ""])
    return before + begins + table + ends + after


def described_values(schema: Schema, defaults: Any, path: str = "") -> Iterator[tuple[str, Schema, Any]]:
    """Each value that may be given, with its dotted path, its schema and its default; groups are left out."""
    for name, field in schema["properties"].items():
        inner = _resolved(field, schema)
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if "properties" in inner and "description" in next(iter(inner["properties"].values())):
            yield from described_values(inner | {"definitions": schema["definitions"]}, default, f"{path}{name}.")
        elif name != "global":
            yield path + name, inner | field, default


def _resolved(field: Schema, schema: Schema) -> Schema:
    reference = field.get("$ref")
    return field if reference is None else schema["definitions"][reference.removeprefix("#/definitions/")]


def _kind(field: Schema) -> str:
    match field:
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices if choice)
        case {"minimum": smallest, "maximum": largest}:
            return f"{smallest:,} to {largest:,}"
        case {"type": kind}:
            return _WORDS[kind]
    raise ValueError(f"no words for a value such as {field}")


def _default(default: Any) -> str:
    if default in ("", [], {}):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
