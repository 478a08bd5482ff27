"""A resource that cannot be followed: told, while what runs goes on with what it had."""

import base64
from contextlib import suppress

from gateway_operator.kube.api import CONFIG_MAP, DEPLOYMENT, GATEWAY, SECRET, ApiError
from gateway_operator.kube.names import REVISION
from gateway_operator.kube.runner import REREAD
from gateway_operator.kube.state import state_format

NAME = "mybot-e1-0-1"


def revision(cluster, name=NAME):
    return cluster.look(DEPLOYMENT, name)["metadata"]["labels"][REVISION]


def stored(cluster):
    return state_format.validate_json(cluster.look(CONFIG_MAP, "mybot-state")["data"]["state.json"])


async def test_a_wrong_spec_of_a_new_gateway_is_told_and_nothing_runs(runner_of, resource, cluster, condition, passing):
    resource(intents=["Nonsense"])
    runner = runner_of()
    await passing(runner)

    assert condition()["reason"] == "InvalidSpec"
    assert "Nonsense" in condition()["message"]
    assert cluster.look(DEPLOYMENT, NAME) is None
    assert runner.status() is not None


async def test_a_bad_edit_is_told_and_the_shards_run_on(runner_of, resource, cluster, condition, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(intents=["Nonsense"])
    await passing(runner)

    ready = condition()
    assert (ready["status"], ready["reason"], ready["observedGeneration"]) == ("False", "InvalidSpec", 2)
    assert "run on with the settings before" in ready["message"]
    assert len(cluster.pods(NAME)) == 1

    resource()
    await passing(runner)
    assert condition()["reason"] != "InvalidSpec"


async def test_after_a_bad_edit_the_next_operator_goes_on_with_the_last_right_spec(
    runner_of, resource, cluster, condition, passing
):
    resource(shards=2)
    await passing(runner_of())
    resource(shards="two")
    before = revision(cluster)
    for name in cluster.pods():
        cluster.drain(name)
    runner = runner_of()
    await passing(runner, passes=8)

    assert stored(cluster).spec["shards"] == 2
    assert (len(cluster.pods(NAME)), revision(cluster)) == (1, before)
    assert condition()["reason"] == "InvalidSpec"


async def test_a_missing_secret_is_told_and_taken_up_when_it_is_there(
    runner_of, resource, cluster, condition, passing, clock
):
    resource()
    with cluster.as_person():
        await cluster.delete(SECRET, "bots", "mybot-token")
    runner = runner_of()
    await passing(runner)
    assert condition()["reason"] == "SecretMissing"

    resource()
    clock.advance(REREAD)
    for _ in range(3):
        await runner.one_pass()
        clock.advance(2.0)
    assert cluster.look(DEPLOYMENT, NAME)


async def test_another_token_replaces_the_pods(runner_of, resource, cluster, passing, clock):
    resource()
    runner = runner_of()
    await passing(runner)
    before = revision(cluster)
    data = {"token": base64.b64encode(b"another").decode()}
    cluster.put(SECRET, cluster.look(SECRET, "mybot-token") | {"data": data})
    await runner.one_pass()
    assert revision(cluster) == before, "nothing told of it, and it is not time to look"

    clock.advance(REREAD)
    await passing(runner)
    assert revision(cluster) != before


async def test_a_template_that_the_api_server_refuses_is_told_and_changes_no_pod(
    runner_of, resource, cluster, condition, passing
):
    resource()
    runner = runner_of()
    await passing(runner)
    before = revision(cluster)
    template = {"spec": {"nodeSelector": {"of": "x"}}}
    resource(template=template)
    cluster.fail("try Deployment", 422)
    await runner.look() if runner.note_change() else None
    await runner.one_pass()
    cluster.roll()
    assert condition()["reason"] == "TemplateRefused"
    assert revision(cluster) == before

    await passing(runner)
    assert condition()["reason"] != "TemplateRefused"
    assert revision(cluster) != before


async def test_what_the_api_server_refuses_later_is_told(runner_of, resource, cluster, condition, passing):
    resource()
    runner = runner_of()
    cluster.fail("apply Deployment", 403, times=100)
    await passing(runner)

    assert condition()["reason"] == "Refused"
    assert "made to fail" in condition("Degraded")["message"]
    cluster.mend()
    await passing(runner)
    assert condition()["reason"] != "Refused"
    assert len(cluster.pods(NAME)) == 1


async def test_companions_that_are_refused_do_not_keep_the_status_from_being_told(
    runner_of, resource, cluster, condition, passing
):
    resource()
    cluster.fail("apply NetworkPolicy", 403, times=100)
    runner = runner_of()
    for _ in range(3):
        with suppress(ApiError):
            await passing(runner)
    cluster.roll()

    assert condition() is not None
    assert len(cluster.pods(NAME)) == 1


async def test_of_two_gateways_with_one_token_only_the_first_runs(runner_of, resource, cluster, condition, passing):
    resource()
    resource("other")
    first, second = runner_of(), runner_of("other")
    await passing(first)
    await passing(second)

    assert condition(name="other")["reason"] == "TokenInUse"
    assert "bots/mybot" in condition(name="other")["message"]
    assert cluster.pods("other") == []


async def test_a_gateway_that_cannot_take_another_token_keeps_its_claim(
    runner_of, resource, cluster, condition, passing
):
    resource()
    await passing(first := runner_of())
    resource(token="another", template={"spec": {"nodeSelector": {"of": "x"}}})
    cluster.fail("try Deployment", 422, times=100)
    await passing(first)
    resource("other")
    await passing(runner_of("other"))

    assert condition(name="other")["reason"] == "TokenInUse"


async def test_a_state_that_cannot_be_read_is_told_and_nothing_is_begun(
    runner_of, resource, cluster, condition, passing
):
    resource()
    await passing(runner_of())
    there = cluster.look(CONFIG_MAP, "mybot-state")
    cluster.put(CONFIG_MAP, there | {"data": {"state.json": "spoilt"}})
    cluster.done.clear()
    await passing(runner := runner_of())
    assert condition()["reason"] == "StateUnreadable"
    assert not [one for one in cluster.done if "Deployment" in one]

    cluster.put(CONFIG_MAP, there)
    await passing(runner, passes=8)
    assert condition()["reason"] != "StateUnreadable"


async def test_a_state_that_is_thrown_away_is_taken_from_the_status_which_kept_it(
    runner_of, resource, cluster, condition, passing
):
    """As the message of `StateUnreadable` has told the person."""
    resource()
    await passing(runner_of(), passes=8)
    before = cluster.look(GATEWAY, "mybot")["status"]["active"]
    cluster.put(CONFIG_MAP, cluster.look(CONFIG_MAP, "mybot-state") | {"data": {"state.json": "spoilt"}})
    await passing(runner := runner_of())
    assert condition()["reason"] == "StateUnreadable"
    assert "run on" in condition()["message"]
    assert cluster.look(GATEWAY, "mybot")["status"]["active"] == before

    with cluster.as_person():
        await cluster.delete(CONFIG_MAP, "bots", "mybot-state")
    await passing(runner, passes=8)
    assert stored(cluster).active is not None
    assert stored(cluster).term > 1_000_000, "pods heed no lower term than they have heard"


async def test_an_operator_that_finds_no_secret_shows_the_pods_that_run_as_the_one_before_did(
    runner_of, resource, cluster, condition, passing
):
    resource()
    await passing(runner_of(), passes=8)
    before = cluster.look(GATEWAY, "mybot")["status"]
    with cluster.as_person():
        await cluster.delete(SECRET, "bots", "mybot-token")
    await passing(runner_of())

    assert condition()["reason"] == "SecretMissing"
    after = cluster.look(GATEWAY, "mybot")["status"]
    assert after | {"conditions": before["conditions"]} == before


async def test_a_wrong_spec_with_a_state_that_cannot_be_read_is_told(runner_of, resource, cluster, condition, passing):
    resource()
    await passing(runner_of())
    resource(intents=["Nonsense"])
    cluster.put(CONFIG_MAP, cluster.look(CONFIG_MAP, "mybot-state") | {"data": {}})
    await passing(runner_of())

    assert condition()["reason"] in ("StateUnreadable", "InvalidSpec")
