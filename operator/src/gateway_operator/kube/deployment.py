"""The Deployment of one range: one pod, and beside it its successor while it is replaced."""

from gateway_operator.core.world import PodSpec
from gateway_operator.model import Spec

from .names import REVISION, WANTED_NUMBER, Body, Owner, range_labels, selector_labels
from .pod_template import PodSettings, pod_template

_NEVER = 2147483647
"""Seconds, the highest that is allowed. The operator judges progress: to identify 200 shards takes 1,000 seconds."""


def deployment(
    pod: PodSpec, *, owner: Owner, spec: Spec, revision: str, wanted_number: int, settings: PodSettings
) -> Body:
    """The whole Deployment, for server-side apply.

    A pod is Ready when it holds its sessions, and one that gives its sessions away stays so until its successor has
    confirmed: with a surge of one and nobody unavailable Kubernetes' own rolling update is the transfer.
    """
    metadata = owner.metadata(pod.name, {**range_labels(pod), REVISION: revision})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": {WANTED_NUMBER: str(wanted_number)}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector_labels(owner.name, pod)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": _NEVER,
            # The way back is the resource's. But the ReplicaSet of a pod that is ending has to be there still, or the
            # disruption budget's controller does not know what to count.
            "revisionHistoryLimit": 1,
            "template": pod_template(pod, owner=owner, spec=spec, revision=revision, settings=settings),
        },
    }
