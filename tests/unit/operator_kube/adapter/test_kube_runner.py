"""One gateway while this replica leads: its resource and Secrets read, its operator run, and what goes wrong told."""

import base64
from contextlib import suppress

import pytest

from gateway_operator.kube.api import CONFIG_MAP, DEPLOYMENT, GATEWAY, SECRET, ApiError
from gateway_operator.kube.names import REVISION
from gateway_operator.kube.runner import REREAD, Runner
from gateway_operator.kube.state import state_format

KEY = ("bots", "mybot")
NAME = "mybot-e1-0-1"


@pytest.fixture
async def runner_of(around, discord):
    """Make one; what it has begun is ended with the test."""
    made = []

    def build(name="mybot"):
        made.append(Runner(("bots", name), around))
        return made[-1]

    yield build
    for runner in made:
        if runner._running is not None:
            await runner._running.stop_reading()


@pytest.fixture
def passing(cluster, clock):
    """Passes, until all is carried out, each after a change that a watch has told of."""

    async def passing(runner, passes=4):
        for _ in range(passes):
            runner.note_change()
            await runner._running._watch.read() if runner._running else None
            await runner.one_pass()
            cluster.roll()
            clock.advance(2.0)

    return passing


def condition(cluster, kind="Ready", name="mybot"):
    status = cluster.look(GATEWAY, name).get("status") or {}
    return next((one for one in status.get("conditions", ()) if one["type"] == kind), None)


def revision(cluster, name=NAME):
    return cluster.look(DEPLOYMENT, name)["metadata"]["labels"][REVISION]


def stored(cluster):
    return state_format.validate_json(cluster.look(CONFIG_MAP, "mybot-state")["data"]["state.json"])


# Begun.


async def test_a_gateway_is_taken_up_and_its_pods_are_started(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)

    assert len(cluster.pods(NAME)) == 1
    assert stored(cluster).term == 1
    assert condition(cluster)["observedGeneration"] == 1
    assert runner.status().shards == 2


async def test_a_former_leaders_gateway_is_gone_on_with(runner_of, resource, cluster, passing):
    resource()
    await passing(runner_of())
    before = cluster.pods()
    await passing(runner_of())

    assert stored(cluster).term == 2
    assert cluster.pods() == before


@pytest.mark.parametrize(
    "request_",
    [
        "get DiscordGateway",
        "get Secret",
        "get ConfigMap",
        "create ConfigMap",
        "create Secret",
        "apply Deployment",
        "replace ConfigMap",
        "find Pod",
        "patch DiscordGateway",
        "apply NetworkPolicy",
    ],
)
@pytest.mark.parametrize("lost", [False, True])
async def test_whatever_request_fails_it_is_running_some_passes_later(
    runner_of, resource, cluster, passing, request_, lost
):
    resource()
    runner = runner_of()
    cluster.fail(request_, 500, lost=lost)
    for _ in range(2):
        with suppress(ApiError):
            await passing(runner)
    await passing(runner)

    assert len(cluster.pods(NAME)) == 1
    assert condition(cluster) is not None


# What cannot be used.


async def test_a_wrong_spec_of_a_new_gateway_is_told_and_nothing_runs(runner_of, resource, cluster, passing):
    resource(intents=["Nonsense"])
    runner = runner_of()
    await passing(runner)

    assert condition(cluster)["reason"] == "InvalidSpec"
    assert "Nonsense" in condition(cluster)["message"]
    assert cluster.look(DEPLOYMENT, NAME) is None
    assert runner.status() is not None


async def test_a_bad_edit_is_told_and_the_shards_run_on(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(intents=["Nonsense"])
    await passing(runner)

    ready = condition(cluster)
    assert (ready["status"], ready["reason"], ready["observedGeneration"]) == ("False", "InvalidSpec", 2)
    assert "run on with the settings before" in ready["message"]
    assert len(cluster.pods(NAME)) == 1

    resource()
    await passing(runner)
    assert condition(cluster)["reason"] != "InvalidSpec"


async def test_after_a_bad_edit_the_next_operator_goes_on_with_the_last_right_spec(
    runner_of, resource, cluster, passing
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
    assert condition(cluster)["reason"] == "InvalidSpec"


async def test_a_missing_secret_is_told_and_taken_up_when_it_is_there(runner_of, resource, cluster, passing, clock):
    resource()
    await cluster.delete(SECRET, "bots", "mybot-token")
    runner = runner_of()
    await passing(runner)
    assert condition(cluster)["reason"] == "SecretMissing"

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
    runner_of, resource, cluster, passing
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
    assert condition(cluster)["reason"] == "TemplateRefused"
    assert revision(cluster) == before

    await passing(runner)
    assert condition(cluster)["reason"] != "TemplateRefused"
    assert revision(cluster) != before


async def test_what_the_api_server_refuses_later_is_told(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    cluster.fail("apply Deployment", 403, times=100)
    await passing(runner)

    assert condition(cluster)["reason"] == "Refused"
    assert "made to fail" in condition(cluster, "Degraded")["message"]
    cluster.mend()
    await passing(runner)
    assert condition(cluster)["reason"] != "Refused"
    assert len(cluster.pods(NAME)) == 1


async def test_companions_that_are_refused_do_not_keep_the_status_from_being_told(
    runner_of, resource, cluster, passing
):
    resource()
    cluster.fail("apply NetworkPolicy", 403, times=100)
    runner = runner_of()
    for _ in range(3):
        with suppress(ApiError):
            await passing(runner)
    cluster.roll()

    assert condition(cluster) is not None
    assert len(cluster.pods(NAME)) == 1


async def test_of_two_gateways_with_one_token_only_the_first_runs(runner_of, resource, cluster, passing):
    resource()
    resource("other")
    first, second = runner_of(), runner_of("other")
    await passing(first)
    await passing(second)

    assert condition(cluster, name="other")["reason"] == "TokenInUse"
    assert "bots/mybot" in condition(cluster, name="other")["message"]
    assert cluster.pods("other") == []


async def test_a_gateway_that_cannot_take_another_token_keeps_its_claim(runner_of, resource, cluster, passing):
    resource()
    await passing(first := runner_of())
    resource(token="another", template={"spec": {"nodeSelector": {"of": "x"}}})
    cluster.fail("try Deployment", 422, times=100)
    await passing(first)
    resource("other")
    await passing(runner_of("other"))

    assert condition(cluster, name="other")["reason"] == "TokenInUse"


async def test_a_state_that_cannot_be_read_is_told_and_nothing_is_begun(runner_of, resource, cluster, passing):
    resource()
    await passing(runner_of())
    there = cluster.look(CONFIG_MAP, "mybot-state")
    cluster.put(CONFIG_MAP, there | {"data": {"state.json": "spoilt"}})
    cluster.done.clear()
    await passing(runner := runner_of())
    assert condition(cluster)["reason"] == "StateUnreadable"
    assert not [one for one in cluster.done if "Deployment" in one]

    cluster.put(CONFIG_MAP, there)
    await passing(runner, passes=8)
    assert condition(cluster)["reason"] != "StateUnreadable"


async def test_a_wrong_spec_with_a_state_that_cannot_be_read_is_told(runner_of, resource, cluster, passing):
    resource()
    await passing(runner_of())
    resource(intents=["Nonsense"])
    cluster.put(CONFIG_MAP, cluster.look(CONFIG_MAP, "mybot-state") | {"data": {}})
    await passing(runner_of())

    assert condition(cluster)["reason"] in ("StateUnreadable", "InvalidSpec")


# Orders.


async def test_a_suspended_gateway_ends_its_pods_and_comes_back(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(suspend=True)
    await passing(runner)
    assert cluster.pods() == []
    assert cluster.look(DEPLOYMENT, NAME)["spec"]["replicas"] == 0
    for pod in cluster.all_of(type(DEPLOYMENT)("v1", "Pod", "pods")):
        cluster.gone(pod["metadata"]["name"])

    await passing(runner)
    assert cluster.pods() == []
    resource()
    await passing(runner)
    assert len(cluster.pods(NAME)) == 1


async def test_a_restart_that_is_asked_for_replaces_the_pods_and_takes_up_the_operators_image(
    runner_of, resource, cluster, passing, around, monkeypatch
):
    def image():
        return cluster.look(DEPLOYMENT, NAME)["spec"]["template"]["spec"]["containers"][0]["image"]

    resource()
    await passing(runner_of())
    object.__setattr__(around, "pod_settings", type(around.pod_settings)("image:2", "control.system.svc"))
    before = revision(cluster)
    await passing(upgraded := runner_of())
    assert (image(), revision(cluster)) == ("image:1", before), "upgrading the operator alone replaces nobody"

    resource(annotations={"discordgateway.dev/restart": "2026-01-01T00:00:00Z"})
    await passing(upgraded)
    assert image() == "image:2"
    assert revision(cluster) != before


async def test_an_order_is_heeded_once_also_by_the_next_operator(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(annotations={"discordgateway.dev/reshard": "pause"})
    await passing(runner)
    assert stored(cluster).record.request.paused
    assert stored(cluster).order == "pause"

    await passing(runner_of())
    assert stored(cluster).record.request.paused
    resource()
    await passing(again := runner_of())
    assert not stored(cluster).record.request.paused
    assert again.preview(4).message


async def test_an_order_is_heeded_while_the_spec_is_wrong(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(intents=["Nonsense"], annotations={"discordgateway.dev/reshard": "pause"})
    await passing(runner)

    assert stored(cluster).record.request.paused


# Deposed, deleted.


async def test_a_replica_that_does_not_lead_any_more_takes_nothing_up(runner_of, resource, cluster, passing, leading):
    resource()
    leading.now = False
    await passing(runner_of())

    assert cluster.done == []


async def test_a_resource_that_was_deleted_and_made_anew_is_another(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    await cluster.delete(GATEWAY, *KEY)
    resource()
    cluster.done.clear()
    runner.note_change()
    await runner.one_pass()

    assert runner._gone
    assert cluster.done == []


async def test_nothing_is_done_any_more_for_a_resource_that_is_being_deleted(runner_of, resource, cluster, passing):
    there = resource()
    runner = runner_of()
    await passing(runner)
    there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.put(GATEWAY, there)
    cluster.done.clear()
    await passing(runner)

    assert cluster.done == []
