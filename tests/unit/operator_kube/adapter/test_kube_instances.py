"""Which instances there are, by the Deployments and pods that the API lists, and what number each has."""

import pytest

from gateway_operator.kube.instances import gather, here
from gateway_operator.kube.names import REVISION, WANTED_NUMBER, gateway_labels, range_labels

NOT_PLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are free"}


@pytest.fixture
def deployment_of(range_of):
    def build(wanted, *, spec=None, revision="new", **status):
        spec = spec or range_of()
        labels = gateway_labels("mybot") | range_labels(spec) | {REVISION: revision}
        metadata = {"name": spec.name, "uid": "d", "labels": labels, "annotations": {WANTED_NUMBER: str(wanted)}}
        return {"metadata": metadata, "spec": {"replicas": 1}, "status": status}

    return build


def numbers(gathered):
    return {one.spec.name: one.spec.number for found in gathered.ranges.values() for one in found.instances}


def only(gathered, *, started_at=()):
    [found] = gathered.ranges.values()
    return here(found, started_at=dict(started_at))


# Numbers.


def test_the_pod_that_was_planned_gets_the_number_that_was_planned_for_it(deployment_of, pod_of):
    gathered = gather([deployment_of(8)], [pod_of("a")], highest=8)

    assert gathered.to_number == {"a": 8}
    assert gathered.highest == 8


def test_a_pod_that_nobody_planned_gets_the_next_number(deployment_of, pod_of):
    gathered = gather([deployment_of(8)], [pod_of("a", 8, ending=True), pod_of("b")], highest=12)

    assert gathered.to_number == {"b": 13}


def test_a_pod_of_former_settings_that_is_made_anew_does_not_take_the_planned_number(deployment_of, pod_of):
    """Its ReplicaSet still stands while the pod of the new settings is not ready."""
    pods = [
        pod_of("a", 8, revision="old", ending=True),
        pod_of("again", revision="old", made="2"),
        pod_of("b", made="3"),
    ]
    gathered = gather([deployment_of(9)], pods, highest=9)

    assert numbers(gathered) == {"a": 8, "again": 10, "b": 11}


def test_pods_are_numbered_in_the_order_in_which_they_were_made(deployment_of, pod_of):
    pods = [pod_of("a", made="2026-01-01T00:00:02Z"), pod_of("b", made="2026-01-01T00:00:01Z")]

    assert gather([deployment_of(8)], pods, highest=8).to_number == {"b": 8, "a": 9}


def test_what_is_made_anew_where_another_range_has_the_shards_is_nobodys(deployment_of, pod_of, range_of):
    left, right = range_of(0, 7), range_of(8, 15)
    deployments = [deployment_of(3), deployment_of(4, spec=left), deployment_of(5, spec=right)]
    gathered = gather(deployments, [pod_of("old"), pod_of("a", 4, spec=left), pod_of("b", 5, spec=right)], highest=5)

    assert numbers(gathered) == {"a": 4, "b": 5}
    assert gathered.to_number == {}


def test_another_epoch_has_shards_of_its_own(deployment_of, pod_of, range_of):
    deployments = [deployment_of(3), deployment_of(4, spec=range_of(epoch=2))]
    gathered = gather(deployments, [pod_of("old"), pod_of("a", 4, spec=range_of(epoch=2))], highest=5)

    assert gathered.to_number == {"old": 3}


def test_a_number_that_a_person_has_spoilt_is_given_anew(deployment_of, pod_of):
    assert gather([deployment_of(8)], [pod_of("a", "eight")], highest=8).to_number == {"a": 8}


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_an_evicted_pod_is_no_instance(deployment_of, pod_of, phase):
    gathered = gather([deployment_of(8)], [pod_of("a", 8, phase=phase)], highest=8)

    assert numbers(gathered) == {}


def test_what_is_not_ours_is_left_alone(deployment_of, pod_of):
    foreign = deployment_of(8)
    foreign["metadata"]["name"] = "somebody-elses"
    gathered = gather([foreign], [{"metadata": {"name": "x", "labels": {}}}], highest=0)

    assert gathered.ranges == {}


# How each is.


def test_an_instance_is_awaited_until_its_pod_is_there(deployment_of, pod_of):
    [awaited] = only(gather([deployment_of(8)], [], highest=8))
    assert (awaited.spec.name, awaited.spec.number, awaited.running) == ("mybot-e1-0-15.8", 8, False)

    assert [one.spec.name for one in only(gather([deployment_of(8)], [pod_of("a", 8)], highest=8))] == ["a"]


def test_a_successor_that_nobody_planned_is_awaited_by_nobody(deployment_of, pod_of):
    found = only(gather([deployment_of(8)], [pod_of("a", 9)], highest=9))

    assert [one.spec.name for one in found] == ["a"]


def test_instances_come_by_age(deployment_of, pod_of):
    found = only(gather([deployment_of(9)], [pod_of("b", 9), pod_of("a", 8, revision="old")], highest=9))

    assert [(one.spec.name, one.spec.revision) for one in found] == [("a", "old"), ("b", "new")]


def test_a_pod_without_a_deployment_is_an_instance_all_the_same(pod_of):
    [found] = only(gather([], [pod_of("a", 8, ending=True)], highest=8))

    assert (found.spec.name, found.running, found.ending) == ("a", True, True)


def test_a_container_that_was_started_again_may_have_files(deployment_of, pod_of, running_container, range_of):
    again = pod_of("a", 8, containerStatuses=[{"name": "sidecar", "state": {}}, running_container(restarts=2)])
    [found] = only(gather([deployment_of(8)], [again], highest=8), started_at={("uid-of-a", 2): 77.0})

    assert found.scratch == frozenset(range_of().shards)
    assert found.started_at == 77.0


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({"containerStatuses": []}, None),
        ({"conditions": [NOT_PLACED]}, "its pod cannot be placed on a node: 0/3 nodes are free"),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image\n"}}},
            "its container waits: ImagePullBackOff: no such image",
        ),
        (
            {"state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
            "its container ended with exit code 3: Error",
        ),
    ],
)
def test_why_it_does_not_run_is_told_in_the_words_of_kubernetes(
    deployment_of, pod_of, running_container, status, problem
):
    container = running_container() | {"state": status.pop("state", {})}
    [found] = only(
        gather([deployment_of(8)], [pod_of("a", 8, **{"containerStatuses": [container]} | status)], highest=8)
    )

    assert (found.running, found.problem) == (False, problem)


def test_why_there_is_no_pod_is_told(deployment_of):
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    [found] = only(gather([deployment_of(8, conditions=[failure])], [], highest=8))

    assert found.problem == "its pod cannot be made: exceeded quota"
