"""What is done about an instance that should run, and when a Deployment goes."""

import pytest

from gateway_operator.kube.instances import gather
from gateway_operator.kube.names import REVISION, WANTED_NUMBER, gateway_labels, range_labels
from gateway_operator.kube.steps import Apply, Await, Nothing, leaves_nothing, step_for


@pytest.fixture
def here(range_of):
    """The range with a Deployment of this revision, and these pods."""

    def build(*pods, wanted=8, revision="new", replicas=1, deployment=True):
        spec = range_of()
        labels = gateway_labels("mybot") | range_labels(spec) | {REVISION: revision}
        metadata = {"name": spec.name, "uid": "d", "labels": labels, "annotations": {WANTED_NUMBER: str(wanted)}}
        there = [{"metadata": metadata, "spec": {"replicas": replicas}}] if deployment else []
        return gather(there, pods, highest=0).ranges[spec.name]

    return build


def test_without_a_deployment_one_is_applied(instance_of):
    assert step_for(instance_of(1), None) == Apply()


def test_an_instance_that_is_there_needs_nothing(here, pod_of, instance_of):
    assert step_for(instance_of(8, name="a"), here(pod_of("a", 8))) == Nothing()


def test_an_instance_that_was_planned_and_has_no_pod_yet_is_waited_for(here, instance_of):
    assert step_for(instance_of(8), here()) == Nothing()


def test_another_revision_is_applied(here, pod_of, instance_of):
    assert step_for(instance_of(9, revision="newer"), here(pod_of("a", 8))) == Apply()


def test_a_pod_without_its_deployment_keeps_what_it_has_until_it_ends(here, pod_of, instance_of):
    there = here(pod_of("a", 8), deployment=False)

    assert step_for(instance_of(8, name="a"), there) == Nothing()
    assert step_for(instance_of(9), there) == Apply()


@pytest.mark.parametrize("replicas", [0, 2])
def test_a_deployment_that_was_scaled_is_applied_anew(here, instance_of, replicas):
    assert step_for(instance_of(8), here(replicas=replicas)) == Apply()


def test_a_successor_with_the_same_settings_takes_the_place_of_the_pod_that_is_there(here, pod_of, instance_of):
    step = step_for(instance_of(9), here(pod_of("a", 8)))

    assert isinstance(step, Await)
    assert step.end.spec.name == "a"


def test_a_pod_that_is_being_ended_already_is_not_ended_again(here, pod_of, instance_of):
    assert step_for(instance_of(9), here(pod_of("a", 8, ending=True))) == Await(end=None)


def test_a_pod_is_ended_also_if_only_the_number_of_its_successor_could_be_noted(here, pod_of, instance_of):
    step = step_for(instance_of(9), here(pod_of("a", 8), wanted=9))

    assert isinstance(step, Await)
    assert step.end.spec.name == "a"


def test_the_pod_that_is_ended_is_one_that_comes_back_with_the_wanted_settings(here, pod_of, instance_of):
    """The old ReplicaSet would make one of the old settings again, and so for ever."""
    step = step_for(instance_of(11), here(pod_of("b", 9), pod_of("c", 10, revision="old"), wanted=9))

    assert isinstance(step, Await)
    assert step.end.spec.name == "b"


def test_a_pod_of_other_settings_is_left_to_kubernetes(here, pod_of, instance_of):
    assert step_for(instance_of(11), here(pod_of("c", 10, revision="old"), wanted=9)) == Await(end=None)


def test_a_successor_that_is_awaited_beside_a_pod_of_other_settings_is_only_waited_for(here, pod_of, instance_of):
    assert step_for(instance_of(9), here(pod_of("a", 8, revision="old"), wanted=9)) == Nothing()


def test_a_pod_that_does_not_run_gets_the_wanted_settings_by_its_deployment_once(here, pod_of, instance_of):
    there = pod_of("a", 8, revision="old", containerStatuses=[])

    assert step_for(instance_of(8, name="a"), here(there, revision="old")) == Apply()
    assert step_for(instance_of(8, name="a"), here(there, wanted=8)) == Nothing()


# What goes.


def test_a_deployment_goes_when_all_its_instances_are_to_be_removed(here, pod_of):
    there = here(pod_of("a", 7), pod_of("b", 8))

    assert leaves_nothing(there, frozenset({"a"}), frozenset()) is None
    assert leaves_nothing(there, frozenset({"a", "b"}), frozenset()) is there.deployment


def test_an_instance_that_is_awaited_has_to_be_removed_as_well(here, pod_of):
    there = here(pod_of("a", 7))

    assert leaves_nothing(there, frozenset({"a"}), frozenset()) is None
    assert leaves_nothing(there, there.names, frozenset()) is there.deployment


def test_a_deployment_that_was_just_applied_stays(here, pod_of):
    there = here(pod_of("a", 8))

    assert leaves_nothing(there, frozenset({"a"}), frozenset({there.pod.name})) is None


def test_nothing_is_left_of_what_is_gone_already(here, pod_of):
    assert leaves_nothing(here(pod_of("a", 8), deployment=False), frozenset({"a"}), frozenset()) is None
