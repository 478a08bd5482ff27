"""The end of an outage: API server and nodes are ready long before everybody who watches has asked again."""

from typing import Any

from . import versions
from .own_cluster import OwnCluster

SEEN_WITHIN_S = 210.0
"""A scheduler, then a kubelet, may each wait for 60 s before they ask again: 30 s, and by chance up to twice that. DNS
and kube-proxies wait meanwhile. The controller-manager does not: it is started again after an outage (`Faults`)."""

NAMESPACE, PROBE = "default", "probe"
LABELS = {"app": PROBE}
SEEN, PORT = 80, 8080
"""The port of the Service, and that of the pods behind it."""
CONNECT = f"import socket; socket.create_connection(('{PROBE}.{NAMESPACE}.svc.cluster.local', {SEEN}), timeout=5)"


def wait_until_all_see_what_is_new(cluster: OwnCluster) -> None:
    """Scheduler, controller-manager, every node's kubelet and kube-proxy, and the DNS.

    By a new pod on each node that reaches one of them by the name of a new Service, whose endpoints somebody has to
    find.
    """
    nodes = sorted(cluster.machines)
    cluster.apply([*(_pod_on(node) for node in nodes), _service()], namespace=NAMESPACE)
    try:
        cluster.wait_until(lambda: _nodes_of_ready(cluster) == nodes, "new pods to reach a new Service", SEEN_WITHIN_S)
    finally:
        words = ("-l", f"app={PROBE}", "--grace-period=0", "--force", "--wait=false")
        cluster.kubectl("delete", "pods,services,endpointslices", *words, namespace=NAMESPACE)


def _nodes_of_ready(cluster: OwnCluster) -> list[str]:
    return sorted(pod["spec"]["nodeName"] for pod in cluster.ready_pods(f"app={PROBE}", NAMESPACE))


def _pod_on(node: str) -> dict[str, Any]:
    """One that the scheduler and the kubelet of this node have to see. It is ready once it reaches the Service."""
    connects = {"exec": {"command": ["python3", "-c", CONNECT]}, "periodSeconds": 1, "timeoutSeconds": 10}
    container = {
        "name": "probe",
        "image": versions.PYTHON_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-m", "http.server", str(PORT)],
        "readinessProbe": connects,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{PROBE}-{node}", "labels": LABELS},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def _service() -> dict[str, Any]:
    """Of pods that are not ready, too: they become so by it."""
    ports = [{"port": SEEN, "targetPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PROBE, "labels": LABELS},
        "spec": {"selector": LABELS, "ports": ports, "publishNotReadyAddresses": True},
    }
