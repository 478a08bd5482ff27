"""Lays the manifest's `template` over the pod that the operator builds, as `kubectl patch` would merge the two.

Maps are merged, a null takes away what is there, and lists are replaced, but for those whose items have a key (API
reference, patchStrategy). Tolerations are added to ours. What must not be changed is refused with the manifest
(model/pod_overlay.py), not here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway_operator.model import Template
from gateway_operator.model.pod_overlay import CONTAINER_LISTS, POD_LISTS

from .names import Body

_ADDED = "tolerations"
_CONTAINERS = {"containers", "initContainers"}


def overlaid(built: Body, template: Template | None) -> Body:
    """The pod template with what the manifest wants of it; `built` is left as it is. Our labels stay."""
    if template is None:
        return built
    metadata = built["metadata"]
    labels = {**template.metadata.labels, **metadata["labels"]}
    annotations = {**template.metadata.annotations, **metadata.get("annotations", {})}
    return {
        **built,
        "metadata": {**metadata, "labels": labels} | ({"annotations": annotations} if annotations else {}),
        "spec": _pod(built["spec"], template.spec),
    }


def _pod(ours: Body, theirs: Mapping[str, Any]) -> Body:
    merged: Body = _merged(ours, _without(theirs, {*POD_LISTS, _ADDED}))
    for name, key in POD_LISTS.items():
        if theirs.get(name):
            merge = _container if name in _CONTAINERS else _taken_whole
            merged[name] = _merged_list(ours.get(name, []), theirs[name], key, merge)
    if theirs.get(_ADDED):
        merged[_ADDED] = [*ours.get(_ADDED, ()), *theirs[_ADDED]]
    return merged


def _container(ours: Body, theirs: Body) -> Body:
    merged: Body = _merged(ours, _without(theirs, set(CONTAINER_LISTS)))
    for name, key in CONTAINER_LISTS.items():
        if theirs.get(name):
            merged[name] = _merged_list(ours.get(name, []), theirs[name], key, _taken_whole)
    return merged


def _taken_whole(_ours: Body, theirs: Body) -> Body:
    """Of volumes and variables only one source may be there (API reference, patchStrategy: retainKeys)."""
    whole: Body = _merged({}, theirs)
    return whole


def _merged_list(ours: list[Body], theirs: list[Body], key: str, merge: Callable[[Body, Body], Body]) -> list[Body]:
    by_key = {item[key]: item for item in ours}
    for item in theirs:
        by_key[item[key]] = merge(by_key.get(item[key], {}), item)
    return list(by_key.values())


def _merged(ours: Any, theirs: Any) -> Any:
    if not isinstance(theirs, Mapping):
        return theirs
    if not isinstance(ours, Mapping):
        ours = {}
    merged = {name: value for name, value in ours.items() if name not in theirs}
    for name, value in theirs.items():
        if value is not None:
            merged[name] = _merged(ours.get(name), value)
    return merged


def _without(part: Mapping[str, Any], names: set[str]) -> Body:
    return {name: value for name, value in part.items() if name not in names}
