"""Who may disturb a gateway's pods, and who may reach them."""

import pytest

from gateway_operator.core.world import ShardSet
from gateway_operator.kube.disruption_budget import disruption_budget
from gateway_operator.kube.names import policy_name
from gateway_operator.kube.network_policy import network_policy
from shardpod.contract import ShardRange


def shard_set(*ranges, epoch=3):
    return ShardSet(epoch, 64, tuple(ShardRange(first_shard_id=first, last_shard_id=last) for first, last in ranges))


def test_one_pod_of_the_active_set_may_be_missing_at_a_time(owner):
    spec = disruption_budget(owner, shard_set((0, 15), (16, 31)))["spec"]

    assert spec == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"discordgateway.dev/gateway": "mybot", "discordgateway.dev/epoch": "3"}},
    }


def test_a_budget_is_of_pods_that_carry_its_labels(owner, built):
    labels = built()["spec"]["template"]["metadata"]["labels"]
    selector = disruption_budget(owner, shard_set((0, 15), (16, 31), epoch=1))["spec"]["selector"]["matchLabels"]

    assert selector.items() <= labels.items()


@pytest.mark.parametrize("ranges", [[], [(0, 15)]])
def test_a_single_pod_has_no_budget_as_it_could_never_be_drained(owner, ranges):
    assert disruption_budget(owner, shard_set(*ranges)) is None


def test_neither_takes_the_place_of_one_that_the_bot_has_by_its_name(owner):
    budget = disruption_budget(owner, shard_set((0, 15), (16, 31)))
    policy = network_policy(owner, operator_namespace="dgw-system")

    assert budget["metadata"]["name"] == policy["metadata"]["name"] == policy_name(owner.name) == "mybot-shards"


def sources(policy):
    return [rule["from"] for rule in policy["spec"]["ingress"]]


def test_peers_the_operator_and_by_default_every_pod_of_the_cluster_may_come_in(owner):
    assert sources(network_policy(owner, operator_namespace="dgw-system")) == [
        [{"podSelector": {"matchLabels": {"discordgateway.dev/gateway": "mybot"}}}],
        [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dgw-system"}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "discord-gateway-operator"}},
            }
        ],
        [{"namespaceSelector": {}}],
    ]


def test_metrics_for_fewer_never_cut_off_peers_and_operator(owner):
    everyone = network_policy(owner, operator_namespace="dgw-system")
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}

    narrow = network_policy(owner, operator_namespace="dgw-system", metrics_from=[prometheus])
    closed = network_policy(owner, operator_namespace="dgw-system", metrics_from=[])

    assert sources(narrow) == [*sources(everyone)[:2], [prometheus]]
    assert sources(closed) == sources(everyone)[:2]


def test_a_rule_without_a_source_would_let_everybody_in_and_is_never_written(owner):
    policy = network_policy(owner, operator_namespace="dgw-system", metrics_from=[])

    assert all(rule["from"] for rule in policy["spec"]["ingress"])


def test_only_the_one_port_is_open_and_it_is_the_pods(owner, built):
    policy = network_policy(owner, operator_namespace="dgw-system")
    [container] = built()["spec"]["template"]["spec"]["containers"]

    ports = [port for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert {port["port"] for port in ports} == {container["ports"][0]["containerPort"]}


def test_nothing_is_said_of_what_pods_may_reach(owner):
    spec = network_policy(owner, operator_namespace="dgw-system")["spec"]

    assert spec["policyTypes"] == ["Ingress"]
    assert "egress" not in spec
