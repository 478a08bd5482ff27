"""What has to be known before a reshard begins, and before a gateway begins anew with another number of shards."""

from dataclasses import replace

import pytest

from gateway_operator.core.world import ReshardPhase
from shardpod.contract import Checkpoint

PREPARING, STARTING = ReshardPhase.PREPARING, ReshardPhase.STARTING
GUILDS = {"guilds": 1000}


def away(fleet):
    """The operator starts, and no pod has dialled it yet."""
    fleet.crash()
    for pod in fleet.pods.values():
        pod.connected, pod.told = False, None


def gone(fleet):
    """The pods are lost with all they had; others are only being made."""
    for pod in fleet.pods.values():
        pod.running, pod.told = False, None


def remembered(shard, of):
    session = {"session_id": f"s{shard}", "seq": 100, "resume_gateway_url": "wss://x", "identity": ""}
    return Checkpoint.model_validate({"shard_id": shard, "shard_count": of, **session})


@pytest.fixture
def full(fleet_of):
    """10,000 guilds on 10 shards: 3 are too few."""
    fleet = fleet_of(10)
    for pod in fleet.pods.values():
        pod.shards = dict.fromkeys(pod.spec.pod.shards, GUILDS)
    return fleet


def test_before_the_pods_have_spoken_nobody_knows_whether_so_few_shards_can_hold_the_guilds(full):
    away(full)
    full.reshard_to(3)
    full.pass_()
    full.operate()

    assert full.phase is PREPARING
    assert full.waiting_for == "10 of the 10 shards that run are not connected, so their guilds are not known"

    for pod in full.pods.values():
        pod.connected = True
    full.settle_down()
    assert full.phase is PREPARING
    assert "(4011)" in full.waiting_for


def test_a_shard_that_has_still_to_identify_takes_its_identify_first(fleet):
    fleet.of_epoch(1)[0].shards = {0: {"state": "awaiting_permit"}}
    fleet.reshard_to(8)
    fleet.settle_down()

    assert fleet.phase is PREPARING
    assert fleet.waiting_for == "1 of the 4 shards that run is not connected, so its guilds are not known"

    fleet.of_epoch(1)[0].shards = {}
    fleet.pass_()
    assert fleet.phase is STARTING


def test_a_shard_that_discord_refuses_is_not_waited_for(fleet):
    fleet.of_epoch(1)[0].shards = {0: {"state": "refused", "close_code": 4011}}
    fleet.reshard_to(8)
    fleet.settle_down()

    assert STARTING in fleet.phases


def test_pods_that_are_all_gone_for_a_moment_come_again_with_their_sessions(fleet):
    fleet.follow_discord()
    fleet.info = replace(fleet.info, recommended_shards=5)
    fleet.checkpoints = {(shard, 4): remembered(shard, 4) for shard in range(4)}
    gone(fleet)
    fleet.operate()

    assert (fleet.active.epoch, fleet.active.shard_count) == (1, 4)
    assert sum(len(one.checkpoints) for one in fleet.planned.assignments.values()) == 4


def test_without_a_session_to_keep_a_gateway_begins_anew_with_the_number_of_now(fleet):
    fleet.reshard_to(8)
    gone(fleet)
    fleet.operate()

    assert (fleet.active.epoch, fleet.active.shard_count) == (2, 8)


def test_a_pause_holds_also_when_all_sessions_are_lost(fleet):
    fleet.request(paused=True)
    fleet.reshard_to(32)
    gone(fleet)
    fleet.operate()

    assert (fleet.active.epoch, fleet.active.shard_count) == (1, 4)


def test_the_commands_number_stands_in_for_the_manifests_also_when_all_sessions_are_lost(fleet):
    fleet.request(to=8, manifest_shards=4)
    fleet.until(lambda fleet: fleet.active.shard_count == 8 and fleet.reshard is None)
    gone(fleet)
    fleet.operate()
    fleet.settle_down()

    assert fleet.active.shard_count == 8
