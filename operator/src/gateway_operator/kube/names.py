"""What Kubernetes knows a gateway's objects by: names, labels and annotations, written, and read back.

The labels tell all that the planner has to know of a child, so that nothing else needs to be stored about it. Whoever
cannot be read back is somebody else's object, and left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway_operator.core.layout import pod_name
from gateway_operator.core.world import PodSpec
from gateway_operator.model import API_VERSION, KIND, MAX_SHARDS
from shardpod.contract import ShardRange

Body = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON has it."""

FIELD_MANAGER = "discord-gateway-operator"
POD_APP = "discord-gateway-shardpod"
CONTAINER = "shardpod"

APP_NAME = "app.kubernetes.io/name"
APP_INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"

PREFIX = "discordgateway.dev/"
GATEWAY = f"{PREFIX}gateway"
EPOCH = f"{PREFIX}epoch"
FIRST_SHARD_ID = f"{PREFIX}first-shard-id"
LAST_SHARD_ID = f"{PREFIX}last-shard-id"
REVISION = f"{PREFIX}revision"

WANTED_NUMBER = f"{PREFIX}wanted-number"
"""On a Deployment: the number of the instance that its template is meant for."""
NUMBER = f"{PREFIX}number"
"""On a pod: the number it was given when it was first seen."""
RESHARD_ORDER = f"{PREFIX}reshard"
RESTART_ORDER = f"{PREFIX}restart"
"""On the DiscordGateway: what people ask for."""

CONTROL_SECRET_KEY = "secret"  # noqa: S105 -- the name of the key, not its value

_MOST_DIGITS = 9
"""Of an epoch or an instance's number: neither is reached by counting up, and the names stay within 63 characters."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The DiscordGateway resource that objects belong to: they go when it goes."""

    namespace: str
    name: str
    uid: str

    def metadata(self, name: str, labels: Mapping[str, str] | None = None) -> Body:
        """The metadata of a child."""
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": {**gateway_labels(self.name), **(labels or {})},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": self.name,
                    "uid": self.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        }


class Child(NamedTuple):
    """What a Deployment or a pod says of itself. `number`: None where it has none yet."""

    pod: PodSpec
    revision: str
    number: int | None


def state_name(gateway: str) -> str:
    """Of the ConfigMap with all that the next operator has to know."""
    return f"{gateway}-state"


def control_secret_name(gateway: str) -> str:
    """Of the Secret that pods and operator know each other by."""
    return f"{gateway}-control"


def policy_name(gateway: str) -> str:
    """Of the NetworkPolicy and the PodDisruptionBudget. The bot's own may well have the gateway's name."""
    return f"{gateway}-shards"


def checkpoints_name(gateway: str, pod: PodSpec) -> str:
    """Of the Secret with the sessions of one range: `mybot-checkpoints-e1-0-15`."""
    return pod_name(f"{gateway}-checkpoints", pod.epoch, pod.range)


def gateway_labels(gateway: str) -> dict[str, str]:
    """Of every child."""
    return {APP_NAME: POD_APP, APP_INSTANCE: gateway, MANAGED_BY: FIELD_MANAGER, GATEWAY: gateway}


def selector_labels(gateway: str, pod: PodSpec) -> dict[str, str]:
    """What a Deployment's pods are found by: it can never be changed (API reference, DeploymentSpec: selector)."""
    return {GATEWAY: gateway, **range_labels(pod)}


def range_labels(pod: PodSpec) -> dict[str, str]:
    """Which shards an object is about."""
    return {
        EPOCH: str(pod.epoch),
        FIRST_SHARD_ID: str(pod.range.first_shard_id),
        LAST_SHARD_ID: str(pod.range.last_shard_id),
    }


def pod_selector(gateway: str) -> str:
    """All children of a gateway, for lists and watches; of the pods it is what `status.selector` has to be."""
    return f"{GATEWAY}={gateway}"


def is_owned_by(owner: Owner, body: Mapping[str, Any]) -> bool:
    """Whether the object is that resource's own, and not that of an earlier one of the same name."""
    references = _map(body, "metadata").get("ownerReferences") or ()
    return any(one.get("uid") == owner.uid and one.get("controller") for one in references)


def is_of_another(owner: Owner, body: Mapping[str, Any]) -> bool:
    """Whether it is somebody else's, such as an earlier resource's of the same name. What nobody owns is not."""
    references = _map(body, "metadata").get("ownerReferences") or ()
    return any(one.get("controller") for one in references) and not is_owned_by(owner, body)


def read_deployment(body: Mapping[str, Any]) -> Child | None:
    """A Deployment of ours; its `number` is the wanted one. None: somebody else's."""
    child = _read(body, WANTED_NUMBER)
    return child if child is not None and _map(body, "metadata").get("name") == child.pod.name else None


def read_pod(body: Mapping[str, Any]) -> Child | None:
    """A pod of ours. Its own name says nothing: long ones are cut. None: somebody else's."""
    return _read(body, NUMBER)


def read_range(body: Mapping[str, Any]) -> PodSpec | None:
    """Which shards an object is about, by its labels; None: it is about none, or somebody else's."""
    labels = _map(_map(body, "metadata"), "labels")
    gateway = labels.get(GATEWAY)
    epoch, first, last = (_count(labels.get(name)) for name in (EPOCH, FIRST_SHARD_ID, LAST_SHARD_ID))
    if not gateway or epoch is None or first is None or last is None or not first <= last < MAX_SHARDS:
        return None
    held = ShardRange(first_shard_id=first, last_shard_id=last)
    return PodSpec(name=pod_name(gateway, epoch, held), epoch=epoch, range=held)


def _read(body: Mapping[str, Any], annotation: str) -> Child | None:
    metadata = _map(body, "metadata")
    pod, revision = read_range(body), _map(metadata, "labels").get(REVISION)
    if pod is None or not revision:
        return None
    return Child(pod, revision, _count(_map(metadata, "annotations").get(annotation)))


def _map(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _count(text: object) -> int | None:
    """Only as we write it: what another spelling of a number means is not for us to guess."""
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        return None
    return int(text) if str(int(text)) == text else None
