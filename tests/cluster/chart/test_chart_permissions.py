"""What the chart lets the operator do, and where."""

import pytest

RELEASE, NAMESPACE = "discord-gateway-operator", "discord-gateway"
RULES = f"{NAMESPACE}-{RELEASE}"
ALLOWED = {
    ("discordgateway.dev", "discordgateways"): ["get", "list", "watch"],
    ("discordgateway.dev", "discordgateways/status"): ["patch"],
    ("discordgateway.dev", "discordgateways/finalizers"): ["update"],
    ("apps", "deployments"): ["get", "list", "watch", "create", "patch", "delete"],
    ("", "pods"): ["get", "list", "watch", "patch", "delete"],
    ("", "secrets"): ["get", "create", "patch", "delete"],
    ("", "configmaps"): ["get", "create", "update"],
    ("policy", "poddisruptionbudgets"): ["create", "patch", "delete"],
    ("networking.k8s.io", "networkpolicies"): ["create", "patch", "delete"],
    ("", "events"): ["get", "create", "update"],
}
"""Exactly this, where it watches: a verb more is a decision, and so is one less."""


def verbs(role):
    return {
        (group, resource): rule["verbs"]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.fixture
def cluster_wide(chart):
    return chart.rendered()


@pytest.fixture
def in_two_namespaces(chart):
    return chart.rendered({"watchNamespaces": ["bots", "more-bots", "bots"]})


def test_over_the_whole_cluster_it_may_do_exactly_this(cluster_wide, one):
    assert verbs(one(cluster_wide, "ClusterRole", RULES)) == ALLOWED


def test_in_named_namespaces_it_may_do_the_same_there_and_nothing_elsewhere(in_two_namespaces, one):
    roles = [each for each in in_two_namespaces if each["kind"] == "Role" and each["metadata"]["name"] == RULES]
    bindings = [each for each in in_two_namespaces if each["kind"] == "RoleBinding"]

    assert [role["metadata"]["namespace"] for role in roles] == ["bots", "more-bots"]
    assert all(verbs(role) == ALLOWED for role in roles)
    assert sorted(each["metadata"]["namespace"] for each in bindings) == ["bots", NAMESPACE, "more-bots"]
    assert not any(each["kind"] == "ClusterRoleBinding" for each in in_two_namespaces)
    [container] = one(in_two_namespaces, "Deployment", RELEASE)["spec"]["template"]["spec"]["containers"]
    assert {"name": "WATCH_NAMESPACES", "value": "bots,more-bots"} in container["env"]


def test_at_home_it_may_have_one_lease(cluster_wide, one):
    role = one(cluster_wide, "Role", f"{RELEASE}-leader")

    assert role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [RELEASE],
            "verbs": ["get", "update"],
        },
    ]


def test_no_rule_has_a_wildcard(chart):
    for values in ({}, {"watchNamespaces": ["bots"]}):
        roles = [each for each in chart.rendered(values) if each["kind"] in {"Role", "ClusterRole"}]

        assert len(roles) == 5
        assert all("*" not in words for role in roles for rule in role["rules"] for words in rule.values())


def test_each_binding_names_a_role_that_is_there_and_the_operators_account(chart):
    for values in ({}, {"watchNamespaces": ["bots"]}, {"serviceAccount": {"create": False, "name": "mine"}}):
        manifests = chart.rendered(values)
        account = values.get("serviceAccount", {}).get("name", RELEASE)
        roles = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in manifests}
        bindings = [each for each in manifests if each["kind"].endswith("Binding")]

        assert len(bindings) == 2
        for each in bindings:
            reference = (each["roleRef"]["kind"], each["metadata"].get("namespace"), each["roleRef"]["name"])
            assert reference in roles
            assert each["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


def test_people_who_view_and_edit_get_gateways_with_the_rest(cluster_wide, one):
    view, edit = (one(cluster_wide, "ClusterRole", f"{RULES}-{name}") for name in ("view", "edit"))
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"

    assert all(view["metadata"]["labels"][aggregated + role] == "true" for role in ("view", "edit", "admin"))
    assert all(edit["metadata"]["labels"][aggregated + role] == "true" for role in ("edit", "admin"))
    assert aggregated + "view" not in edit["metadata"]["labels"]
    assert {verb for words in verbs(view).values() for verb in words} == {"get", "list", "watch"}
    assert verbs(edit)["discordgateway.dev", "discordgateways/scale"] == ["update", "patch"]
    # Status is the operator's word.
    assert ("discordgateway.dev", "discordgateways/status") not in verbs(edit)


def test_all_of_it_can_be_left_to_somebody_else(chart):
    manifests = chart.rendered(
        {"rbac": {"create": False, "aggregateRoles": False}, "serviceAccount": {"create": False}}
    )

    assert not any("Role" in each["kind"] or each["kind"] == "ServiceAccount" for each in manifests)
