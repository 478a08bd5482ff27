"""A reshard whose target or layout changes on the way, and what a person asks for by the command."""

import pytest

from gateway_operator.core.world import ReshardPhase
from shardpod.contract import ShardRange

PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, ABORTING = ReshardPhase


def cut(first: int, last: int) -> ShardRange:
    return ShardRange(first_shard_id=first, last_shard_id=last)


def test_a_target_that_changes_before_any_session_is_opened_is_simply_another_one(fleet):
    fleet.reshard_to(8)
    fleet.remaining = 0
    fleet.settle_down()
    fleet.reshard_to(6)
    fleet.pass_()

    assert (fleet.reshard.pending.epoch, fleet.reshard.pending.shard_count) == (2, 6)
    assert fleet.reshard.reason == "spec.shards is 6"


@pytest.mark.parametrize("phase", [STARTING, WARMING, HANDING_OVER])
def test_with_nothing_handed_over_another_target_begins_anew(fleet, phase):
    fleet.reshard_to(8)
    fleet.until_phase(phase)
    fleet.reshard_to(6)
    fleet.pass_()
    assert fleet.reshard is None
    assert fleet.record.aborted is None

    fleet.until(lambda fleet: fleet.active.shard_count == 6)
    assert fleet.active.epoch == 3


@pytest.mark.parametrize("phase", [PREPARING, STARTING, WARMING, HANDING_OVER])
def test_with_nothing_handed_over_the_former_number_gives_the_reshard_up(fleet, phase):
    fleet.reshard_to(8)
    fleet.until_phase(phase)
    fleet.reshard_to(4)
    fleet.pass_()
    fleet.settle_down()

    assert fleet.reshard is None
    assert fleet.active.epoch == 1
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


def test_with_a_range_handed_over_the_reshard_is_finished_and_the_next_one_follows(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.reshard_to(6)

    fleet.until(lambda fleet: fleet.active.shard_count == 8)
    fleet.until(lambda fleet: fleet.active.shard_count == 6)
    assert fleet.active.epoch == 3


def test_while_discord_has_not_answered_no_reshard_is_dropped(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(WARMING)
    fleet.info = None
    fleet.follow_discord()
    fleet.pass_()

    assert fleet.reshard is not None


def test_other_settings_of_the_windows_do_not_change_a_reshard_that_runs(fleet_of):
    fleet = fleet_of(reshard={"maxSkew": "1s"})
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    fleet.spec = {"reshard": {"maxSkew": "9s"}}
    fleet.reshard_to(8)
    fleet.pass_()

    assert {one.windows.max_skew for one in fleet.planned.assignments.values()} == {1.0}


def test_another_layout_in_the_middle_cuts_both_sets_anew_and_what_is_left_of_a_range_is_handed_over(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.spec = {"sharding": {"shardsPerPod": 3}}
    fleet.reshard_to(8)
    fleet.pass_()
    assert [pod.name for pod in fleet.planned.pods] == [
        "mybot-e1-0-1",
        "mybot-e1-2-3",
        "mybot-e2-0-2",
        "mybot-e2-3-5",
        "mybot-e2-6-7",
    ]

    fleet.until(lambda fleet: fleet.active.shard_count == 8)
    assert fleet.committed == [(0, 1), (2, 2), (3, 5), (6, 7)]


def test_no_pod_is_cut_anew_while_a_range_is_on_its_way(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    before = fleet.planned.pods
    fleet.spec = {"sharding": {"shardsPerPod": 1}}
    fleet.reshard_to(8)
    fleet.pass_()

    assert fleet.reshard.fenced is not None
    assert fleet.planned.pods == before


def test_no_instance_is_replaced_while_a_range_is_on_its_way(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    before = set(fleet.pods)
    fleet.restarts += 1
    fleet.pass_()
    assert fleet.reshard.fenced is not None
    assert set(fleet.pods) == before

    fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.until(lambda fleet: set(fleet.pods) > before, within=2)


# By the command.


def test_a_number_asked_for_by_the_command_is_done_and_then_forgotten(fleet):
    fleet.follow_discord()
    fleet.request(to=6, manifest_shards=None)
    fleet.until(lambda fleet: fleet.active.shard_count == 6)
    fleet.settle_down()

    assert fleet.record.request.to is None
    assert fleet.reshard is None


def test_a_number_asked_for_by_the_command_holds_until_the_manifest_has_another(fleet):
    fleet.request(to=6, manifest_shards=4)
    fleet.until(lambda fleet: fleet.active.shard_count == 6)
    fleet.settle_down()
    assert fleet.reshard is None

    fleet.reshard_to(5)
    fleet.until(lambda fleet: fleet.active.shard_count == 5)
    assert fleet.record.request.to is None


def test_paused_nothing_begins(fleet):
    fleet.request(paused=True)
    fleet.reshard_to(8)
    fleet.settle_down()

    assert fleet.phase is PREPARING
    assert "paused by hand" in fleet.waiting_for


def test_paused_what_is_on_its_way_is_finished_and_nothing_more_begins(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    fleet.request(paused=True)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.pass_(elapsed=100)
    fleet.settle_down()
    assert fleet.reshard.handover is None
    assert "paused by hand" in fleet.waiting_for

    fleet.request(paused=False)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)


def test_a_pause_is_no_standstill_for_which_a_reshard_is_given_up(fleet_of):
    fleet = fleet_of(reshard={"abortAfter": "1m"})
    fleet.reshard_to(8)
    fleet.until_phase(HANDING_OVER)
    fleet.request(paused=True)
    for _ in range(5):
        fleet.pass_(elapsed=29)
    assert fleet.phase is HANDING_OVER

    fleet.request(paused=False)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)
