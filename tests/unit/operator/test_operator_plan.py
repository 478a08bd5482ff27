"""What should run, given what is seen."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from gateway_operator.core.plan import plan
from gateway_operator.core.world import GatewayInfo, Plan, PodSeen, ShardSet, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import Checkpoint, Observed, Ownership, ShardObserved, ShardRange

NOW = 1000.0
INFO = GatewayInfo(
    url="wss://gateway.discord.gg/",
    recommended_shards=9,
    total=1000,
    remaining=990,
    reset_at=5000.0,
    max_concurrency=1,
    read_at=999.0,
)


def gateway(**spec: Any) -> DiscordGateway:
    return load_manifest(
        yaml.safe_dump(
            {
                "apiVersion": "discordgateway.dev/v1alpha1",
                "kind": "DiscordGateway",
                "metadata": {"name": "mybot"},
                "spec": {
                    "tokenSecretRef": {"name": "mybot", "key": "token"},
                    "intents": ["Guilds", "GuildMessages"],
                    "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
                    **spec,
                },
            }
        )
    )


def shard_set(*ranges: tuple[int, int], shard_count: int, epoch: int = 1) -> ShardSet:
    held = tuple(ShardRange(first_shard_id=first, last_shard_id=last) for first, last in ranges)
    return ShardSet(epoch=epoch, shard_count=shard_count, ranges=held)


def names(planned: Plan) -> list[str]:
    return [pod.name for pod in planned.pods]


def test_before_discords_first_answer_nothing_is_to_run():
    planned = plan(gateway(shards=16), World(info=None, info_problem="down"), NOW)

    assert planned == Plan(active=None, pods=(), remove=(), assignments={})


def test_the_first_set_follows_discords_recommendation():
    planned = plan(gateway(), World(info=INFO), NOW)

    assert planned.active == shard_set((0, 8), shard_count=9)
    assert names(planned) == ["mybot-e1-0-8"]


def test_the_first_set_has_the_number_of_the_manifest():
    planned = plan(gateway(shards=32), World(info=INFO), NOW)

    assert planned.active == shard_set((0, 15), (16, 31), shard_count=32)
    assert names(planned) == ["mybot-e1-0-15", "mybot-e1-16-31"]


def test_a_part_of_the_set_holds_that_part_only():
    sharding = {"firstShardId": 8, "lastShardId": 23, "shardsPerPod": 8}

    planned = plan(gateway(shards=32, sharding=sharding), World(info=INFO), NOW)

    assert planned.active == shard_set((8, 15), (16, 23), shard_count=32)
    assert {assigned.shard_count for assigned in planned.assignments.values()} == {32}


def test_planning_again_with_what_was_remembered_changes_nothing():
    first = plan(gateway(), World(info=INFO), NOW)

    again = plan(gateway(), World(info=INFO, active=first.active), NOW + 1)

    assert again == first


def test_a_new_recommendation_does_not_change_a_running_set():
    active = shard_set((0, 8), shard_count=9)

    planned = plan(gateway(), World(info=replace(INFO, recommended_shards=40), active=active), NOW)

    assert planned.active == active
    assert planned.not_done == ()


def test_another_number_in_the_manifest_restarts_nothing_and_is_reported():
    active = shard_set((0, 8), shard_count=9)

    planned = plan(gateway(shards=18), World(info=INFO, active=active), NOW)

    assert planned.active == active
    assert names(planned) == ["mybot-e1-0-8"]
    [not_done] = planned.not_done
    assert not_done.reason == "ReshardNotSupported"
    assert not_done.message == (
        "9 shards are running and spec.shards asks for 18: resharding is not supported yet, so nothing was changed"
    )


@pytest.mark.parametrize("sharding", [{"shardsPerPod": 4}, {"firstShardId": 0, "lastShardId": 3}])
def test_another_layout_in_the_manifest_restarts_nothing_and_is_reported(sharding):
    active = shard_set((0, 8), shard_count=9)

    planned = plan(gateway(shards=9, sharding=sharding), World(info=INFO, active=active), NOW)

    assert planned.active == active
    assert [not_done.reason for not_done in planned.not_done] == ["RecutNotSupported"]


def test_pods_that_run_and_are_not_wanted_are_removed():
    pods = {
        "mybot-e1-0-8": PodSeen(running=True, connected=True),
        "mybot-e1-0-3": PodSeen(running=True, connected=False),
        "mybot-e1-4-8": PodSeen(running=False, connected=False),
    }

    planned = plan(gateway(), World(info=INFO, pods=pods), NOW)

    assert planned.remove == ("mybot-e1-0-3",)


def test_running_pods_stay_wanted_while_discord_cannot_be_asked():
    active = shard_set((0, 8), shard_count=9)
    pods = {"mybot-e1-0-8": PodSeen(running=True, connected=True)}

    planned = plan(gateway(), World(info=None, info_problem="down", active=active, pods=pods), NOW)

    assert names(planned) == ["mybot-e1-0-8"]
    assert planned.remove == ()
    assert planned.assignments == {}, "without Discord's URL there is nothing to tell; pods keep what they were told"


def test_a_gateway_url_of_the_manifest_goes_before_discords():
    active = shard_set((0, 8), shard_count=9)
    manifest = gateway(discord={"gatewayURL": "ws://localhost:9000/"})

    for info in (None, INFO):
        [assigned] = plan(manifest, World(info=info, active=active), NOW).assignments.values()
        assert assigned.discord.gateway_url == "ws://localhost:9000/"


def test_an_assignment_carries_all_settings_of_the_manifest():
    manifest = gateway(
        discord={"compression": "none"},
        presence={"status": "idle"},
        delivery={
            "sink": {"http": {"url": "http://bot/", "batch": {"maxEvents": 7}}},
            "ordering": "none",
            "timeout": "1500ms",
            "queue": {"maxEvents": 5, "maxBytes": "1Mi", "overflow": "dropNewest"},
            "events": {"include": ["MESSAGE_CREATE"], "exclude": ["TYPING_START"]},
        },
    )

    [assigned] = plan(manifest, World(info=INFO), NOW).assignments.values()

    assert (assigned.term, assigned.n, assigned.gateway, assigned.pod) == (0, 0, "mybot", "mybot-e1-0-8")
    assert (assigned.epoch, assigned.shard_count, assigned.role) == (1, 9, "active")
    assert assigned.range == ShardRange(first_shard_id=0, last_shard_id=8)
    assert assigned.ownership == Ownership(active_epoch=1, active_shard_count=9)
    assert assigned.discord.model_dump() == {
        "gateway_url": INFO.url,
        "compression": "none",
        "intents": 513,
        "presence": {"since": None, "activities": [], "status": "idle", "afk": False},
    }
    delivery = assigned.delivery.model_dump(exclude={"http": {"max_connections"}})
    assert delivery == {
        "http": {"url": "http://bot/", "max_batch_events": 7},
        "ordering": "none",
        "timeout": 1.5,
        "max_queued_events": 5,
        "max_queued_bytes": 2**20,
        "overflow": "dropNewest",
        "include": ("MESSAGE_CREATE",),
        "exclude": ("TYPING_START",),
    }


def checkpoint(shard_id: int, shard_count: int = 9) -> Checkpoint:
    return Checkpoint(
        shard_id=shard_id, shard_count=shard_count, session_id="s", seq=7, resume_gateway_url="wss://resume.example"
    )


def seen(*checkpoints: Checkpoint | None, connected: bool) -> PodSeen:
    shards = tuple(
        ShardObserved(shard_id=shard_id, state="connected", checkpoint_remote=remote)
        for shard_id, remote in enumerate(checkpoints)
    )
    return PodSeen(running=False, connected=connected, observed=Observed(pod="mybot-e1-0-8", epoch=1, shards=shards))


def test_a_pod_that_comes_back_resumes_from_what_it_last_reported():
    pods = {"mybot-e1-0-8": seen(checkpoint(0), None, checkpoint(2), connected=False)}

    [assigned] = plan(gateway(), World(info=INFO, pods=pods), NOW).assignments.values()

    assert assigned.checkpoints == (checkpoint(0), checkpoint(2))


def test_a_connected_pod_is_not_sent_its_own_reports():
    pods = {"mybot-e1-0-8": seen(checkpoint(0), connected=True)}

    [assigned] = plan(gateway(), World(info=INFO, pods=pods), NOW).assignments.values()

    assert assigned.checkpoints == ()


def test_a_session_of_another_shard_count_is_not_resumed():
    pods = {"mybot-e1-0-8": seen(checkpoint(0, shard_count=4), connected=False)}

    [assigned] = plan(gateway(), World(info=INFO, pods=pods), NOW).assignments.values()

    assert assigned.checkpoints == ()
