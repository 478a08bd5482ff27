"""Instances run as pods of Deployments: started, replaced, drained, suspended, removed; and the API fails half-way."""

import pytest

from gateway_operator.kube.api import DEPLOYMENT, POD, ApiError
from gateway_operator.kube.deployment import deployment
from gateway_operator.kube.names import NUMBER, WANTED_NUMBER
from gateway_operator.kube.pods import RELIST, KubePods

NAME = "mybot-e1-0-15"


@pytest.fixture
def pods(cluster, clock, owner, settings, spec_of):
    def deployment_for(spec):
        return deployment(
            spec.pod, owner=owner, spec=spec_of(), revision=spec.revision, wanted_number=spec.number, settings=settings
        )

    return KubePods(cluster, owner.namespace, "mybot", deployment_for=deployment_for, clock=clock, highest=0)


@pytest.fixture
def seen(pods, cluster):
    """What the operator sees once the cluster has followed and a watch has told so: numbers and whether they run."""

    async def look(*, rounds=1):
        for _ in range(rounds):
            cluster.roll()
        pods.note_change()
        return {one.spec.number: one for one in (await pods.observe()).values()}

    return look


async def started(pods, instance, seen):
    await pods.observe()
    await pods.apply(instance)
    return (await seen())[instance.number]


# Its life.


async def test_an_instance_is_started_by_its_deployment_and_known_by_the_name_of_its_pod(
    pods, cluster, seen, instance_of
):
    found = await started(pods, instance_of(8), seen)

    assert found.running
    assert [found.spec.name] == cluster.pods()
    assert cluster.pod(found.spec.name)["metadata"]["annotations"] == {NUMBER: "8"}
    assert cluster.done == [f"apply Deployment {NAME}", f"patch Pod {found.spec.name}"]


async def test_a_pass_in_which_all_is_as_wanted_writes_nothing(pods, cluster, seen, instance_of):
    found = await started(pods, instance_of(8), seen)
    cluster.done.clear()
    await seen()
    await pods.apply(found.spec)

    assert cluster.done == []


async def test_new_settings_come_with_a_pod_beside_the_one_that_gives_its_sessions_away(
    pods, cluster, seen, instance_of
):
    before = await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(9, revision="newer"))
    both = await seen()
    assert sorted(both) == [8, 9]
    assert not both[8].ending

    cluster.ready(both[9].spec.name)
    await pods.remove(before.spec.name)
    assert (await seen())[8].ending
    cluster.gone(before.spec.name)
    assert sorted(await seen()) == [9]


async def test_a_pod_that_is_drained_has_a_successor_that_nobody_planned(pods, cluster, seen, instance_of):
    before = await started(pods, instance_of(8), seen)
    cluster.drain(before.spec.name)
    both = await seen()

    assert both[8].ending
    assert (both[9].running, both[9].ending) == (True, False)


async def test_a_pod_that_was_told_to_stop_inside_its_container_is_replaced_as_well(pods, cluster, seen, instance_of):
    before = await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(9))
    both = await seen()

    assert both[8].spec == before.spec
    assert both[8].ending
    assert both[9].running


async def test_a_pod_that_is_drained_while_its_deployment_rolls_leads_to_one_of_the_new_settings(
    pods, cluster, seen, instance_of
):
    """The old ReplicaSet makes its pod anew, and the youngest is one of the old settings."""
    before = await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(9, revision="newer"))
    assert sorted(await seen()) == [8, 9]
    cluster.drain(before.spec.name)
    assert sorted(await seen()) == [8, 9, 10]
    number = 10
    for _ in range(10):  # as the planner does while the youngest is of other settings
        found = await seen()
        youngest = found[max(found)]
        if youngest.spec.revision == "newer":
            break
        number += 1
        await pods.apply(instance_of(max(number, max(found) + 1), revision="newer"))
    else:
        pytest.fail("it goes on for ever")

    assert youngest.running


async def test_a_container_that_was_started_again_has_started_when_it_was_seen(
    pods, cluster, clock, seen, instance_of, running_container
):
    found = await started(pods, instance_of(8), seen)
    assert found.started_at == clock.now
    clock.advance(5.0)
    cluster.pod(found.spec.name)["status"]["containerStatuses"] = [running_container(restarts=1)]

    assert (await seen())[8].started_at == clock.now


async def test_what_was_there_before_the_operator_has_always_run(pods, cluster, pod_of, seen):
    cluster.put(POD, pod_of("a", 3) | {"made_by": ("gone", "new")})

    assert (await seen())[3].started_at == 0.0


# Suspended.


async def test_a_suspended_instance_ends_and_comes_back_with_its_number(pods, cluster, seen, instance_of):
    found = await started(pods, instance_of(8), seen)
    await pods.stop(found.spec.name)
    assert (await seen())[8].ending
    cluster.gone(found.spec.name)
    suspended = (await seen())[8]
    assert not suspended.running

    await pods.apply(suspended.spec)
    again = (await seen())[8]
    assert again.running
    assert again.spec.name != found.spec.name


async def test_it_is_stopped_once(pods, cluster, seen, instance_of):
    found = await started(pods, instance_of(8), seen)
    cluster.done.clear()
    for _ in range(2):
        await pods.stop(found.spec.name)
        await seen()
        await pods.stop("of nobody")

    assert cluster.done == [f"patch Deployment {NAME}"]


# Removed.


async def test_a_deployment_is_deleted_when_all_its_instances_are_removed(pods, cluster, seen, instance_of):
    await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(9, revision="newer"))
    both = await seen()
    await pods.remove(both[8].spec.name)
    assert cluster.look(DEPLOYMENT, NAME)

    await pods.remove(both[9].spec.name)
    assert cluster.look(DEPLOYMENT, NAME) is None
    assert all(one.ending for one in (await seen()).values())


async def test_what_is_to_be_removed_is_decided_anew_in_each_pass(pods, cluster, seen, instance_of):
    await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(9, revision="newer"))
    both = await seen()
    await pods.remove(both[8].spec.name)
    await seen()
    await pods.remove(both[9].spec.name)

    assert cluster.look(DEPLOYMENT, NAME)


async def test_a_range_that_is_wanted_again_in_the_pass_in_which_its_last_instance_goes_stays(
    pods, cluster, seen, instance_of
):
    found = await started(pods, instance_of(8), seen)
    await pods.apply(instance_of(10))
    await pods.remove(found.spec.name)

    assert cluster.look(DEPLOYMENT, NAME)


async def test_a_deployment_that_was_made_anew_meanwhile_is_not_deleted(pods, cluster, seen, instance_of):
    found = await started(pods, instance_of(8), seen)
    cluster.look(DEPLOYMENT, NAME)["metadata"]["uid"] = "another"
    await pods.remove(found.spec.name)

    assert cluster.look(DEPLOYMENT, NAME)


# Lists, and an API that fails.


async def test_nothing_is_listed_while_nothing_is_said_to_have_changed(pods, cluster, clock, seen, instance_of):
    found = await started(pods, instance_of(8), seen)
    cluster.drain(found.spec.name)
    [stale] = (await pods.observe()).values()
    assert not stale.ending

    clock.advance(RELIST)
    [fresh] = (await pods.observe()).values()
    assert fresh.ending, "no watch has told of it"


@pytest.mark.parametrize("request_", ["find Deployment", "find Pod", "patch Pod"])
@pytest.mark.parametrize("lost", [False, True])
async def test_a_pass_that_fails_is_followed_by_one_that_sees_all(pods, cluster, instance_of, request_, lost):
    await pods.observe()
    await pods.apply(instance_of(8))
    cluster.roll()
    cluster.fail(request_, lost=lost)
    with pytest.raises(ApiError):
        await pods.observe()
    [found] = (await pods.observe()).values()

    assert (found.spec.number, found.running) == (8, True)


async def test_a_pod_that_is_gone_before_it_got_its_number_is_no_trouble(pods, cluster, instance_of):
    await pods.observe()
    await pods.apply(instance_of(8))
    cluster.roll()
    [name] = cluster.pods()
    cluster.fail(f"patch Pod {name}", 404)

    await pods.observe()


@pytest.mark.parametrize("request_", ["patch Deployment", "delete Pod"])
@pytest.mark.parametrize("lost", [False, True])
async def test_a_replacement_that_fails_half_way_is_carried_on(pods, cluster, seen, instance_of, request_, lost):
    await started(pods, instance_of(8), seen)
    cluster.fail(request_, lost=lost)
    with pytest.raises(ApiError):
        await pods.apply(instance_of(9))
    found = await seen()
    await pods.apply(found[max(found)].spec if max(found) > 8 else instance_of(9))
    both = await seen()

    assert both[8].ending
    assert both[9].running
    assert cluster.look(DEPLOYMENT, NAME)["metadata"]["annotations"][WANTED_NUMBER] in ("8", "9")


async def test_a_pod_that_got_its_number_while_its_deployment_was_not_listed_is_replaced(
    pods, cluster, seen, instance_of
):
    """Else what is awaited would never come, as its Deployment has its one pod."""
    await pods.observe()
    await pods.apply(instance_of(8))
    cluster.roll()
    [name] = cluster.pods()
    cluster.pod(name)["metadata"]["annotations"] = {NUMBER: "1"}
    awaited = (await seen())[8]
    assert not awaited.running
    await pods.apply(awaited.spec)
    found = await seen()

    assert found[1].ending
    assert found[8].running
