"""What users are told of a gateway that is paused or suspended."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.plan import plan
from gateway_operator.core.status import status
from gateway_operator.core.status_model import GatewayStatus, Phase
from gateway_operator.core.world import GatewayInfo, InstanceSeen, Reshard, ReshardPhase, ReshardRequest, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import Handover, Observed, ShardObserved

NOW = 1000.0
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INFO = GatewayInfo("wss://gateway.discord.gg/", 4, 1000, 990, NOW + 7200, 1, NOW)
LEDGER = LedgerView(True, 1000, 990, 100, NOW + 7200, 1, 0)


def gateway(**spec: Any) -> DiscordGateway:
    manifest = {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "metadata": {"name": "mybot"},
        "spec": {
            "tokenSecretRef": {"name": "mybot", "key": "token"},
            "intents": ["Guilds"],
            "sharding": {"shardsPerPod": 2},
            "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
            **spec,
        },
    }
    return load_manifest(yaml.safe_dump(manifest))


def running_world() -> World:
    """Four shards in two pods, all connected."""
    planned = plan(gateway(), World(info=INFO), NOW)
    seen = {}
    for one in planned.instances:
        shards = tuple(ShardObserved(shard_id=shard, state="connected", guilds=1) for shard in one.spec.pod.shards)
        observed = Observed(pod=one.spec.pod.name, epoch=1, shard_count=4, shards=shards)
        seen[one.spec.name] = InstanceSeen(one.spec, running=True, connected=True, observed=observed, told="active")
    return World(info=INFO, active=planned.active, instances=seen, last_number=2, ledger=LEDGER)


def told(manifest: DiscordGateway, world: World) -> GatewayStatus:
    return status(manifest, world, plan(manifest, world, NOW), LEDGER, NOW, wall_now=NOON)


def condition(made: GatewayStatus, kind: str) -> tuple[str, str, str]:
    one = made.condition(kind)
    return one.status, one.reason, one.message


def stopped(world: World) -> World:
    ended = {
        name: replace(one, running=False, connected=False, problem="ended by SIGKILL")
        for name, one in world.instances.items()
    }
    return replace(world, instances=ended)


def test_a_gateway_that_is_not_paused_says_so():
    made = told(gateway(), running_world())

    assert condition(made, "Paused") == ("False", "NotPaused", "nothing is held")
    assert [one.type for one in made.conditions] == [
        "Ready",
        "Progressing",
        "Resharding",
        "Degraded",
        "Paused",
        "IdentifyBudgetOK",
    ]


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, "nothing waits for its end"),
        ({"intents": ["GuildMessages"]}, "2 pods wait to be replaced"),
        ({"sharding": {"shardsPerPod": 1}}, "2 pods wait to be replaced"),
        ({"sharding": {"shardsPerPod": 3}}, "nothing waits for its end"),
        ({"shards": 1200}, "the reshard to 1,200 shards is held"),
    ],
)
def test_a_paused_gateway_says_what_waits(changes, waits):
    made = told(gateway(paused=True, **changes), running_world())

    assert made.phase is Phase.RUNNING
    assert condition(made, "Ready")[0] == "True"
    assert condition(made, "Paused") == (
        "True",
        "PausedBySpec",
        f"spec.paused is true: {waits}; pods that crash are started again all the same",
    )


def test_pods_that_wait_for_the_end_of_a_pause_are_no_progress():
    waiting = told(gateway(paused=True, intents=["GuildMessages"]), running_world())

    assert condition(waiting, "Progressing")[:2] == ("False", "Paused")
    assert condition(told(gateway(paused=True), running_world()), "Progressing")[:2] == ("False", "Complete")


def test_that_resharding_is_paused_by_hand_is_told_as_well():
    made = told(gateway(), replace(running_world(), request=ReshardRequest(paused=True)))

    assert condition(made, "Paused")[:2] == ("True", "ReshardPaused")
    assert "discord-gateway reshard --resume" in made.condition("Paused").message


def test_while_pods_end_a_suspended_gateway_says_how_many():
    made = told(gateway(suspend=True), running_world())

    assert made.phase is Phase.SUSPENDED
    assert condition(made, "Ready") == ("False", "Suspended", "spec.suspend is true: 2 pods are still ending")
    assert condition(made, "Progressing")[:2] == ("True", "Suspended")


def test_a_suspended_gateway_says_what_becomes_of_its_sessions_and_that_nothing_is_wrong():
    made = told(gateway(suspend=True), stopped(running_world()))

    assert (made.phase, made.ready_shards, made.shards) == (Phase.SUSPENDED, 0, 4)
    assert condition(made, "Ready")[:2] == ("False", "Suspended")
    assert made.condition("Ready").message == (
        "spec.suspend is true, and no event is received: when that ends, sessions resume as long as Discord knows them "
        "(about a minute and a half), and later each shard identifies anew"
    )
    assert condition(made, "Progressing")[:2] == ("False", "Suspended")
    assert condition(made, "Degraded")[:2] == ("False", "NothingWrong")


def test_a_gateway_that_is_suspended_before_its_first_start_is_so_in_its_status():
    assert told(gateway(suspend=True), World(info=INFO)).phase is Phase.SUSPENDED


def test_while_a_range_is_on_its_way_it_says_that_the_suspension_waits():
    world = running_world()
    pending = replace(world.active, epoch=2)
    going = Handover(number=1, range=pending.ranges[0], from_epoch=1, to_epoch=2, step="go")
    reshard = Reshard(pending, ReshardPhase.HANDING_OVER, "", 0.0, 0.0, handover=going)
    made = told(gateway(suspend=True), replace(world, reshard=reshard))

    assert made.phase is Phase.RUNNING
    assert condition(made, "Progressing")[:2] == ("True", "Suspending")
    assert "arrive or to come back first" in made.condition("Progressing").message
    assert made.reshard.paused
