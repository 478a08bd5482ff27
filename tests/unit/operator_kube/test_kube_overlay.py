"""The manifest's template over the pod: merged as `kubectl patch` would, and never at the cost of what is ours."""

import copy

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from gateway_operator.kube.names import gateway_labels
from gateway_operator.kube.overlay import overlaid
from gateway_operator.model import ManifestError
from gateway_operator.model.pod_overlay import MAX_BYTES, without_kubernetes
from shardpod.contract import environment


@pytest.fixture(scope="module")
def pod_with(built):
    """The pod's spec under a template with this spec."""

    def pod(spec):
        return built(template={"spec": spec})["spec"]["template"]["spec"]

    return pod


@pytest.fixture(scope="module")
def shardpod_with(pod_with):
    """Our container under a template with these fields of it."""

    def container(**fields):
        return next(
            one
            for one in pod_with({"containers": [{"name": "shardpod", **fields}]})["containers"]
            if one["name"] == "shardpod"
        )

    return container


def test_without_a_template_the_pod_is_ours(built):
    assert built(template={}) == built()
    assert built(template={"metadata": {}, "spec": {}}) == built()


def test_maps_are_merged(shardpod_with):
    resources = shardpod_with(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}})["resources"]

    assert resources["requests"]["memory"] == "1Gi"
    assert resources["limits"]["memory"] == "2Gi"
    assert resources["requests"]["ephemeral-storage"] == resources["limits"]["ephemeral-storage"]


def test_an_image_of_ones_own_takes_the_place_of_the_operators(shardpod_with):
    container = shardpod_with(image="registry/mine:2")

    assert container["image"] == "registry/mine:2"
    assert container["args"] == ["discord-gateway-shardpod"]


def test_variables_are_added_by_name(shardpod_with):
    given = [{"name": "TZ", "value": "UTC"}, {"name": environment.LOG_LEVEL, "value": "debug"}]

    variables = shardpod_with(env=given)["env"]

    names = [one["name"] for one in variables]
    assert len(set(names)) == len(names)
    assert {"name": "TZ", "value": "UTC"} in variables
    assert {"name": environment.LOG_LEVEL, "value": "debug"} in variables


def test_further_containers_and_volumes_are_added(pod_with):
    sidecar = {
        "name": "sidecar",
        "image": "sidecar:1",
        "args": ["any"],
        "env": [{"name": "DISCORD_TOKEN", "value": "x"}],
    }
    cache = {"name": "cache", "emptyDir": {}}

    pod = pod_with({"containers": [sidecar], "volumes": [cache]})

    assert [one["name"] for one in pod["containers"]] == ["shardpod", "sidecar"]
    assert pod["containers"][1] == sidecar
    assert [one["name"] for one in pod["volumes"]] == ["scratch", "tmp", "cache"]


def test_another_scratch_directory_takes_the_place_of_ours_whole(pod_with):
    """With both sources in it the volume would be refused."""
    claim = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}

    [scratch] = [
        one
        for one in pod_with({"volumes": [{"name": "scratch", "ephemeral": claim}]})["volumes"]
        if one["name"] == "scratch"
    ]

    assert scratch == {"name": "scratch", "ephemeral": claim}


def test_tolerations_are_added_to_ours(pod_with):
    mine = {"key": "dedicated", "operator": "Exists"}

    assert pod_with({"tolerations": [mine]})["tolerations"] == [*pod_with({})["tolerations"], mine]


def test_lists_without_keys_are_replaced(pod_with):
    zones = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}]

    assert pod_with({"topologySpreadConstraints": zones})["topologySpreadConstraints"] == zones


def test_a_null_takes_away_what_is_there(pod_with, shardpod_with):
    assert "topologySpreadConstraints" not in pod_with({"topologySpreadConstraints": None})
    assert "limits" not in shardpod_with(resources={"limits": None})["resources"]


def test_a_longer_time_to_end_is_told_to_the_pod(pod_with):
    pod = pod_with({"terminationGracePeriodSeconds": 600})

    assert pod["terminationGracePeriodSeconds"] == 600
    assert {"name": environment.TERMINATION_GRACE, "value": "600"} in pod["containers"][0]["env"]


def test_labels_and_annotations_are_added(built):
    given = {"labels": {"team": "chat"}, "annotations": {"sidecar.istio.io/inject": "false"}}

    metadata = built(template={"metadata": given})["spec"]["template"]["metadata"]

    assert metadata["labels"]["team"] == "chat"
    assert metadata["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert gateway_labels("mybot").items() <= metadata["labels"].items()


OURS = "is the operator's: leave it out"
CONTAINER = "spec.template.spec.containers[0]"


def problems_of(spec_of, template):
    try:
        spec_of(template=template)
    except ManifestError as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"labels": {"discordgateway.dev/epoch": "2"}}, "labels.discordgateway.dev/epoch"),
        ({"labels": {"app.kubernetes.io/instance": "x"}}, "labels.app.kubernetes.io/instance"),
        ({"annotations": {"discordgateway.dev/number": "2"}}, "annotations.discordgateway.dev/number"),
    ],
)
def test_labels_of_ours_cannot_be_changed(spec_of, metadata, path):
    assert problems_of(spec_of, {"metadata": metadata}) == [(f"spec.template.metadata.{path}", OURS)]


@pytest.mark.parametrize(
    ("pod", "path"),
    [
        ({"restartPolicy": "Never"}, "restartPolicy"),
        ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
    ],
)
def test_fields_of_the_pod_that_it_depends_on_cannot_be_changed(spec_of, pod, path):
    assert problems_of(spec_of, {"spec": pod}) == [(f"spec.template.spec.{path}", OURS)]


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"command": ["sh"]}, ".command", OURS),
        ({"args": []}, ".args", OURS),
        ({"env": [{"name": "TZ"}, {"name": "DISCORD_TOKEN", "value": "x"}]}, ".env[1]", f"DISCORD_TOKEN {OURS}"),
        ({"env": [{"name": "POD_IP", "value": "x"}]}, ".env[0]", f"POD_IP {OURS}"),
        ({"volumeMounts": [{"name": "a", "mountPath": "/scratch/"}]}, ".volumeMounts[0]", f"/scratch/ {OURS}"),
        ({"ports": [{"containerPort": 8080}]}, ".ports[0]", f"8080 {OURS}"),
        ({"ports": [{"containerPort": 9, "name": "http"}]}, ".ports[0]", f"9 {OURS}"),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, ".readinessProbe.exec", OURS),
        ({"livenessProbe": {"httpGet": {"path": "/"}}}, ".livenessProbe.httpGet", OURS),
    ],
)
def test_what_our_container_depends_on_cannot_be_changed(spec_of, fields, path, message):
    template = {"spec": {"containers": [{"name": "shardpod", **fields}]}}

    assert problems_of(spec_of, template) == [(f"{CONTAINER}{path}", message)]


@pytest.mark.parametrize("name", [one for one in vars(environment).values() if isinstance(one, str) and one.isupper()])
def test_no_variable_of_the_contract_can_be_changed_but_how_it_logs(spec_of, name):
    template = {"spec": {"containers": [{"name": "shardpod", "env": [{"name": name, "value": "x"}]}]}}

    assert bool(problems_of(spec_of, template)) == (name not in {environment.LOG_LEVEL, environment.LOG_FORMAT})


@pytest.mark.parametrize(
    ("pod", "path", "said"),
    [
        ({"containers": {}}, "containers", "must be a list of maps, each with its name"),
        ({"containers": [{"image": "x"}]}, "containers[0]", "must be a map with its name"),
        ({"initContainers": [{"name": "a", "env": [1]}]}, "initContainers[0].env[0]", "must be a map with its name"),
        ({"volumes": ["scratch"]}, "volumes[0]", "must be a map with its name"),
        ({"tolerations": {}}, "tolerations", "must be a list"),
        (
            {"terminationGracePeriodSeconds": 5},
            "terminationGracePeriodSeconds",
            "must be a whole number from 30 to 3600",
        ),
        ({"terminationGracePeriodSeconds": True}, "terminationGracePeriodSeconds", "must be a whole number from 30"),
        (
            {"volumes": [{"name": "scratch", "hostPath": {"path": "/"}}]},
            "volumes[0]",
            "scratch holds the sessions of one",
        ),
        ({"volumes": [{"name": "discord-ca", "secret": {}}]}, "volumes[0]", f"discord-ca {OURS}"),
        ({"containers": [{"name": "shardpod", "livenessProbe": 1}]}, "containers[0].livenessProbe", "must be a map"),
    ],
)
def test_what_could_not_be_merged_is_told_with_its_place(spec_of, pod, path, said):
    [(found, message)] = problems_of(spec_of, {"spec": pod})

    assert found == f"spec.template.spec.{path}"
    assert message.startswith(said)


def test_an_unknown_field_beside_metadata_and_spec_is_told(spec_of):
    assert problems_of(spec_of, {"replicas": 3}) == [("spec.template.replicas", "unknown field")]


@pytest.mark.parametrize(
    ("value", "said"),
    [({"x": float("nan")}, "holds a value that JSON does not have"), ({"x": "y" * MAX_BYTES}, "is too long: ")],
)
def test_only_json_of_bounded_size_is_taken(spec_of, value, said):
    [(path, message)] = problems_of(spec_of, {"spec": value})

    assert path == "spec.template.spec"
    assert message.startswith(said)


def test_without_kubernetes_it_is_told_that_nothing_is_done_with_it():
    assert without_kubernetes(given=True) is not None
    assert without_kubernetes(given=False) is None


words = st.text("abc", min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=6,
)
variables = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["A", "B", environment.LOG_LEVEL]), "value": words}),
    max_size=3,
    unique_by=lambda one: one["name"],
)
containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["shardpod", "sidecar"])},
    optional={"env": variables, "resources": st.dictionaries(words, values, max_size=2), "image": words},
)
templates = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(words, words, max_size=3)}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": st.lists(containers, max_size=2, unique_by=lambda one: one["name"]),
                "tolerations": st.lists(st.fixed_dictionaries({"key": words}), max_size=2),
                "nodeSelector": st.dictionaries(words, words, max_size=2),
                "affinity": values,
            },
        ),
    },
)


@trying(deadline=None)
@given(templates)
def test_whatever_the_template_the_pod_stays_ours(built, template):
    before = copy.deepcopy(template)
    plain, body = built(), built(template=template)

    assert template == before
    assert body["metadata"] == plain["metadata"]
    ours, merged = plain["spec"]["template"], body["spec"]["template"]
    assert ours["metadata"]["labels"].items() <= merged["metadata"]["labels"].items()
    names = [one["name"] for one in merged["spec"]["containers"]]
    assert len(names) == len(set(names))
    our_container, container = ours["spec"]["containers"][0], merged["spec"]["containers"][0]
    for field in ("name", "args", "ports", "volumeMounts", "readinessProbe", "livenessProbe"):
        assert container[field] == our_container[field]
    kept = [one for one in our_container["env"] if one["name"] != environment.LOG_LEVEL]
    assert [one for one in container["env"] if one["name"] in {each["name"] for each in kept}] == kept
    assert merged["spec"]["tolerations"][:2] == ours["spec"]["tolerations"]


@trying(deadline=None)
@given(templates)
def test_laid_over_twice_it_changes_nothing_but_its_tolerations(built, spec_of, template):
    template.get("spec", {}).pop("tolerations", None)
    once = built(template=template)["spec"]["template"]

    assert overlaid(once, spec_of(template=template).template) == once
