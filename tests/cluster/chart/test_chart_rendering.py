"""What the chart makes of its values."""

import re

import pytest
import yaml

RELEASE, NAMESPACE = "discord-gateway-operator", "discord-gateway"
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
EVERYTHING = {
    "simulator": {"enabled": True, "shards": 4},
    "metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
}


def kinds_and_names(manifests):
    return sorted((each["kind"], each["metadata"]["name"]) for each in manifests)


def environment_of(deployment):
    return {each["name"]: each.get("value") for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


def pods_of(manifests):
    """By name, every pod that is made, each with its spec."""
    for each in manifests:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] == "Deployment":
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def test_helm_finds_nothing_to_complain_about(chart):
    done = chart.run("lint", "--strict", values=EVERYTHING)

    assert done.returncode == 0, done.stdout + done.stderr


def test_by_default_it_installs_the_definition_and_an_operator_for_the_whole_cluster(chart):
    assert kinds_and_names(chart.rendered()) == [
        ("ClusterRole", f"{NAMESPACE}-{RELEASE}"),
        ("ClusterRole", f"{NAMESPACE}-{RELEASE}-edit"),
        ("ClusterRole", f"{NAMESPACE}-{RELEASE}-view"),
        ("ClusterRoleBinding", f"{NAMESPACE}-{RELEASE}"),
        ("CustomResourceDefinition", "discordgateways.discordgateway.dev"),
        ("Deployment", RELEASE),
        ("NetworkPolicy", RELEASE),
        ("Pod", f"{RELEASE}-test"),
        ("PodDisruptionBudget", RELEASE),
        ("Role", f"{RELEASE}-leader"),
        ("Role", f"{RELEASE}-status"),
        ("RoleBinding", f"{RELEASE}-leader"),
        ("Service", RELEASE),
        ("Service", f"{RELEASE}-control"),
        ("ServiceAccount", RELEASE),
    ]


def test_the_operator_is_told_what_its_contract_names(chart, one):
    deployment = one(chart.rendered(), "Deployment", RELEASE)

    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert environment_of(deployment) == {
        "POD_NAME": None,  # from the pod itself, as the next
        "POD_NAMESPACE": None,
        "CONTROL_HOST": f"{RELEASE}-control.{NAMESPACE}.svc",
        "SHARD_POD_IMAGE": "discord-gateway:0.1.0",
        "SHARD_POD_IMAGE_PULL_POLICY": "IfNotPresent",
        "WATCH_NAMESPACES": "",
        "LEASE_NAME": RELEASE,
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "json",
    }
    assert container["args"] == ["discord-gateway-operator"]
    assert "command" not in container
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8080, "control": 7400}


def test_services_and_the_budget_select_the_operators_pods_and_no_others(chart, one):
    manifests = chart.rendered(EVERYTHING)
    pods = one(manifests, "Deployment", RELEASE)["spec"]["template"]["metadata"]["labels"]
    others = [
        one(manifests, "Deployment", f"{RELEASE}-simulator")["spec"]["template"]["metadata"]["labels"],
        one(manifests, "Pod", f"{RELEASE}-test")["metadata"]["labels"],
    ]
    selectors = [
        one(manifests, "Deployment", RELEASE)["spec"]["selector"]["matchLabels"],
        one(manifests, "Service", RELEASE)["spec"]["selector"],
        one(manifests, "Service", f"{RELEASE}-control")["spec"]["selector"],
        one(manifests, "PodDisruptionBudget", RELEASE)["spec"]["selector"]["matchLabels"],
        one(manifests, "NetworkPolicy", RELEASE)["spec"]["podSelector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= pods.items()
        assert not any(selector.items() <= other.items() for other in others)


def test_the_control_service_has_no_address_of_its_own_and_names_only_ready_replicas(chart, one):
    spec = one(chart.rendered(), "Service", f"{RELEASE}-control")["spec"]

    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is False
    assert spec["ports"][0]["port"] == 7400


def test_the_control_port_is_open_to_shard_pods_alone(chart, one):
    control, http = one(chart.rendered(), "NetworkPolicy", RELEASE)["spec"]["ingress"]

    assert control["ports"] == [{"port": "control", "protocol": "TCP"}]
    assert control["from"] == [
        {
            "namespaceSelector": {},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "discord-gateway-shardpod"}},
        }
    ]
    assert "from" not in http


def test_every_pod_meets_the_restricted_standard_and_writes_to_no_image(chart):
    pods = dict(pods_of(chart.rendered(EVERYTHING)))

    assert set(pods) == {RELEASE, f"{RELEASE}-simulator", f"{RELEASE}-test"}
    for pod in pods.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]


def test_only_who_asks_the_api_server_gets_a_token_for_it(chart, one):
    manifests = chart.rendered(EVERYTHING)

    mounted = {name: pod["automountServiceAccountToken"] for name, pod in pods_of(manifests)}
    assert mounted == {RELEASE: True, f"{RELEASE}-test": True, f"{RELEASE}-simulator": False}
    assert one(manifests, "ServiceAccount", RELEASE)["automountServiceAccountToken"] is False


def test_every_object_says_its_namespace_and_release(chart):
    for each in chart.rendered({**EVERYTHING, "labels": {"team": "bots"}}):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["team"] == "bots"
        assert each["metadata"].get("namespace") == (None if each["kind"] in CLUSTER_WIDE else NAMESPACE)


def test_the_definition_outlives_the_release_unless_told_otherwise(chart, one):
    name = "discordgateways.discordgateway.dev"
    kept = one(chart.rendered(), "CustomResourceDefinition", name)
    not_kept = one(chart.rendered({"crds": {"keep": False}}), "CustomResourceDefinition", name)
    left_out = chart.rendered({"crds": {"enabled": False}})

    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in not_kept["metadata"]
    assert kept["spec"] == not_kept["spec"]
    assert "CustomResourceDefinition" not in {each["kind"] for each in left_out}


@pytest.mark.parametrize(
    ("values", "own", "of_shard_pods"),
    [
        ({"image": {"tag": "2"}}, "discord-gateway:2", "discord-gateway:2"),
        ({"shardPods": {"image": {"tag": "1"}}}, "discord-gateway:0.1.0", "discord-gateway:1"),
        (
            {"image": {"repository": "r.example:5000/dgw", "digest": "sha256:" + "a" * 64}},
            "r.example:5000/dgw@sha256:" + "a" * 64,
            "r.example:5000/dgw@sha256:" + "a" * 64,
        ),
        (
            {"image": {"digest": "sha256:" + "a" * 64}, "shardPods": {"image": {"tag": "1"}}},
            "discord-gateway@sha256:" + "a" * 64,
            "discord-gateway:1",
        ),
        (
            {"shardPods": {"image": {"repository": "other", "digest": "sha256:" + "b" * 64, "tag": "1"}}},
            "discord-gateway:0.1.0",
            "other@sha256:" + "b" * 64,
        ),
    ],
)
def test_shard_pods_have_the_operators_image_or_one_of_their_own(chart, one, values, own, of_shard_pods):
    deployment = one(chart.rendered(values), "Deployment", RELEASE)

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == own
    assert environment_of(deployment)["SHARD_POD_IMAGE"] == of_shard_pods


def test_what_is_given_for_the_operators_pods_arrives_there(chart, one):
    values = {
        "replicas": 3,
        "imagePullSecrets": [{"name": "registry"}],
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "bots", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 2}],
        "priorityClassName": "high",
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraArgs": ["--log-level=debug"],
        "resources": {"limits": {"memory": "1Gi"}},
        "log": {"level": "debug", "format": "console"},
    }

    deployment = one(chart.rendered(values), "Deployment", RELEASE)

    template = deployment["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert deployment["spec"]["replicas"] == 3
    assert template["metadata"]["labels"]["a"] == "b"
    assert template["metadata"]["annotations"]["c"] == "d"
    for field in ("imagePullSecrets", "nodeSelector", "affinity", "topologySpreadConstraints"):
        assert pod[field] == values[field]
    assert values["tolerations"][0] in pod["tolerations"]
    assert pod["priorityClassName"] == "high"
    assert container["args"] == ["discord-gateway-operator", "--log-level=debug"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    environment = environment_of(deployment)
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert (environment["LOG_LEVEL"], environment["LOG_FORMAT"]) == ("debug", "console")


def test_replicas_leave_a_node_that_is_gone_after_seconds_and_avoid_only_those_of_their_own_version(chart, one):
    pod = one(chart.rendered({}), "Deployment", RELEASE)["spec"]["template"]["spec"]

    seconds = {one["key"].partition("/")[2]: one["tolerationSeconds"] for one in pod["tolerations"]}
    assert seconds == {"not-ready": 10, "unreachable": 10}
    [apart] = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart["podAffinityTerm"]["matchLabelKeys"] == ["pod-template-hash"]


def test_a_single_replica_has_no_disruption_budget(chart):
    kinds = {each["kind"] for each in chart.rendered({"replicas": 1})}

    assert "PodDisruptionBudget" not in kinds


def test_the_simulator_gets_its_numbers_whole_and_loads_only_when_asked(chart, one):
    values = {"enabled": True, "guilds": 1_000_000, "maxConcurrency": 16, "rate": 0.5, "extraArgs": ["--seed=7"]}
    busy = one(chart.rendered({"simulator": values}), "Deployment", f"{RELEASE}-simulator")
    quiet = one(chart.rendered({"simulator": values | {"rate": 0}}), "Deployment", f"{RELEASE}-simulator")

    args = busy["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[0] == "discord-simulator"
    assert {"--guilds=1000000", "--max-concurrency=16", "--rate=0.5", "--start-load-after=1", "--seed=7"} <= set(args)
    assert not re.search(
        "--rate|--start-load|--shards", str(quiet["spec"]["template"]["spec"]["containers"][0]["args"])
    )


def test_names_keep_within_what_kubernetes_allows(chart):
    manifests = chart.rendered({**EVERYTHING, "watchNamespaces": ["n" * 63]}, release="r" * 53)

    for each in manifests:
        assert len(each["metadata"]["name"]) <= (63 if each["kind"] in {"Service", "Pod"} else 253)
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())
    assert len({each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}) == 3


@pytest.mark.parametrize("simulator", [True, False])
@pytest.mark.parametrize("namespaces", [[], ["bots", "more-bots"]])
def test_the_notes_hold_a_gateway_to_begin_with(chart, tmp_path, simulator, namespaces):
    notes = chart.notes(tmp_path, {"simulator": {"enabled": simulator}, "watchNamespaces": namespaces})

    indented = re.search(r"^  apiVersion:.*?(?=\n\nThen:)", notes, re.MULTILINE | re.DOTALL)[0]
    gateway, *secret = yaml.safe_load_all(re.sub("^  ", "", indented, flags=re.MULTILINE))
    assert gateway["kind"] == "DiscordGateway"
    assert gateway["metadata"].get("namespace") == (namespaces or [None])[0]
    assert ("discord" in gateway["spec"]) == simulator == bool(secret)
    assert "helm test --namespace discord-gateway discord-gateway-operator" in notes
    where = "--namespace bots " if namespaces else ""
    assert f"kubectl wait {where}--for=condition=Ready dgw/mybot" in notes
