"""What should run, given what is seen."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from gateway_operator.core.plan import plan
from gateway_operator.core.world import GatewayInfo, InstanceSeen, InstanceSpec, Plan, PodSpec, ShardSet, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import Ownership, ShardRange

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


def running(*pods: str, revision: str = "") -> dict[str, InstanceSeen]:
    """An instance of each pod, which runs and is not connected; it may hold all of its range."""
    instances = {}
    for number, name in enumerate(pods, 1):
        epoch, first, last = (int(part.removeprefix("e")) for part in name.split("-")[1:])
        pod = PodSpec(name, epoch, ShardRange(first_shard_id=first, last_shard_id=last))
        spec = InstanceSpec(pod, number, revision)
        instances[spec.name] = InstanceSeen(spec, running=True)
    return instances


def of_the_wanted_revision(
    manifest: DiscordGateway, world: World, instances: Iterable[InstanceSeen]
) -> dict[str, InstanceSeen]:
    """The same instances as if started by the manifest's settings of now."""
    [one, *_others] = plan(manifest, replace(world, instances={}), NOW).instances
    specs = [replace(seen, spec=replace(seen.spec, revision=one.spec.revision)) for seen in instances]
    return {seen.spec.name: seen for seen in specs}


def test_before_discords_first_answer_nothing_is_to_run():
    planned = plan(gateway(shards=16), World(info=None, info_problem="down"), NOW)

    assert planned == Plan(active=None)


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


def test_planning_again_with_what_was_remembered_and_started_changes_nothing():
    first = plan(gateway(), World(info=INFO), NOW)
    started = {one.spec.name: InstanceSeen(one.spec, running=True) for one in first.instances}

    again = plan(
        gateway(), World(info=INFO, active=first.active, instances=started, last_number=first.last_number), NOW + 1
    )

    assert again == first


def test_a_new_recommendation_does_not_change_a_running_set():
    active, instances = shard_set((0, 8), shard_count=9), running("mybot-e1-0-8")
    info = replace(INFO, recommended_shards=40)

    planned = plan(gateway(), World(info=info, active=active, instances=instances), NOW)

    assert planned.active == active


def test_another_number_in_the_manifest_begins_a_reshard_and_restarts_nothing():
    active, instances = shard_set((0, 8), shard_count=9), running("mybot-e1-0-8")

    planned = plan(gateway(shards=18), World(info=INFO, active=active, instances=instances), NOW)

    assert planned.active == active
    assert names(planned) == ["mybot-e1-0-8"]
    assert planned.reshard is not None
    assert (planned.reshard.pending.epoch, planned.reshard.pending.shard_count) == (2, 18)


def test_another_number_is_taken_where_no_session_and_no_event_is_left():
    active = shard_set((0, 8), shard_count=9)
    ended = {name: replace(seen, running=False) for name, seen in running("mybot-e1-0-8").items()}

    planned = plan(gateway(shards=4), World(info=INFO, active=active, instances=ended), NOW)

    assert planned.active == shard_set((0, 3), shard_count=4, epoch=2)
    assert planned.remove == ("mybot-e1-0-8.1",)


def test_a_clean_end_keeps_the_number_of_shards_that_has_sessions():
    active = shard_set((0, 8), shard_count=9)
    ended = {
        name: replace(seen, running=False, scratch=frozenset({8})) for name, seen in running("mybot-e1-0-8").items()
    }

    planned = plan(gateway(shards=4), World(info=INFO, active=active, instances=ended), NOW)

    assert planned.active == active
    assert [one.spec.name for one in planned.instances] == ["mybot-e1-0-8.1"]


def test_another_layout_in_the_manifest_is_taken_over_range_by_range():
    active, instances = shard_set((0, 8), shard_count=9), running("mybot-e1-0-8")

    planned = plan(
        gateway(shards=9, sharding={"shardsPerPod": 5}),
        World(info=INFO, active=active, instances=instances, last_number=1),
        NOW,
    )

    assert planned.active == shard_set((0, 4), (5, 8), shard_count=9)
    assert [(one.spec.name, one.role) for one in planned.instances] == [
        ("mybot-e1-0-4.2", "active"),
        ("mybot-e1-0-8.1", "draining"),
    ]


def test_running_pods_stay_wanted_while_discord_cannot_be_asked():
    active = shard_set((0, 8), shard_count=9)
    world = World(info=None, info_problem="down", active=active)
    instances = of_the_wanted_revision(gateway(), world, running("mybot-e1-0-8").values())

    planned = plan(gateway(), replace(world, instances=instances), NOW)

    assert [one.spec.name for one in planned.instances] == ["mybot-e1-0-8.1"]
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
        sharding={"shardsPerWorker": 4, "maxWorkers": 3},
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
    assert assigned.instance == "mybot-e1-0-8.1"
    assert (assigned.shards_per_worker, assigned.max_workers) == (4, 3)
    assert (assigned.epoch, assigned.shard_count, assigned.role) == (1, 9, "active")
    assert assigned.range == ShardRange(first_shard_id=0, last_shard_id=8)
    assert assigned.ownership == Ownership(active_epoch=1, active_shard_count=9)
    assert assigned.discord.model_dump() == {
        "gateway_url": INFO.url,
        "compression": "none",
        "intents": 513,
        "presence": {"since": None, "activities": [], "status": "idle", "afk": False},
    }
    delivery = assigned.delivery
    assert (delivery.http.url, delivery.http.max_batch_events) == ("http://bot/", 7)
    assert (delivery.ordering, delivery.timeout) == ("none", 1.5)
    assert (delivery.max_queued_events, delivery.max_queued_bytes, delivery.overflow) == (5, 2**20, "dropNewest")
    assert (delivery.include, delivery.exclude) == (("MESSAGE_CREATE",), ("TYPING_START",))
