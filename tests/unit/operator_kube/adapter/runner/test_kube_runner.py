"""One gateway while this replica leads: taken up, ordered about, suspended, restarted, deleted."""

from contextlib import suppress

import pytest
import structlog

from gateway_operator.kube.api import CONFIG_MAP, DEPLOYMENT, GATEWAY, POD, ApiError
from gateway_operator.kube.names import REVISION
from gateway_operator.kube.state import state_format

KEY = ("bots", "mybot")
NAME = "mybot-e1-0-1"


def revision(cluster, name=NAME):
    return cluster.look(DEPLOYMENT, name)["metadata"]["labels"][REVISION]


def stored(cluster):
    return state_format.validate_json(cluster.look(CONFIG_MAP, "mybot-state")["data"]["state.json"])


# Begun.


async def test_a_gateway_is_taken_up_and_its_pods_are_started(runner_of, resource, cluster, condition, passing):
    resource()
    runner = runner_of()
    await passing(runner)

    assert len(cluster.pods(NAME)) == 1
    assert stored(cluster).term == 1
    assert condition()["observedGeneration"] == 1
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
    runner_of, resource, cluster, condition, passing, request_, lost
):
    resource()
    runner = runner_of()
    cluster.fail(request_, 500, lost=lost)
    for _ in range(2):
        with suppress(ApiError):
            await passing(runner)
    await passing(runner)

    assert len(cluster.pods(NAME)) == 1
    assert condition() is not None


# Orders.


async def test_a_suspended_gateway_ends_its_pods_and_comes_back(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(suspend=True)
    await passing(runner)
    assert cluster.pods() == []
    assert cluster.look(DEPLOYMENT, NAME)["spec"]["replicas"] == 0
    for pod in cluster.all_of(POD):
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


async def test_news_of_pods_alone_is_no_reason_to_read_anything_else_again(runner_of, resource, cluster, passing):
    resource()
    await passing(runner := runner_of())
    cluster.asked.clear()
    runner.note_pods()
    await runner.one_pass()

    reads = {request for request in cluster.asked if request.startswith(("get", "find"))}
    assert reads == {"find Deployment", "find Pod"}


async def test_a_reshard_that_was_given_up_is_begun_again_by_order(runner_of, resource, cluster, passing):
    resource(shards=2)
    await passing(runner := runner_of())
    resource(shards=4)
    await passing(runner)
    assert stored(cluster).record.reshard is not None
    resource(shards=4, annotations={"discordgateway.dev/reshard": "abort"})
    await passing(runner)
    assert stored(cluster).record.reshard is None

    resource(shards=4, annotations={"discordgateway.dev/reshard": "begin"})
    await passing(runner)
    assert stored(cluster).record.request.to == 4
    assert stored(cluster).record.reshard is not None


async def test_an_order_that_cannot_be_followed_is_said_in_the_log(runner_of, resource, passing):
    resource()
    await passing(runner := runner_of())
    resource(annotations={"discordgateway.dev/reshard": "abort"})
    with structlog.testing.capture_logs() as logs:
        await passing(runner)

    [said] = [one for one in logs if one["event"] == "order to the reshard"]
    assert (said["log_level"], said["answer"]) == ("warning", "no reshard is under way")


async def test_a_misspelt_order_changes_nothing(runner_of, resource, cluster, passing):
    resource()
    runner = runner_of()
    await passing(runner)
    resource(annotations={"discordgateway.dev/reshard": "pause"})
    await passing(runner)
    resource(annotations={"discordgateway.dev/reshard": "paused"})
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
    with cluster.as_person():
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
