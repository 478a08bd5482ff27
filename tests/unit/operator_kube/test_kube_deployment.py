"""The Deployment of a range: what a shard pod has, asks for, and may not do."""

import jsonschema
import pytest

from gateway_operator.core.world import PodSpec
from gateway_operator.kube.pod_template import PodSettings, template_digest
from shardpod.contract import ShardRange, environment
from shardpod.pod.config import read_config

MIB = 2**20


def container_of(body):
    [container] = body["spec"]["template"]["spec"]["containers"]
    return container


def variables_of(body):
    return {one["name"]: one for one in container_of(body)["env"]}


def mib(text):
    assert text.endswith("Mi")
    return int(text.removesuffix("Mi"))


def test_one_pod_and_its_successor_beside_it(built):
    spec = built()["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["progressDeadlineSeconds"] == 2**31 - 1


def test_it_goes_with_its_gateway(built, owner):
    [reference] = built()["metadata"]["ownerReferences"]

    assert reference == {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "name": "mybot",
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_the_pod_can_read_its_environment(built, tmp_path):
    """As the kubelet would fill it in; it is the pod's own code that reads it."""
    filled = {name: one.get("value", f"from-{name}") for name, one in variables_of(built()).items()} | {
        "POD_IP": "10.0.0.7"
    }
    filled[environment.HTTP_ADDRESS] = filled[environment.HTTP_ADDRESS].replace("$(POD_IP)", filled["POD_IP"])
    assert filled.pop(environment.SCRATCH) == "/scratch"

    config = read_config(filled | {environment.SCRATCH: str(tmp_path)})

    assert config.pod == "mybot-e1-0-15"
    assert (config.http_host, config.http_port) == ("10.0.0.7", 8080)
    assert config.control_addresses == ("ws://dgw-control.system.svc:7400/v1/control/bots/mybot",)
    assert config.termination_grace == 180
    assert (config.log_format, config.log_level) == ("json", "info")


def test_secrets_are_referred_to_and_never_written_down(built):
    variables = variables_of(
        built(
            delivery={"sink": {"http": {"url": "http://bot/", "authorizationSecretRef": {"name": "sink", "key": "k"}}}}
        )
    )

    assert {
        name: variables[name]["valueFrom"]["secretKeyRef"]
        for name in (environment.DISCORD_TOKEN, environment.CONTROL_SECRET, environment.SINK_AUTHORIZATION)
    } == {
        environment.DISCORD_TOKEN: {"name": "mybot-token", "key": "token"},
        environment.CONTROL_SECRET: {"name": "mybot-control", "key": "secret"},
        environment.SINK_AUTHORIZATION: {"name": "sink", "key": "k"},
    }


def test_the_instance_is_called_as_its_pod(built):
    variables = variables_of(built())
    paths = {
        name: variables[name]["valueFrom"]["fieldRef"]["fieldPath"] for name in ("POD_IP", environment.POD_INSTANCE)
    }

    assert paths == {"POD_IP": "status.podIP", environment.POD_INSTANCE: "metadata.name"}


def test_a_variable_comes_after_those_it_is_made_of(built):
    order = list(variables_of(built()))

    assert order.index("POD_IP") < order.index(environment.HTTP_ADDRESS)


def test_a_certificate_authority_is_a_file_of_its_secret(built):
    body = built(discord={"caSecretRef": {"name": "proxy-ca", "key": "bundle.pem"}})
    pod = body["spec"]["template"]["spec"]
    path = variables_of(body)[environment.DISCORD_CA_FILE]["value"]

    [volume] = [one for one in pod["volumes"] if "secret" in one]
    [mount] = [one for one in container_of(body)["volumeMounts"] if one["name"] == volume["name"]]
    [item] = volume["secret"]["items"]
    assert volume["secret"]["secretName"] == "proxy-ca"
    assert item["key"] == "bundle.pem"
    assert path == f"{mount['mountPath']}/{item['path']}"
    assert mount["readOnly"]


def test_without_one_nothing_of_it_is_there(built):
    body = built()

    assert environment.DISCORD_CA_FILE not in variables_of(body)
    assert environment.SINK_AUTHORIZATION not in variables_of(body)
    assert {one["name"] for one in body["spec"]["template"]["spec"]["volumes"]} == {"scratch", "tmp"}


RESTRICTED = {
    "type": "object",
    "required": ["securityContext", "containers"],
    "properties": {
        "hostNetwork": {"const": False},
        "hostPID": {"const": False},
        "hostIPC": {"const": False},
        "securityContext": {
            "required": ["runAsNonRoot", "seccompProfile", "runAsUser"],
            "properties": {
                "runAsNonRoot": {"const": True},
                "runAsUser": {"minimum": 1},
                "seccompProfile": {"properties": {"type": {"enum": ["RuntimeDefault", "Localhost"]}}},
            },
        },
        "volumes": {
            "items": {"anyOf": [{"required": [source]} for source in ("configMap", "emptyDir", "ephemeral", "secret")]}
        },
        "containers": {
            "items": {
                "required": ["securityContext"],
                "properties": {
                    "securityContext": {
                        "required": ["allowPrivilegeEscalation", "capabilities"],
                        "properties": {
                            "allowPrivilegeEscalation": {"const": False},
                            "privileged": {"const": False},
                            "capabilities": {
                                "required": ["drop"],
                                "properties": {"drop": {"const": ["ALL"]}, "add": {"maxItems": 0}},
                            },
                        },
                    },
                    "ports": {"items": {"not": {"required": ["hostPort"]}}},
                },
            }
        },
    },
}
"""Kubernetes docs, Pod Security Standards: Restricted."""


def test_it_may_do_no_more_than_the_restricted_standard_allows(built):
    pod = built(discord={"caSecretRef": {"name": "ca", "key": "ca"}})["spec"]["template"]["spec"]

    jsonschema.validate(pod, RESTRICTED)
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_a_node_that_is_silent_is_left_in_five_seconds(built):
    pod = built()["spec"]["template"]["spec"]

    assert {(one["key"], one["effect"], one["tolerationSeconds"]) for one in pod["tolerations"]} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 5),
        ("node.kubernetes.io/unreachable", "NoExecute", 5),
    }


def test_pods_of_one_set_are_spread_over_nodes_as_far_as_that_goes(built):
    [spread] = built()["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert spread["labelSelector"]["matchLabels"] == {
        "discordgateway.dev/gateway": "mybot",
        "discordgateway.dev/epoch": "1",
    }


def test_probes_ask_the_port_of_that_name(built):
    container = container_of(built())

    assert [(one["name"], one["containerPort"]) for one in container["ports"]] == [("http", 8080)]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTP"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTP"}


def test_the_image_begins_as_a_shard_pod(built):
    container = container_of(built())

    assert (container["image"], container["args"]) == ("discord-gateway:1", ["discord-gateway-shardpod"])
    assert "imagePullPolicy" not in container


def test_how_the_image_is_pulled_is_the_operators(built):
    settings = PodSettings(image="i", control_host="c", image_pull_policy="Never")

    assert container_of(built(settings=settings))["imagePullPolicy"] == "Never"


@pytest.mark.parametrize(
    ("queue", "shards", "scratch"),
    [
        ({"spool": {"maxBytes": "2Gi"}}, 16, 2458),
        ({"spool": {"maxBytes": "1Mi"}}, 16, 20),  # a shard's file may have a MiB in any case
        ({"spool": {"maxBytes": 0}}, 1, 2),
    ],
)
def test_the_disk_is_that_of_the_spool_and_a_fifth_more(built, queue, shards, scratch):
    pod = PodSpec("mybot-e1-0-0", 1, ShardRange(first_shard_id=0, last_shard_id=shards - 1))
    body = built(delivery={"sink": {"http": {"url": "http://bot/"}}, "queue": queue}, pod=pod)
    [volume] = [one for one in body["spec"]["template"]["spec"]["volumes"] if one["name"] == "scratch"]
    resources = container_of(body)["resources"]

    assert mib(volume["emptyDir"]["sizeLimit"]) == scratch
    assert resources["requests"]["ephemeral-storage"] == resources["limits"]["ephemeral-storage"]
    # Beside it the kubelet counts what the container has printed, 5 files of 10Mi, and /tmp.
    assert mib(resources["limits"]["ephemeral-storage"]) == scratch + 64 + 16


@pytest.mark.parametrize(
    ("sharding", "queue", "memory"),
    [
        ({"shardsPerWorker": 8}, "256Mi", 256 + 60 + 2 * 40),
        ({"shardsPerWorker": 1}, "64Ki", 60 + 16 * 40 + 1),
        ({"shardsPerWorker": 1, "maxWorkers": 4}, "1Gi", 1024 + 60 + 4 * 40),
        ({"shardsPerWorker": 1024}, "256Mi", 256 + 60 + 40),
    ],
)
def test_memory_is_that_of_the_queue_and_the_workers_and_has_no_limit(built, sharding, queue, memory):
    body = built(sharding=sharding, delivery={"sink": {"http": {"url": "http://bot/"}}, "queue": {"maxBytes": queue}})
    resources = container_of(body)["resources"]

    assert mib(resources["requests"]["memory"]) == memory
    assert set(resources["limits"]) == {"ephemeral-storage"}


def test_building_it_twice_gives_the_same(built):
    assert built() == built()


@pytest.mark.parametrize(
    "changed",
    [
        {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}},
        {"template": {"metadata": {"annotations": {"a": "b"}}}},
        {"tokenSecretRef": {"name": "mybot-token", "key": "another"}},
    ],
)
def test_what_no_other_part_of_the_revision_tells_is_in_the_templates_digest(spec_of, changed):
    assert template_digest(spec_of(**changed), "i:1") != template_digest(spec_of(), "i:1")


def test_another_image_is_another_digest_and_nothing_else_is(spec_of):
    before = template_digest(spec_of(), "i:1")

    assert template_digest(spec_of(), "i:2") != before
    assert template_digest(spec_of(shards=4, sharding={"shardsPerPod": 2}), "i:1") == before
