"""The pod of one range as its Deployment describes it: what every shard pod is, and the manifest's `template` over it.

Kubernetes replaces a pod when anything in here changes, and the planner replaces one at a time: so a Deployment may
only be written where the planner wants an instance of another revision, whatever a newer operator would build.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from gateway_operator.core.world import PodSpec
from gateway_operator.model import SecretRef, Spec
from gateway_operator.model.pod_overlay import HTTP_PORT, SCRATCH_PATH, SCRATCH_VOLUME, TERMINATION_GRACE
from shardpod.contract import environment as env

from .names import (
    CONTAINER,
    CONTROL_SECRET_KEY,
    EPOCH,
    GATEWAY,
    REVISION,
    Body,
    Owner,
    control_secret_name,
    gateway_labels,
    range_labels,
)
from .overlay import overlaid
from .pod_room import TMP, limits, quantity, requests, scratch_bytes

CONTROL_PORT = 7400
CONTROL_PATH = "/v1/control"

_USER = 65532
_CA_VOLUME, _CA_PATH, _CA_FILE = "discord-ca", "/etc/discord-gateway/ca", "ca.crt"
_NODE_GONE = 5
"""Seconds until the pods of a silent node are replaced; by default it would be 300, and so long no events."""

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the shard pods of a gateway get from the operator and not from the manifest.

    `control_host`: the control service, which resolves to every replica. `image_pull_policy`: None leaves it to
    Kubernetes.
    """

    image: str
    control_host: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    log_level: str = "info"
    log_format: str = "json"


def pod_template(pod: PodSpec, *, owner: Owner, spec: Spec, revision: str, settings: PodSettings) -> Body:
    """The `template` of the range's Deployment."""
    labels = gateway_labels(owner.name) | range_labels(pod) | {REVISION: revision}
    built: Body = {
        "metadata": {"labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": TERMINATION_GRACE,
            "securityContext": _pod_security(),
            "tolerations": _tolerations(),
            "topologySpreadConstraints": [_spread(owner.name, pod)],
            "containers": [_container(pod, owner, spec, settings)],
            "volumes": _volumes(pod, spec),
        },
    }
    return _with_its_grace(overlaid(built, spec.template))


def template_digest(spec: Spec, image: str) -> str:
    """For the revision: what of the template above is in neither the core's revision nor the pod's name.

    What the operator alone decides is not in it, so that upgrading the operator replaces no pod. `image` is the one
    that the gateway keeps, not the one that the operator would begin with.
    """
    template = spec.template.model_dump(mode="json", by_alias=True) if spec.template else None
    content = [template, image, spec.token_secret_ref.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _container(pod: PodSpec, owner: Owner, spec: Spec, settings: PodSettings) -> Body:
    pulled = {"imagePullPolicy": settings.image_pull_policy} if settings.image_pull_policy else {}
    return {
        "name": CONTAINER,
        "image": settings.image,
        **pulled,
        "args": ["discord-gateway-shardpod"],
        "env": _environment(pod, owner, spec, settings),
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        # Ready is answered at once, whatever the pod waits for; only a loop that stands still lets it run out.
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        # Its sessions end with it, so it is given long enough to get over a slow node: a minute.
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "resources": {"requests": requests(spec, pod), "limits": limits(spec, pod)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(spec),
    }


def _environment(pod: PodSpec, owner: Owner, spec: Spec, settings: PodSettings) -> list[Body]:
    control = f"ws://{settings.control_host}:{CONTROL_PORT}{CONTROL_PATH}/{owner.namespace}/{owner.name}"
    authorization = spec.delivery.sink.http.authorization_secret_ref
    variables = [
        _value(env.POD_NAME, pod.name),
        _of_the_pod(env.POD_INSTANCE, "metadata.name"),
        # Before the one that is put together from it (API reference, EnvVar: value).
        _of_the_pod("POD_IP", "status.podIP"),
        _value(env.HTTP_ADDRESS, f"$(POD_IP):{HTTP_PORT}"),
        _value(env.SCRATCH, SCRATCH_PATH),
        _value(env.CONTROL_ADDRESSES, control),
        _secret(env.CONTROL_SECRET, control_secret_name(owner.name), CONTROL_SECRET_KEY),
        _secret(env.DISCORD_TOKEN, spec.token_secret_ref.name, spec.token_secret_ref.key),
        _value(env.TERMINATION_GRACE, str(TERMINATION_GRACE)),
        _value(env.LOG_FORMAT, settings.log_format),
        _value(env.LOG_LEVEL, settings.log_level),
    ]
    if authorization is not None:
        variables.append(_secret(env.SINK_AUTHORIZATION, authorization.name, authorization.key))
    if spec.discord.ca_secret_ref is not None:
        variables.append(_value(env.DISCORD_CA_FILE, f"{_CA_PATH}/{_CA_FILE}"))
    return variables


def _value(name: str, value: str) -> Body:
    return {"name": name, "value": value}


def _of_the_pod(name: str, path: str) -> Body:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _secret(name: str, secret: str, key: str) -> Body:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _probe(path: str, *, period: int, failures: int) -> Body:
    """`period` in seconds."""
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(pod: PodSpec, spec: Spec) -> list[Body]:
    volumes: list[Body] = [
        {"name": SCRATCH_VOLUME, "emptyDir": {"sizeLimit": quantity(scratch_bytes(spec, pod))}},
        # The root is read only; Python and its libraries expect a place for temporary files.
        {"name": "tmp", "emptyDir": {"sizeLimit": quantity(TMP)}},
    ]
    if (ca := spec.discord.ca_secret_ref) is not None:
        volumes.append(_ca_volume(ca))
    return volumes


def _ca_volume(ca: SecretRef) -> Body:
    return {"name": _CA_VOLUME, "secret": {"secretName": ca.name, "items": [{"key": ca.key, "path": _CA_FILE}]}}


def _mounts(spec: Spec) -> list[Body]:
    mounts: list[Body] = [
        {"name": SCRATCH_VOLUME, "mountPath": SCRATCH_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- a volume of the pod's own
    ]
    if spec.discord.ca_secret_ref is not None:
        mounts.append({"name": _CA_VOLUME, "mountPath": _CA_PATH, "readOnly": True})
    return mounts


def _pod_security() -> Body:
    """As the restricted Pod Security Standard asks, with the container's part of it."""
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,  # an emptyDir could do without, another volume for the scratch directory could not
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _tolerations() -> list[Body]:
    return [
        {
            "key": f"node.kubernetes.io/{what}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _NODE_GONE,
        }
        for what in ("not-ready", "unreachable")
    ]


def _spread(gateway: str, pod: PodSpec) -> Body:
    """A node that dies is to take as few of the shards with it as can be; where it cannot be, they run all the same."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {GATEWAY: gateway, EPOCH: str(pod.epoch)}},
    }


def _with_its_grace(template: Body) -> Body:
    """The pod has to know how long Kubernetes waits for it, also where the manifest says another time."""
    grace = str(template["spec"]["terminationGracePeriodSeconds"])
    [container] = [one for one in template["spec"]["containers"] if one["name"] == CONTAINER]
    for variable in container["env"]:
        if variable["name"] == env.TERMINATION_GRACE:
            variable["value"] = grace
    return template
