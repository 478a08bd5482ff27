"""All fields of the spec as a page of the documentation, from what the definition says of them."""

from collections.abc import Iterator

from .definition import resource_schema
from .structural import Schema

_HEAD = """\
# All fields of a DiscordGateway

Made by `make crds` from the same descriptions as the resource definition: change them in
`operator/src/gateway_operator/crd/`, not here. What is marked * has to be given. [delivery.md](delivery.md) and
[resharding.md](resharding.md) tell what the settings do together.
"""


def as_markdown() -> str:
    spec = resource_schema()["properties"]["spec"]
    return "\n".join([_HEAD, *_tables("spec", spec)])


def _tables(path: str, schema: Schema) -> Iterator[str]:
    yield f"## {path}\n\n| field | value | default | meaning |\n|---|---|---|---|"
    inner = []
    for name, field in schema["properties"].items():
        mark = " *" if name in schema.get("required", ()) else ""
        yield f"| `{name}`{mark} | {_cell(_kind(field))} | {_default(field)} | {_cell(field['description'])} |"
        item = field.get("items", field)
        if "properties" in item and not _is_one_value(item):
            inner.append((f"{path}.{name}" + ("[]" if item is not field else ""), item))
    yield ""
    for inner_path, item in inner:
        yield from _tables(inner_path, item)


def _kind(field: Schema) -> str:
    """What may stand there, in words: those of a rule's message where there is one."""
    kind = f"text of at most {field.get('maxLength')} characters"
    match field:
        case {"enum": choices}:
            kind = ", ".join(f"`{choice}`" for choice in choices)
        case {"type": "array", "items": item}:
            kind = f"a list of at most {field['maxItems']}" + ("" if "properties" in item else f": {_kind(item)}")
        case {"type": "object", "properties": parts}:
            kind = f"a map with {' and '.join(f'`{part}`' for part in parts)}" if _is_one_value(field) else "a map"
        case {"type": "object", "additionalProperties": values}:
            kind = f"a map of at most {field['maxProperties']}: {_kind(values)}"
        case {"type": "object"}:
            kind = "a map, of Kubernetes' own kind"
        case {"type": "boolean"}:
            kind = "true or false"
        case {"type": "integer", "minimum": smallest, "maximum": largest}:
            kind = f"{smallest} to {largest}"
        case {"x-kubernetes-validations": [{"message": message}]}:
            kind = str(message).removeprefix("must be ")
        case {"x-kubernetes-int-or-string": True}:
            kind = "a name or a number"
    return kind


def _is_one_value(field: Schema) -> bool:
    """Such as the reference of a Secret, whose parts say nothing by themselves."""
    return field.get("x-kubernetes-map-type") == "atomic"


def _default(field: Schema) -> str:
    default = field.get("default", {})
    if default == {}:
        return ""
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
