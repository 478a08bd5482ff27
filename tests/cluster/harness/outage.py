"""The end of an outage of the API server: it is ready long before everybody who watches it has asked it again."""

from typing import Any

from . import network, versions
from .own_cluster import OwnCluster

SEEN_WITHIN_S = 210.0
"""A scheduler, then a kubelet, may each wait for 60 s before they ask again: 30 s, and by chance up to twice that. DNS
and kube-proxies wait meanwhile."""

NAMESPACE, PROBE = "default", "probe"
LABELS = {"app": PROBE}
PORT = 80
CONNECT = f"import socket; socket.create_connection(('{PROBE}.{NAMESPACE}.svc.cluster.local', {PORT}), timeout=5)"


def wait_until_all_see_what_is_new(cluster: OwnCluster) -> None:
    """Scheduler, every node's kubelet and kube-proxy, and the DNS: by a new pod on each that reaches a new Service."""
    nodes = list(cluster.machines)
    # The Service last: a pod that finds no name tries again.
    cluster.apply([*(_pod_on(node) for node in nodes), *_service()], namespace=NAMESPACE)
    try:
        cluster.wait_until(lambda: _done(cluster) == nodes, "a new pod of each node to reach a Service", SEEN_WITHIN_S)
    finally:
        words = ("-l", f"app={PROBE}", "--grace-period=0", "--force", "--wait=false")
        cluster.kubectl("delete", "pods,services,endpointslices", *words, namespace=NAMESPACE)


def _done(cluster: OwnCluster) -> list[str]:
    pods = cluster.items("pods", "-l", f"app={PROBE}", namespace=NAMESPACE)
    return sorted(pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Succeeded")


def _pod_on(node: str) -> dict[str, Any]:
    """One that the scheduler and the kubelet of this node have to see."""
    tries = f'until python3 -c "{CONNECT}"; do sleep 0.5; done'
    container = {"name": "connect", "image": versions.PYTHON_IMAGE, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{PROBE}-{node}", "labels": LABELS},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [{**container, "command": ["sh", "-c", tries]}],
        },
    }


def _service() -> list[dict[str, Any]]:
    """What answers is the API server: nothing else listens for every node."""
    meta = {"name": PROBE, "labels": {**LABELS, "kubernetes.io/service-name": PROBE}}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"name": "api", "port": PORT, "targetPort": network.API_PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta,
            "addressType": "IPv4",
            "ports": [{"name": "api", "port": network.API_PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [network.HOST], "conditions": {"ready": True}}],
        },
    ]
