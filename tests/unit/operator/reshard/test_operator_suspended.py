"""spec.suspend: every pod is told that all ends, then ends, and nothing is forgotten that the next start needs."""

from dataclasses import replace

import pytest

from gateway_operator.core.world import ReshardPhase
from shardpod.contract import Checkpoint

PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, ABORTING = ReshardPhase


def running(fleet) -> list[str]:
    return [name for name, pod in fleet.pods.items() if pod.running]


def suspended(fleet) -> None:
    fleet.change(suspend=True)
    fleet.until(lambda fleet: not running(fleet))


def test_pods_are_told_first_that_all_ends_and_then_stopped(fleet):
    fleet.change(suspend=True)

    told = fleet.pass_()
    assert told.suspended
    assert {one.role for one in told.assignments.values()} == {"ending"}
    assert (told.stop, told.to_run, told.remove) == ((), (), ())

    stopped = fleet.pass_()
    assert sorted(stopped.stop) == sorted(fleet.pods)
    assert running(fleet) == []


def test_who_cannot_be_told_is_stopped_at_once(fleet):
    name = min(fleet.pods)
    fleet.pods[name].connected = False
    fleet.change(suspend=True)

    assert fleet.pass_().stop == (name,)


def test_without_an_assignment_to_say_it_with_all_are_stopped(fleet):
    fleet.info = None
    fleet.change(suspend=True)

    assert sorted(fleet.pass_().stop) == sorted(fleet.pods)


def test_nothing_starts_while_it_lasts_and_all_is_kept(fleet):
    before, active, last_number = set(fleet.pods), fleet.active, fleet.last_number
    suspended(fleet)
    fleet.change(suspend=True, shards=8, sharding={"shardsPerPod": 1})
    fleet.restarts += 1
    fleet.settle_down()

    assert running(fleet) == []
    assert (set(fleet.pods), fleet.active, fleet.last_number, fleet.reshard) == (before, active, last_number, None)


def test_at_its_end_the_same_instances_go_on_with_what_they_kept(fleet):
    before = set(fleet.pods)
    suspended(fleet)
    fleet.change(suspend=False)
    fleet.settle_down()

    assert set(running(fleet)) == before
    assert {one.role for one in fleet.planned.assignments.values()} == {"active"}


def test_where_nothing_of_the_pods_is_left_new_ones_get_the_checkpoints(fleet):
    suspended(fleet)
    fleet.pods.clear()
    fleet.settle_down()
    assert (fleet.pods, fleet.active.shard_count) == ({}, 4)

    kept = Checkpoint(shard_id=0, shard_count=4, session_id="s", seq=7, resume_gateway_url="wss://x")
    fleet.checkpoints = {(0, 4): kept}
    fleet.change(suspend=False)
    planned = fleet.pass_()
    assert [one.checkpoints for one in planned.assignments.values()] == [(kept,), ()]


def test_a_gateway_that_is_made_suspended_starts_nothing(fleet_of):
    fleet = fleet_of(4, suspend=True)
    assert (fleet.pods, fleet.active, fleet.planned.suspended) == ({}, None, True)

    fleet.change(suspend=False)
    fleet.pass_()
    assert len(fleet.pods) == 2


def test_pods_that_are_replaced_at_the_moment_end_as_well_and_the_replacement_goes_on_later(fleet):
    fleet.born_with = {"state": "awaiting_transfer"}
    fleet.restarts += 1
    fleet.pass_()
    both = set(fleet.pods)
    assert len(both) == 3
    suspended(fleet)
    assert set(fleet.pods) == both

    for pod in fleet.pods.values():
        pod.shards = {}
    fleet.born_with = {}
    fleet.change(suspend=False)
    fleet.until(lambda fleet: len(fleet.pods) == 2)
    assert all(one.up_to_date for one in fleet.planned.instances)


def test_a_range_on_its_way_arrives_before_anything_is_stopped(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    for name in fleet.planned.takers:
        fleet.pods[name].obedient = False
    fleet.change(suspend=True)
    for _ in range(5):
        assert not fleet.pass_().suspended
    assert {one.role for one in fleet.planned.assignments.values()} == {"active"}

    for pod in fleet.pods.values():
        pod.obedient = True
    fleet.until(lambda fleet: not running(fleet))
    assert len(fleet.committed) == 1
    assert (fleet.phase, len(fleet.reshard.handed), fleet.reshard.handover) == (HANDING_OVER, 1, None)


@pytest.mark.parametrize("phase", [STARTING, WARMING, HANDING_OVER, DRAINING])
def test_a_reshard_goes_on_after_it_if_still_in_time(fleet, phase):
    fleet.reshard_to(8)
    fleet.until_phase(phase)
    suspended(fleet)
    assert "spec.suspend" in fleet.waiting_for
    fleet.settle_down()
    fleet.change(suspend=False)
    fleet.until(lambda fleet: fleet.active.shard_count == 8 and fleet.reshard is None)

    assert ABORTING not in fleet.phases


def test_a_reshard_that_is_out_of_time_gives_back_what_it_has_when_that_ends(fleet_of):
    fleet = fleet_of(4, reshard={"abortAfter": "60s"})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and len(fleet.reshard.handed) == 1)
    suspended(fleet)
    fleet.pass_(elapsed=61)
    fleet.settle_down()
    assert (fleet.phase, len(fleet.reshard.handed)) == (ABORTING, 1)

    fleet.change(suspend=False)
    fleet.until(lambda fleet: fleet.reshard is None)
    fleet.settle_down()
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


def test_old_pods_with_events_left_get_the_time_to_deliver_them_also_after_a_long_suspension(fleet_of):
    fleet = fleet_of(4, reshard={"abortAfter": "60s"})
    fleet.reshard_to(8)
    fleet.until_phase(DRAINING)
    suspended(fleet)
    for _ in range(10):
        fleet.pass_(elapsed=30)
    for pod in fleet.of_epoch(1):
        pod.says = {"queue": {"events": 3}}
    fleet.change(suspend=False)
    fleet.pass_(elapsed=1)
    fleet.pass_(elapsed=1)

    assert fleet.phase is DRAINING
    assert len(fleet.of_epoch(1)) == 2


def test_told_again_to_run_while_pods_are_still_ending_they_end_and_come_again(fleet):
    fleet.change(suspend=True)
    fleet.pass_()
    fleet.change(suspend=False)
    planned = fleet.pass_()

    assert (planned.suspended, planned.stop) == (False, ())
    assert len(planned.to_run) == 2


def test_the_numbers_of_instances_never_go_back(fleet):
    fleet.last_number = 0
    fleet.change(suspend=True)
    planned = fleet.pass_()

    assert planned.last_number == max(pod.spec.number for pod in fleet.pods.values())
    assert replace(planned, suspended=False).to_run == tuple(one.spec for one in planned.instances)
