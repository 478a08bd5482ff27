"""spec.paused: nothing is changed that could be put off, and all that keeps the bot connected goes on."""

import pytest

from gateway_operator.core.world import ReshardPhase

PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, ABORTING = ReshardPhase


def roles(fleet) -> dict[str, str]:
    return {name: pod.told.role for name, pod in fleet.pods.items() if pod.told is not None}


def test_paused_no_pod_is_replaced_for_new_settings_until_it_ends(fleet):
    before = set(fleet.pods)
    fleet.change(paused=True, intents=["Guilds", "GuildMessages"])
    fleet.settle_down()
    assert set(fleet.pods) == before
    assert [one.up_to_date for one in fleet.planned.instances] == [False, False]

    fleet.change(paused=False)
    fleet.until(lambda fleet: before.isdisjoint(fleet.pods))


def test_paused_a_restart_that_was_asked_for_waits(fleet):
    before = set(fleet.pods)
    fleet.change(paused=True)
    fleet.restarts += 1
    fleet.settle_down()

    assert set(fleet.pods) == before


def test_paused_the_layout_stays_as_it_is(fleet):
    before = fleet.active
    fleet.change(paused=True, sharding={"shardsPerPod": 1})
    fleet.settle_down()
    assert fleet.active == before
    assert len(fleet.pods) == 2

    fleet.change(paused=False)
    fleet.until(lambda fleet: len(fleet.active.ranges) == 4 and len(fleet.pods) == 4)


def test_paused_a_pod_that_crashed_is_started_again(fleet):
    fleet.change(paused=True)
    crashed = next(iter(fleet.pods.values()))
    crashed.running = False
    fleet.pass_()

    assert crashed.running
    assert len(fleet.pods) == 2


def test_paused_a_pod_that_somebody_else_stops_gets_its_successor(fleet):
    fleet.change(paused=True)
    name = min(fleet.pods)
    fleet.pods[name].stopping = True
    fleet.pass_()

    assert roles(fleet)[name] == "draining"
    assert len(fleet.pods) == 3


def test_a_gateway_that_is_made_paused_starts_its_pods(fleet_of):
    assert len(fleet_of(4, paused=True).pods) == 2


def test_paused_no_reshard_begins(fleet):
    fleet.change(paused=True, shards=8)
    fleet.settle_down()

    assert (fleet.phase, fleet.waiting_for) == (PREPARING, "spec.paused is true")
    assert len(fleet.pods) == 2

    fleet.change(paused=False)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)


def test_paused_with_no_session_left_another_number_of_shards_waits_all_the_same(fleet):
    fleet.change(paused=True, shards=8)
    fleet.pods.clear()
    fleet.settle_down()

    assert (fleet.active.shard_count, len(fleet.pods)) == (4, 2)


def test_paused_the_range_on_its_way_arrives_and_no_other_follows(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    fleet.change(paused=True)
    fleet.until(lambda fleet: fleet.reshard.fenced is None)
    committed = list(fleet.committed)
    for _ in range(60):
        fleet.pass_()

    assert (fleet.phase, fleet.waiting_for) == (HANDING_OVER, "spec.paused is true")
    assert len(committed) == 1
    assert fleet.committed == committed


def test_a_reshard_that_is_held_by_spec_paused_is_not_given_up(fleet_of):
    fleet = fleet_of(4, reshard={"abortAfter": "60s"})
    fleet.reshard_to(8)
    fleet.until_gone()
    fleet.change(paused=True)
    fleet.until(lambda fleet: fleet.reshard.fenced is None)
    for _ in range(20):
        fleet.pass_(elapsed=30)
    assert fleet.phase is HANDING_OVER

    fleet.change(paused=False)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)


def test_paused_what_is_given_up_is_given_back_also_by_pods_that_wait_to_be_replaced(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and len(fleet.reshard.handed) == 1)
    fleet.change(paused=True)
    fleet.restarts += 1
    fleet.request(abort=True)
    fleet.until(lambda fleet: fleet.reshard is None or fleet.phase is PREPARING)
    fleet.settle_down()

    assert ABORTING in fleet.phases
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


@pytest.mark.parametrize("phase", [STARTING, WARMING, HANDING_OVER])
def test_paused_the_layout_of_the_pending_set_stays_as_it_is(fleet, phase):
    fleet.born_with = {"calm_for": 0.0}
    fleet.reshard_to(8)
    if phase is not WARMING:
        fleet.born_with = {} if phase is HANDING_OVER else {"state": "connecting"}
    fleet.until_phase(phase)
    ranges = fleet.reshard.pending.ranges
    fleet.change(paused=True, sharding={"shardsPerPod": 1})
    fleet.settle_down()

    assert fleet.reshard.pending.ranges == ranges
