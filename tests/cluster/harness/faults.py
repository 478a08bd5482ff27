"""What can happen to nodes, processes and the API server; possible only on the cluster that the harness made itself."""

import os
import signal

from . import network, outage
from .control_plane import API_SERVER, CONTROLLER_MANAGER, NODE_GRACE_PERIOD_S
from .own_cluster import OwnCluster

NOT_READY_WITHIN_S = 3.0 * NODE_GRACE_PERIOD_S
READY_WITHIN_S = 90.0


class Faults:
    def __init__(self, cluster: OwnCluster) -> None:
        self._cluster = cluster
        self._crashed: set[str] = set()
        self._cut: set[str] = set()
        self._watchers_were_cut_off = False

    def crash(self, node: str) -> None:
        """As by power failure: containerd, kubelet and every process of its pods are gone at once."""
        self._watchers_were_cut_off = True
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
        self._watchers_were_cut_off = True
        network.cut(self._cluster.machines[node].number)
        self._cut.add(node)

    def heal(self, node: str) -> None:
        network.mend(self._cluster.machines[node].number)
        self._cut.discard(node)

    def api_server_down(self) -> None:
        """By kill -9, and the controller-manager with it. What nodes and pods already know, they go on with.

        Elsewhere a controller-manager loses its lease, ends, and is started again. One that went on would take the
        outage for the nodes', and would be long in asking again.
        """
        self._watchers_were_cut_off = True
        self._cluster.daemons.kill(API_SERVER)
        self._cluster.daemons.kill(CONTROLLER_MANAGER)

    def api_server_up(self) -> None:
        """Returns once it is ready; the controller-manager is started then, in any case."""
        try:
            self._cluster.daemons.start_again(API_SERVER)
            self._cluster.control_plane.wait_until_ready()
        finally:
            self._cluster.daemons.start_again(CONTROLLER_MANAGER)

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
        if not all(map(self._cluster.daemons.alive, (API_SERVER, CONTROLLER_MANAGER))):
            self.api_server_up()
        for node in sorted(self._cut):
            self.heal(node)
        for node in sorted(self._crashed):
            self.start_node(node)
        self._wait_for_nodes()
        if self._watchers_were_cut_off:
            outage.wait_until_all_see_what_is_new(self._cluster)
            self._wait_for_nodes()  # before, Ready may have been what was known when the outage began
            self._watchers_were_cut_off = False

    def _wait_for_nodes(self) -> None:
        for node in self._cluster.machines:
            self._cluster.wait_for_node(node, ready=True, within_s=READY_WITHIN_S)
