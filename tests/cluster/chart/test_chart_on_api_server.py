"""What a real API server says of the chart's manifests, and of what they let the operator do."""

import json
from pathlib import Path

import pytest

RELEASE = "discord-gateway-operator"
TAKEN_WITHIN_S = 60.0
EXAMPLES = Path(__file__).parents[3] / "examples" / "kubernetes"


def test_it_takes_every_manifest_strictly(cluster, chart, namespace):
    manifests = chart.rendered({"simulator": {"enabled": True}}, namespace=namespace)

    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=as_list(manifests))

    assert said.count("(server dry run)") == len(manifests)


def test_every_pod_is_let_into_a_restricted_namespace(cluster, chart, namespace):
    """As all namespaces of the tests are. A Deployment's pods are checked when they are made: here, as pods alone."""
    values = {"simulator": {"enabled": True}, "serviceAccount": {"create": False}}
    manifests = chart.rendered(values, namespace=namespace)
    pods = [each for each in manifests if each["kind"] == "Pod"]
    pods += [
        {"apiVersion": "v1", "kind": "Pod", "metadata": each["metadata"], "spec": each["spec"]["template"]["spec"]}
        for each in manifests
        if each["kind"] == "Deployment"
    ]

    said = cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=as_list(pods))

    assert said.count("(server dry run)") == 3


def test_it_takes_the_quick_starts_manifests(cluster, chart, one, namespace):
    definition = one(chart.rendered(), "CustomResourceDefinition", "discordgateways.discordgateway.dev")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(definition))
    cluster.kubectl("wait", "--for=condition=Established", "crd/discordgateways.discordgateway.dev", "--timeout=30s")

    # Established, it is taken, but may still be missing in what the API server tells of its kinds.
    said = cluster.wait_until(
        lambda: cluster.kubectl("apply", "--dry-run=server", "-k", str(EXAMPLES), namespace=namespace),
        "the API server to take the quick start's manifests",
        TAKEN_WITHIN_S,
    )

    assert sorted(line.split(" ")[0].split("-script-")[0] for line in said.splitlines()) == [
        "configmap/bot",
        "deployment.apps/bot",
        "discordgateway.discordgateway.dev/mybot",
        "secret/mybot",
        "service/bot",
    ]


def test_in_a_watched_namespace_the_operator_may_do_its_work_and_no_more(watched):
    expected = {
        "list discordgateways": "yes",
        "patch discordgateways --subresource=status": "yes",
        "patch discordgateways": "no",
        "create deployments": "yes",
        "get secrets": "yes",
        "list secrets": "no",
        "update configmaps": "yes",
        "create pods": "no",
        "create pods --subresource=exec": "no",
        "create roles": "no",
    }

    assert {question: watched(question) for question in expected} == expected


def test_elsewhere_it_may_do_nothing(watched):
    assert watched("get secrets", namespace="kube-system") == "no"
    assert watched("list discordgateways", namespace="default") == "no"


@pytest.fixture
def watched(cluster, chart, namespace):
    """Whether the operator may do something in a namespace that it watches, by the API server's word."""
    manifests = chart.rendered({"watchNamespaces": [namespace]}, namespace=namespace)
    cluster.apply([each for each in manifests if each["kind"] in {"Role", "RoleBinding", "ServiceAccount"}])
    account = f"system:serviceaccount:{namespace}:{RELEASE}"

    def may(question, namespace=namespace):
        return cluster.kubectl(
            "auth", "can-i", *question.split(), f"--as={account}", namespace=namespace, check=False
        ).strip()

    return may


def as_list(manifests):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
