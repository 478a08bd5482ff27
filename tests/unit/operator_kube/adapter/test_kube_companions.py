"""The objects beside a gateway's Deployments."""

import base64
from dataclasses import replace

import pytest

from gateway_operator.core.world import ShardSet
from gateway_operator.kube.api import DISRUPTION_BUDGET, NETWORK_POLICY, SECRET, ApiError
from gateway_operator.kube.companions import APPLY_AGAIN, Companions, control_secret
from gateway_operator.kube.names import is_owned_by
from shardpod.contract import ShardRange

SECRET_NAME, POLICY = "mybot-control", "mybot-shards"


def shard_set(*pods, epoch=1):
    ranges = tuple(ShardRange(first_shard_id=first, last_shard_id=last) for first, last in pods)
    return ShardSet(epoch, ranges[-1].last_shard_id + 1, ranges)


@pytest.fixture
def companions(cluster, owner, clock):
    return Companions(cluster, owner, secret="s3cret", operator_namespace="system", clock=clock)


# The control secret.


async def test_it_is_made_once_and_then_the_same_for_every_operator(cluster, owner):
    value = await control_secret(cluster, owner)

    assert len(value) >= 32
    assert await control_secret(cluster, owner) == value
    assert cluster.done == [f"create Secret {SECRET_NAME}"]
    assert is_owned_by(owner, cluster.look(SECRET, SECRET_NAME))


async def test_gateways_have_secrets_of_their_own(cluster, owner):
    assert await control_secret(cluster, owner) != await control_secret(cluster, replace(owner, name="other"))


async def test_if_another_has_made_it_meanwhile_that_one_counts(cluster, owner, monkeypatch):
    async def nothing_yet(*_):
        monkeypatch.undo()

    value = await control_secret(cluster, owner)
    monkeypatch.setattr(cluster, "get", nothing_yet)
    with pytest.raises(ApiError):
        await control_secret(cluster, owner)

    assert await control_secret(cluster, owner) == value


async def test_a_lost_answer_makes_no_second_one(cluster, owner):
    cluster.fail("create Secret", lost=True)
    with pytest.raises(ApiError):
        await control_secret(cluster, owner)
    value = await control_secret(cluster, owner)

    assert base64.b64decode(cluster.look(SECRET, SECRET_NAME)["data"]["secret"]).decode() == value


async def test_that_of_an_earlier_resource_is_made_ours_before_it_is_collected(cluster, owner):
    before = await control_secret(cluster, replace(owner, uid="earlier"))

    assert await control_secret(cluster, owner) == before
    assert is_owned_by(owner, cluster.look(SECRET, SECRET_NAME))


@pytest.mark.parametrize("data", [{}, {"another": "eA=="}, {"secret": ""}, None])
async def test_one_that_somebody_has_emptied_gets_a_new_value(cluster, owner, data):
    await control_secret(cluster, owner)
    cluster.put(SECRET, cluster.look(SECRET, SECRET_NAME) | {"data": data})
    value = await control_secret(cluster, owner)

    assert value
    assert await control_secret(cluster, owner) == value


async def test_of_two_that_write_a_value_at_once_one_counts(cluster, owner, monkeypatch):
    await control_secret(cluster, owner)
    cluster.put(SECRET, cluster.look(SECRET, SECRET_NAME) | {"data": {}})
    emptied = cluster.look(SECRET, SECRET_NAME)
    value = await control_secret(cluster, owner)

    async def as_it_was(*_):
        return emptied

    monkeypatch.setattr(cluster, "get", as_it_was)
    with pytest.raises(ApiError, match="modified"):
        await control_secret(cluster, owner)
    monkeypatch.undo()
    assert await control_secret(cluster, owner) == value


# Policies.


async def test_they_are_applied_once_while_the_set_stays_the_same(companions, cluster):
    for _ in range(3):
        await companions.follow(shard_set((0, 3), (4, 7)))

    policies = [f"apply NetworkPolicy {POLICY}", f"apply PodDisruptionBudget {POLICY}"]
    assert cluster.done == [f"apply Secret {SECRET_NAME}", *policies]


async def test_one_that_somebody_deletes_is_there_again_a_minute_later_and_the_secret_is_the_same(
    companions, cluster, clock, owner
):
    await companions.follow(shard_set((0, 3), (4, 7)))
    for kind, name in ((SECRET, SECRET_NAME), (NETWORK_POLICY, POLICY), (DISRUPTION_BUDGET, POLICY)):
        with cluster.as_person():
            await cluster.delete(kind, owner.namespace, name)
    clock.advance(APPLY_AGAIN)
    await companions.follow(shard_set((0, 3), (4, 7)))

    assert base64.b64decode(cluster.look(SECRET, SECRET_NAME)["data"]["secret"]) == b"s3cret"
    assert cluster.look(NETWORK_POLICY, POLICY)
    assert cluster.look(DISRUPTION_BUDGET, POLICY)


async def test_a_single_pod_has_no_disruption_budget(companions, cluster):
    await companions.follow(shard_set((0, 3), (4, 7)))
    await companions.follow(shard_set((0, 7)))
    assert cluster.look(DISRUPTION_BUDGET, POLICY) is None

    await companions.follow(shard_set((0, 3), (4, 7), epoch=2))
    assert cluster.look(DISRUPTION_BUDGET, POLICY)["spec"]["selector"]["matchLabels"]["discordgateway.dev/epoch"] == "2"


async def test_before_there_is_a_shard_set_there_is_the_network_policy_alone(companions, cluster):
    await companions.follow(None)

    assert cluster.look(NETWORK_POLICY, POLICY)
    assert cluster.look(DISRUPTION_BUDGET, POLICY) is None


@pytest.mark.parametrize("lost", [False, True])
async def test_what_could_not_be_applied_is_applied_by_the_next_pass(companions, cluster, lost):
    cluster.fail("apply PodDisruptionBudget", lost=lost)
    with pytest.raises(ApiError):
        await companions.follow(shard_set((0, 3), (4, 7)))
    await companions.follow(shard_set((0, 3), (4, 7)))

    assert cluster.look(DISRUPTION_BUDGET, POLICY)
