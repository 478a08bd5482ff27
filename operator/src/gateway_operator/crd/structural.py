"""Makes of pydantic's JSON schema what Kubernetes calls structural (docs, Custom Resources: structural schemas).

References are written out, and what may be left out is absent, never null. A keyword that is not known here is an
error: translated wrongly it would refuse good manifests, or let bad ones through.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from .cel import RULES, Rule, duration_within, matching, size_within
from .written import duration_text, size_text

Schema = dict[str, Any]
Descriptions = Mapping[str, Mapping[str, str]]
"""What each field means, by model and field."""

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_PRESERVED = "x-kubernetes-preserve-unknown-fields"
"""Of what Kubernetes has a schema of its own for."""

_KEPT = ("enum", "format", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems")
_READ = {
    "type",
    "properties",
    "required",
    "items",
    "default",
    "ge",
    "le",
    "x-allowed",
    "x-pattern",
    "x-zero-or-from",
    "x-model",
    "propertyNames",
    "patternProperties",
    "maxProperties",
    _PRESERVED,
}
_NOT_NEEDED = {"title", "description", "additionalProperties", "anyOf"}
"""Unknown fields are pruned by the API server, and told of, without a word in the schema."""

_LARGEST_INT32 = 2**31 - 1
_WITHOUT_DEFAULT = {"spec.reshard.auto"}
"""Whether a person wrote it or not makes a difference: see `Spec.reshards_by_itself`."""


def structural(model: type[BaseModel], descriptions: Descriptions, path: str) -> Schema:
    """The schema of `model`, which stands at `path` of the resource."""
    source = model.model_json_schema(by_alias=True)
    definitions = source.pop("$defs", {})
    return _Writer(definitions, descriptions).schema(source | {"x-model": model.__name__}, path)


def structural_field(model: type[BaseModel], name: str, descriptions: Descriptions, path: str) -> Schema:
    """The schema of one field, where a definition may say nothing of the others."""
    source = model.model_json_schema(by_alias=True)
    writer = _Writer(source.pop("$defs", {}), descriptions)
    return {"description": descriptions[model.__name__][name]} | writer.schema(source["properties"][name], path)


class _Writer:
    def __init__(self, definitions: Schema, descriptions: Descriptions) -> None:
        self._definitions = definitions
        self._descriptions = descriptions

    def schema(self, node: Schema, path: str) -> Schema:
        """`node` as Kubernetes takes it."""
        node = self._flat(node)
        if unknown := set(node) - set(_KEPT) - _READ - _NOT_NEEDED:
            raise ValueError(f"{path}: no translation for {', '.join(sorted(unknown))}")
        written: Schema = {"x-kubernetes-int-or-string": True, "anyOf": _INT_OR_STRING}
        if "anyOf" not in node:
            written = {"type": node["type"]}
        written |= {keyword: node[keyword] for keyword in _KEPT if keyword in node}
        written |= _default(node, path)
        match written.get("type"):
            case "integer":
                written["format"] = "int32" if node.get("maximum", _LARGEST_INT32 + 1) <= _LARGEST_INT32 else "int64"
            case "array":
                written |= {"x-kubernetes-list-type": "atomic", "items": self.schema(node["items"], f"{path}[]")}
            case "object":
                written |= self._object(node, path)
        if rules := (*_rules_of_a_value(node), *RULES.get(path, ())):
            written["x-kubernetes-validations"] = [rule.as_validation() for rule in rules]
        return written

    def _object(self, node: Schema, path: str) -> Schema:
        given = {name: self._flat(part) for name, part in node.get("properties", {}).items()}
        fields = {name: part for name, part in given.items() if "not" not in part}
        if not fields:
            return {_PRESERVED: True} if node.get(_PRESERVED) else self._texts(node, path)
        model = self._descriptions.get(node["x-model"], {})
        written: Schema = {}
        if node["x-model"] == "SecretRef":
            written["x-kubernetes-map-type"] = "atomic"  # a name and a key of two writers would be no secret's
        nullable = {name for name, part in node["properties"].items() if {"type": "null"} in part.get("anyOf", ())}
        if required := [name for name in node.get("required", ()) if name in fields and name not in nullable]:
            written["required"] = required
        written["properties"] = {
            name: {"description": model.get(name, "")} | self.schema(part, f"{path}.{name}")
            for name, part in fields.items()
        }
        return written

    def _texts(self, node: Schema, path: str) -> Schema:
        """A map whose keys users choose. Rules for the keys cannot be told here: the models have them alone."""
        match [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]:
            case [dict() as values, *_] if "maxProperties" in node:
                return {"maxProperties": node["maxProperties"], "additionalProperties": self.schema(values, path)}
        raise ValueError(f"{path}: a map without known fields, or without a bound")

    def _flat(self, node: Schema) -> Schema:
        """`node` with its reference written out, and without the null that stands for an absent field."""
        if reference := node.get("$ref"):
            name = reference.removeprefix("#/$defs/")
            around = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
            return self._flat(self._definitions[name] | {"x-model": name} | around)
        choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
        around = {keyword: value for keyword, value in node.items() if keyword != "anyOf"}
        match choices:
            case []:
                return node
            case [only]:
                return self._flat(only | around)
            case [{"type": "integer"} as one, {"type": "string"} as other] | [
                {"type": "string"} as other,
                {"type": "integer"} as one,
            ]:
                return {"anyOf": _INT_OR_STRING} | _without_type(one) | _without_type(other) | around
        raise ValueError(f"no structural schema for the choice {choices}")


def _without_type(node: Schema) -> Schema:
    return {keyword: value for keyword, value in node.items() if keyword != "type"}


def _default(node: Schema, path: str) -> Schema:
    """An empty list means the same as none, and a map's own defaults stand at its fields."""
    default = node.get("default")
    if default is None or default == [] or path in _WITHOUT_DEFAULT:
        return {}
    if node.get("type") == "object":
        return {"default": {}}
    if "ge" in node:
        default = duration_text(default) if node.get("type") == "string" else size_text(default)
    return {"default": default}


def _rules_of_a_value(node: Schema) -> Iterator[Rule]:
    words = node.get("x-allowed", "")
    if pattern := node.get("x-pattern"):
        yield matching(pattern, words)
    if "ge" not in node:
        return
    if node.get("type") == "string":
        yield duration_within(node["ge"], node["le"], words)
    else:
        smallest = node.get("x-zero-or-from")
        yield size_within(smallest or node["ge"], node["le"], words, or_none=smallest is not None)
