"""What a child says of itself by its labels, and names that fit wherever Kubernetes puts them."""

import re

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from gateway_operator.core.layout import pod_name
from gateway_operator.core.world import PodSpec
from gateway_operator.kube import names
from gateway_operator.kube.deployment import deployment
from gateway_operator.kube.names import Child, Owner
from gateway_operator.model import MAX_SHARDS
from gateway_operator.model.gateway import MAX_NAME_CHARACTERS
from shardpod.contract import ShardRange

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LONGEST = "b" * MAX_NAME_CHARACTERS


@st.composite
def pods(draw, gateway="mybot"):
    first = draw(st.integers(0, MAX_SHARDS - 1))
    held = ShardRange(first_shard_id=first, last_shard_id=draw(st.integers(first, MAX_SHARDS - 1)))
    epoch = draw(st.integers(1, 10**9 - 1))
    return PodSpec(pod_name(gateway, epoch, held), epoch, held)


numbers = st.integers(1, 10**9 - 1)
revisions = st.text("0123456789abcdef", min_size=16, max_size=16)


@pytest.fixture(scope="module")
def build(spec_of, settings):
    spec = spec_of()

    def deployment_of(owner, pod, revision, number):
        return deployment(pod, owner=owner, spec=spec, revision=revision, wanted_number=number, settings=settings)

    return deployment_of


@trying(deadline=None, max_examples=50)
@given(pods(), revisions, numbers)
def test_a_deployment_is_read_back_as_it_was_built(build, owner, pod, revision, number):
    body = build(owner, pod, revision, number)

    assert names.read_deployment(body) == Child(pod, revision, number)
    assert names.is_owned_by(owner, body)


@trying(deadline=None, max_examples=50)
@given(pods(), revisions, numbers, st.booleans())
def test_a_pod_is_read_back_from_its_deployments_template(build, owner, pod, revision, number, numbered):
    template = build(owner, pod, revision, number)["spec"]["template"]
    annotations = {"annotations": {names.NUMBER: str(number)}} if numbered else {}
    body = {"metadata": {**template["metadata"], "name": f"{pod.name}-5d4f8c7b9-x2x4z", **annotations}}

    assert names.read_pod(body) == Child(pod, revision, number if numbered else None)


@trying(deadline=None, max_examples=50)
@given(pods(LONGEST))
def test_the_names_of_the_longest_gateway_fit_into_a_dns_label(build, pod):
    owner = Owner(namespace="bots", name=LONGEST, uid="1")
    body = build(owner, pod, "0123456789abcdef", 1)

    assert LABEL.fullmatch(body["metadata"]["name"])
    for labels in (body["metadata"]["labels"], body["spec"]["template"]["metadata"]["labels"]):
        assert all(LABEL.fullmatch(value) for value in labels.values())


@trying(deadline=None, max_examples=50)
@given(pods(LONGEST))
def test_the_names_of_what_is_kept_fit_into_a_dns_subdomain(pod):
    for name in (
        names.checkpoints_name(LONGEST, pod),
        names.state_name(LONGEST),
        names.control_secret_name(LONGEST),
    ):
        assert len(name) <= 253
        assert re.fullmatch(r"[a-z0-9][-a-z0-9]*[a-z0-9]", name)


def test_names_are_those_that_the_docs_tell(pod):
    assert names.state_name("mybot") == "mybot-state"
    assert names.control_secret_name("mybot") == "mybot-control"
    assert names.checkpoints_name("mybot", pod) == "mybot-checkpoints-e1-0-15"
    assert names.pod_selector("mybot") == "discordgateway.dev/gateway=mybot"


def test_the_selector_is_of_labels_that_never_change(built):
    body = built()
    selector = body["spec"]["selector"]["matchLabels"]

    assert selector == {
        "discordgateway.dev/gateway": "mybot",
        "discordgateway.dev/epoch": "1",
        "discordgateway.dev/first-shard-id": "0",
        "discordgateway.dev/last-shard-id": "15",
    }
    assert selector.items() <= body["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (names.GATEWAY, None),
        (names.GATEWAY, ""),
        (names.EPOCH, None),
        (names.EPOCH, "one"),
        (names.EPOCH, "01"),
        (names.EPOCH, "-1"),
        (names.EPOCH, "1" * 5000),
        (names.FIRST_SHARD_ID, "16"),
        (names.FIRST_SHARD_ID, "\u0661"),
        (names.LAST_SHARD_ID, "65536"),
        (names.LAST_SHARD_ID, 15),
        (names.REVISION, None),
    ],
)
def test_what_cannot_be_read_is_somebody_elses(built, label, value):
    body = built()
    body["metadata"]["labels"][label] = value

    assert names.read_deployment(body) is None
    assert names.read_pod(body) is None


def test_a_deployment_of_another_name_is_somebody_elses(built):
    body = built()
    body["metadata"]["name"] = "mybot-e1-0-15-copy"

    assert names.read_deployment(body) is None


@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": {"labels": None}}, {"metadata": "no"}])
def test_an_object_without_labels_is_somebody_elses(body):
    assert names.read_deployment(body) is None
    assert names.read_pod(body) is None
    assert names.read_range(body) is None


@pytest.mark.parametrize("number", ["", "eight", "08", "1e3", None])
def test_a_number_that_cannot_be_read_is_none(built, number):
    body = built()
    body["metadata"]["annotations"][names.WANTED_NUMBER] = number

    child = names.read_deployment(body)

    assert child is not None
    assert child.number is None


def test_the_child_of_an_earlier_resource_of_that_name_is_not_owned(owner, built):
    earlier = Owner(namespace=owner.namespace, name=owner.name, uid="another")

    assert not names.is_owned_by(earlier, built())
    assert not names.is_owned_by(owner, {"metadata": {"ownerReferences": None}})
