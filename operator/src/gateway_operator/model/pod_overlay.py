"""The pod template overlay, `spec.template`: what it may hold, and what of a shard pod nobody may change.

Kubernetes knows what a PodSpec is, and is asked by a dry-run; here is only what merging and the operator rely on.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from shardpod.contract import environment as env

from .kinds import SAID
from .problems import Problem

CONTAINER = "shardpod"
HTTP_PORT = 8080
SCRATCH_VOLUME, SCRATCH_PATH = "scratch", "/scratch"

TERMINATION_GRACE = 180
"""Seconds: identifying is not part of it, but every session of a large pod has to find its successor."""

MAX_BYTES = 64 * 1024
"""Of the overlay as JSON: it is copied into the Deployment of each range."""

POD_LISTS = {"containers": "name", "initContainers": "name", "volumes": "name", "imagePullSecrets": "name"}
CONTAINER_LISTS = {"env": "name", "volumeMounts": "mountPath", "volumeDevices": "devicePath", "ports": "containerPort"}
"""The lists whose items are merged by a key (Kubernetes' API reference, patchMergeKey)."""

_OURS = "is the operator's: leave it out"
_LABEL_PREFIX = "discordgateway.dev/"
_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"}
_POD_FIELDS = ("restartPolicy", "automountServiceAccountToken")
_CONTAINER_FIELDS = ("command", "args")
_PROBES = ("readinessProbe", "livenessProbe")
_PROBED_BY = ("httpGet", "exec", "tcpSocket", "grpc")
_ENVIRONMENT = {
    "POD_IP",
    env.POD_NAME,
    env.POD_INSTANCE,
    env.SCRATCH,
    env.CONTROL_ADDRESSES,
    env.CONTROL_SECRET,
    env.DISCORD_TOKEN,
    env.DISCORD_CA_FILE,
    env.SINK_AUTHORIZATION,
    env.TERMINATION_GRACE,
    env.HTTP_ADDRESS,
}
"""How a pod logs is the user's: of one bot alone more can be told."""
_CA_VOLUME, _CA_PATH = "discord-ca", "/etc/discord-gateway/ca"
_SCRATCH_SOURCES = {"emptyDir", "ephemeral"}
_GRACES = range(30, 3601)


def _json_alone(value: dict[str, Any]) -> dict[str, Any]:
    """YAML can hold dates and more, JSON cannot; what is written in quotes is text in both."""
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise PydanticCustomError(
            SAID, "{text}", {"text": "holds a value that JSON does not have, such as a date: put it in quotes"}
        ) from None
    if size > MAX_BYTES:
        text = f"is too long: {size} characters as JSON, and at most {MAX_BYTES} are allowed"
        raise PydanticCustomError(SAID, "{text}", {"text": text})
    return value


PodOverlay = Annotated[
    dict[str, Any],
    AfterValidator(_json_alone),
    Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
]


def without_kubernetes(*, given: bool) -> str | None:
    """What to tell once where pods are processes of this machine; None where nothing is ignored."""
    return "spec.template is for Kubernetes: without it nothing of it is used" if given else None


def protected(labels: Mapping[str, str], annotations: Mapping[str, str], pod: Mapping[str, Any]) -> Iterator[Problem]:
    """What of the overlay cannot be merged, or would take a shard pod its way to the operator, or its sessions."""
    metadata = "spec.template.metadata"
    for name in labels:
        if name in _LABELS or name.startswith(_LABEL_PREFIX):
            yield Problem(f"{metadata}.labels.{name}", _OURS)
    for name in annotations:
        if name.startswith(_LABEL_PREFIX):
            yield Problem(f"{metadata}.annotations.{name}", _OURS)
    yield from _pod("spec.template.spec", pod)


def _pod(path: str, pod: Mapping[str, Any]) -> Iterator[Problem]:
    yield from (Problem(f"{path}.{name}", _OURS) for name in _POD_FIELDS if name in pod)
    grace = pod.get("terminationGracePeriodSeconds", TERMINATION_GRACE)
    if type(grace) is not int or grace not in _GRACES:
        allowed = f"a whole number from {_GRACES[0]} to {_GRACES[-1]}"
        yield Problem(f"{path}.terminationGracePeriodSeconds", f"must be {allowed}", allowed)
    if not isinstance(pod.get("tolerations", []), list):
        yield Problem(f"{path}.tolerations", "must be a list", "a list")
    for name, key in POD_LISTS.items():
        items, wrong = _keyed(f"{path}.{name}", pod.get(name), key)
        yield from wrong
        for place, item in items:
            if name in {"containers", "initContainers"}:
                yield from _container(place, item, ours=name == "containers" and item["name"] == CONTAINER)
            elif name == "volumes":
                yield from _volume(place, item)


def _container(path: str, container: Mapping[str, Any], *, ours: bool) -> Iterator[Problem]:
    for name, key in CONTAINER_LISTS.items():
        items, wrong = _keyed(f"{path}.{name}", container.get(name), key)
        yield from wrong
        if ours:
            yield from (Problem(place, f"{item[key]} {_OURS}") for place, item in items if _is_ours(name, item))
    if ours:
        yield from (Problem(f"{path}.{name}", _OURS) for name in _CONTAINER_FIELDS if name in container)
        for probe in _PROBES:
            asked = container.get(probe, {})
            if not isinstance(asked, Mapping):
                yield Problem(f"{path}.{probe}", "must be a map: its times may be changed", "a map")
            else:
                yield from (Problem(f"{path}.{probe}.{name}", _OURS) for name in _PROBED_BY if name in asked)


def _is_ours(name: str, item: Mapping[str, Any]) -> bool:
    match name:
        case "env":
            return item["name"] in _ENVIRONMENT
        case "volumeMounts":
            return str(item["mountPath"]).rstrip("/") in {SCRATCH_PATH, _CA_PATH}
        case "ports":
            return item["containerPort"] == HTTP_PORT or item.get("name") == "http"
    return False


def _volume(path: str, volume: Mapping[str, Any]) -> Iterator[Problem]:
    sources = volume.keys() - {"name"}
    if volume["name"] == _CA_VOLUME:
        yield Problem(path, f"{_CA_VOLUME} {_OURS}")
    elif volume["name"] == SCRATCH_VOLUME and not sources <= _SCRATCH_SOURCES:
        yield Problem(
            path,
            f"{SCRATCH_VOLUME} holds the sessions of one pod, so it must be an emptyDir or ephemeral: two pods would "
            "share any other",
            "emptyDir or ephemeral",
        )


def _keyed(path: str, items: object, key: str) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Problem]]:
    """The items that have their key, each with its place, and what is wrong with the others."""
    if items is None:
        return [], []
    if not isinstance(items, list):
        return [], [Problem(path, f"must be a list of maps, each with its {key}", "a list")]
    right, wrong = [], []
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        if isinstance(item, Mapping) and isinstance(item.get(key), str | int):
            right.append((place, item))
        else:
            wrong.append(Problem(place, f"must be a map with its {key}", f"a map with {key}"))
    return right, wrong
