"""What can happen to nodes, processes and the API server; possible only on the cluster that the harness made itself."""

import os
import signal
from typing import Any

from . import network, versions
from .control_plane import API_SERVER, NODE_GRACE_PERIOD_S
from .own_cluster import OwnCluster

NOT_READY_WITHIN_S = 3.0 * NODE_GRACE_PERIOD_S
READY_WITHIN_S = 90.0
RUN_WITHIN_S = 150.0
"""A scheduler, and then a kubelet, may wait for 30 s each before they ask an API server again that was away."""

NAMESPACE, PROBE = "default", "probe"


class Faults:
    def __init__(self, cluster: OwnCluster) -> None:
        self._cluster = cluster
        self._crashed: set[str] = set()
        self._cut: set[str] = set()
        self._api_server_was_away = False

    def crash(self, node: str) -> None:
        """As by power failure: containerd, kubelet and every process of its pods are gone at once."""
        self._cluster.machines[node].crash()
        self._crashed.add(node)

    def start_node(self, node: str) -> None:
        """The crashed node comes back, with the disk that it had."""
        machine = self._cluster.machines[node]
        machine.start_runtime()
        machine.start_kubelet()
        self._crashed.discard(node)

    def partition(self, node: str) -> None:
        """Cuts its cable: no packet in or out, while all of its processes run on."""
        network.cut(self._cluster.machines[node].number)
        self._cut.add(node)

    def heal(self, node: str) -> None:
        network.mend(self._cluster.machines[node].number)
        self._cut.discard(node)

    def api_server_down(self) -> None:
        """By kill -9. What nodes and pods already know, they go on with."""
        self._cluster.daemons.kill(API_SERVER)
        self._api_server_was_away = True

    def api_server_up(self) -> None:
        """Returns once it is ready."""
        self._cluster.daemons.start_again(API_SERVER)
        self._cluster.control_plane.wait_until_ready()

    def kill_pod_process(self, pod: str, namespace: str, container: str | None = None) -> None:
        """kill -9 of a container's first process: the named container's, or the pod's first. Its node restarts it."""
        found = self._cluster.get("pod", pod, namespace=namespace)
        if not found:
            raise LookupError(f"there is no pod {pod} in {namespace}")
        statuses = found["status"].get("containerStatuses", [])
        for status in statuses:
            if container in (None, status["name"]) and "running" in status["state"]:
                identifier = status["containerID"].removeprefix("containerd://")
                machine = self._cluster.machines[found["spec"]["nodeName"]]
                os.kill(machine.container_process(identifier), signal.SIGKILL)
                return
        raise LookupError(f"no container of pod {pod} runs: {statuses}")

    def undo(self) -> None:
        """The cluster as it was, all nodes Ready and taking pods: for the next test."""
        if not self._cluster.daemons.alive(API_SERVER):
            self.api_server_up()
        for node in sorted(self._cut):
            self.heal(node)
        for node in sorted(self._crashed):
            self.start_node(node)
        for node in self._cluster.machines:
            self._cluster.wait_for_node(node, ready=True, within_s=READY_WITHIN_S)
        if self._api_server_was_away:
            self._wait_until_every_node_runs_a_pod()
            self._api_server_was_away = False

    def _wait_until_every_node_runs_a_pod(self) -> None:
        pods = [_pod_for(node) for node in self._cluster.machines]
        self._cluster.apply(pods, namespace=NAMESPACE)
        try:
            self._cluster.wait_until(self._all_run, "every node to run a new pod", RUN_WITHIN_S)
        finally:
            words = ("delete", "pods", "-l", f"app={PROBE}", "--grace-period=0", "--force", "--wait=false")
            self._cluster.kubectl(*words, namespace=NAMESPACE)

    def _all_run(self) -> bool:
        pods = self._cluster.items("pods", "-l", f"app={PROBE}", namespace=NAMESPACE)
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        return len(running) == len(self._cluster.machines)


def _pod_for(node: str) -> dict[str, Any]:
    """One that the scheduler and the kubelet of this node have to see."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{PROBE}-{node}", "labels": {"app": PROBE}},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [{"name": "pause", "image": versions.PAUSE_IMAGE, "imagePullPolicy": "Never"}],
        },
    }
