"""The cluster that the other tests stand on: nodes, Services, DNS, and that its faults are real."""

import time

import pytest
from harness.faults import NOT_READY_WITHIN_S, READY_WITHIN_S

KNOWN_WITHIN_S = 10
"""Until each node and the cluster's DNS know of a new Service: a fraction of a second where nothing else runs."""
OUTAGE_S = 13
"""Of an outage as long as this, the scheduler, kubelets, kube-proxies and the DNS have waits of 0.8, 1.6, 3.2 and 6.4 s
behind them (each by chance up to twice that), and only then a longer one before them. The controller-manager has none:
it ends with the API server, and is started again after it."""

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
WHO_AM_I = """
import http.server, os
class Name(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["HOSTNAME"].encode())
http.server.ThreadingHTTPServer(("", 8080), Name).serve_forever()
"""
ASK_UNTIL_ALL_HAVE_ANSWERED = """
import sys, time, urllib.request
url, count, deadline, names = sys.argv[1], int(sys.argv[2]), time.monotonic() + int(sys.argv[3]), set()
while len(names) < count and time.monotonic() < deadline:
    try:
        names.add(urllib.request.urlopen(url, timeout=1).read().decode())
    except OSError:
        time.sleep(0.1)
print(*sorted(names))
"""


def servers(image, count):
    """A Deployment of pods that tell their names, at most one on a node, and their Service."""
    labels = {"app": "server"}
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", WHO_AM_I],
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        "containers": [container],
        "topologySpreadConstraints": [spread],
        "terminationGracePeriodSeconds": 0,
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server"}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def answers(cluster, namespace, asking, count):
    """Who answers to the name of the Service, asked by one of its pods until `count` did."""
    url = f"http://server.{namespace}.svc.cluster.local/"
    words = ["python3", "-c", ASK_UNTIL_ALL_HAVE_ANSWERED, url, str(count), str(KNOWN_WITHIN_S)]
    return cluster.kubectl("exec", asking, "--", *words, namespace=namespace).split()


def test_all_nodes_are_ready(cluster):
    nodes = cluster.nodes()
    for node in nodes:
        cluster.wait_for_node(node, ready=True, within_s=READY_WITHIN_S)

    assert len(nodes) >= 1
    assert cluster.nodes() == dict.fromkeys(nodes, True)


def test_pods_on_all_nodes_reach_each_other_by_the_name_of_their_service(cluster, namespace, python_image):
    count = len(cluster.nodes())
    cluster.apply(servers(python_image, count), namespace=namespace)
    pods = cluster.wait_for_ready_pods("app=server", namespace, count)

    names = sorted(pod["metadata"]["name"] for pod in pods)

    assert len({pod["spec"]["nodeName"] for pod in pods}) == count
    assert answers(cluster, namespace, names[0], count) == names


def test_the_namespace_of_a_test_refuses_pods_that_want_more_than_they_need(cluster, namespace, python_image):
    container = {"name": "greedy", "image": python_image, "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy"}, "spec": {"containers": [container]}}

    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.apply(pod, namespace=namespace)


def test_a_killed_process_is_started_again_by_its_node(cluster, namespace, python_image, faults):
    cluster.apply(servers(python_image, 1), namespace=namespace)
    (pod,) = cluster.wait_for_ready_pods("app=server", namespace, 1)
    name = pod["metadata"]["name"]

    faults.kill_pod_process(name, namespace)

    def restarted():
        status = cluster.get("pod", name, namespace=namespace)["status"]["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["ready"] else None

    before = cluster.wait_until(restarted, "the container to run again", 60)["lastState"]["terminated"]
    assert before["exitCode"] == 128 + 9


def test_a_node_whose_cable_is_cut_is_not_ready_until_it_is_mended(cluster, faults):
    node = max(cluster.nodes())

    faults.partition(node)
    cluster.wait_for_node(node, ready=False, within_s=NOT_READY_WITHIN_S)
    faults.heal(node)

    cluster.wait_for_node(node, ready=True, within_s=READY_WITHIN_S)


def test_the_api_server_forgets_nothing_when_it_is_killed(cluster, namespace, faults):
    cluster.kubectl("create", "configmap", "remembered", "--from-literal=word=blue", namespace=namespace)

    faults.api_server_down()
    assert cluster.kubectl("get", "--raw", "/readyz", check=False, timeout_s=5) == ""
    faults.api_server_up()

    assert cluster.get("configmap", "remembered", namespace=namespace)["data"] == {"word": "blue"}


def test_an_outage_of_the_api_server_is_undone_only_when_new_services_are_known_again(
    cluster, namespace, python_image, faults
):
    deployment, service = servers(python_image, 3)
    cluster.apply(deployment, namespace=namespace)
    pods = cluster.wait_for_ready_pods("app=server", namespace, 3)
    names = sorted(pod["metadata"]["name"] for pod in pods)

    faults.api_server_down()
    time.sleep(OUTAGE_S)  # the fault itself
    faults.undo()
    cluster.apply(service, namespace=namespace)

    assert [answers(cluster, namespace, name, 3) for name in names] == [names] * 3
