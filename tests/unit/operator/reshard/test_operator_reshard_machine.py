"""From one shard set to the next: the phases, what each waits for, and what begins anew."""

from dataclasses import replace

import pytest

from gateway_operator.core.world import ReshardPhase
from shardpod.contract import ShardRange

PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, ABORTING = ReshardPhase


def cut(first: int, last: int) -> ShardRange:
    return ShardRange(first_shard_id=first, last_shard_id=last)


def test_without_another_target_there_is_no_reshard(fleet):
    fleet.settle_down()

    assert fleet.phases == [None]
    assert fleet.waiting_for is None


@pytest.mark.parametrize(("before", "after"), [(4, 8), (8, 4), (6, 9), (1, 2), (2, 1)])
def test_a_reshard_goes_through_its_phases_and_ends_with_the_new_set_active(fleet_of, before, after):
    fleet = fleet_of(before)
    fleet.reshard_to(after)
    fleet.until(lambda fleet: fleet.active.shard_count == after)
    fleet.settle_down()

    assert fleet.phases == [None, PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, None]
    assert fleet.active.epoch == 2
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {2}
    assert fleet.committed == [(one.first_shard_id, one.last_shard_id) for one in fleet.active.ranges]


def test_epochs_and_handovers_are_never_numbered_twice(fleet):
    for shards, epoch in ((8, 2), (4, 3), (6, 4)):
        fleet.reshard_to(shards)
        fleet.until(lambda fleet, shards=shards: fleet.active.shard_count == shards and fleet.reshard is None)
        assert fleet.active.epoch == fleet.record.last_epoch == epoch

    assert fleet.record.last_handover == 4 + 2 + 3


def test_nothing_runs_for_a_reshard_that_is_only_prepared(fleet):
    fleet.reshard_to(8)
    fleet.remaining = 105
    fleet.settle_down()

    assert fleet.phase is PREPARING
    assert "identifies" in fleet.waiting_for
    assert len(fleet.pods) == 2
    assert all(one.ownership.pending_epoch is None for one in fleet.planned.assignments.values())

    fleet.remaining = 900
    fleet.pass_()
    assert fleet.phase is STARTING
    assert fleet.waiting_for is None


def test_running_pods_are_not_replaced_because_a_reshard_begins(fleet):
    before = set(fleet.pods)
    fleet.reshard_to(8)
    fleet.until_phase(HANDING_OVER)

    assert before < set(fleet.pods)
    assert {one.spec.revision for one in fleet.pods.values()} == {fleet.pods[min(before)].spec.revision}


def test_a_smaller_layout_of_the_new_set_is_cut_as_the_manifest_says(fleet):
    fleet.reshard_to(5)
    fleet.pass_()

    assert fleet.reshard.pending.ranges == (cut(0, 1), cut(2, 3), cut(4, 4))


def test_each_shard_that_connects_is_progress(fleet):
    fleet.born_with = {"state": "awaiting_permit"}
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    fleet.pass_()
    assert fleet.waiting_for == "0 of 8 new shards are connected"

    fleet.pass_(elapsed=1000)
    fleet.of_epoch(2)[0].shards = {}
    fleet.pass_()

    assert fleet.waiting_for == "2 of 8 new shards are connected"
    assert fleet.reshard.progressed_at == fleet.wall - 0.5


def test_no_range_is_handed_over_before_the_last_one_has_settled(fleet_of):
    fleet = fleet_of(reshard={"settle": "20s"})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    committed_at = fleet.now
    fleet.pass_()
    assert fleet.waiting_for == "what was handed over last has to settle first"
    assert fleet.reshard.handover is None

    fleet.until(lambda fleet: fleet.reshard.handover is not None)
    assert 19.5 <= fleet.now - committed_at <= 21


def test_the_old_set_is_kept_for_the_drain_delay(fleet_of):
    fleet = fleet_of(reshard={"drainDelay": "60s"})
    fleet.reshard_to(8)
    fleet.until_phase(DRAINING)
    drained_from = fleet.now
    fleet.until_phase(None)

    assert 59 <= fleet.now - drained_from <= 62
    assert fleet.active.shard_count == 8


@pytest.fixture
def draining(fleet_of):
    """With five minutes until what does not move is given up."""
    fleet = fleet_of(reshard={"abortAfter": "5m"})
    fleet.reshard_to(8)
    fleet.until_phase(DRAINING)
    return fleet


def test_the_old_set_is_kept_until_it_has_delivered_all_however_long_the_bot_is_away(draining):
    fleet, old = draining, draining.of_epoch(1)[0]
    for left in ({"queue": {"events": 3}}, {"dead_letters": 1}):
        old.says = left
        for _ in range(100):
            fleet.pass_(elapsed=60)
        assert fleet.phase is DRAINING

    assert fleet.waiting_for == f"{old.spec.name} still has dead letters to hand on: 1"
    old.says = {}
    fleet.until_phase(None)
    assert fleet.active.shard_count == 8


def test_an_old_pod_that_nobody_can_ask_does_not_keep_its_set_for_ever(draining):
    fleet, old = draining, draining.of_epoch(1)[0]
    old.says["queue"] = {"events": 3}
    fleet.pass_(elapsed=60)
    old.connected = False
    fleet.pass_(elapsed=60)
    assert "may still have events to deliver, and is not connected" in fleet.waiting_for

    fleet.until(lambda fleet: fleet.active.shard_count == 8, within=310, every=10)


def test_pods_of_the_old_set_are_told_to_end_before_they_are_removed(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)
    old = {pod.spec.name for pod in fleet.of_epoch(1)}
    assert len(old) == 2
    assert fleet.planned.remove == ()

    for name in old:
        told = fleet.planned.assignments[name]
        assert (told.role, told.epoch, told.shard_count) == ("ending", 1, 4)
        assert (told.ownership.active_epoch, told.ownership.pending_epoch) == (1, 2)
        assert told.ownership.handed == (cut(0, 7),)
    fleet.pass_()
    assert set(fleet.planned.remove) == old


def test_the_next_reshard_waits_until_the_last_set_has_ended(fleet, monkeypatch):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.active.shard_count == 8)
    [stays, *_others] = fleet.of_epoch(1)
    fleet.reshard_to(4)
    fleet.pass_()
    fleet.pods[stays.spec.name] = stays
    fleet.pass_()

    assert fleet.phase is PREPARING
    assert fleet.waiting_for == "the pods of the shard set before are still ending"


# Assignments.


def test_both_sets_know_the_table_from_the_start_of_the_new_one_on(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    [table] = {one.ownership for one in fleet.planned.assignments.values()}
    assert (table.active_epoch, table.active_shard_count) == (1, 4)
    assert (table.pending_epoch, table.pending_shard_count, table.handed) == (2, 8, ())

    fleet.until(lambda fleet: len(fleet.committed) == 2)
    [table] = {one.ownership for one in fleet.planned.assignments.values()}
    assert table.handed == (cut(0, 1), cut(2, 3))


def test_only_those_concerned_are_told_of_a_handover(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()

    concerned = {name for name, one in fleet.planned.assignments.items() if one.handover is not None}
    assert concerned == fleet.planned.givers | fleet.planned.takers
    assert {name.split(".")[0] for name in fleet.planned.givers} == {"mybot-e1-0-1"}
    assert {name.split(".")[0] for name in fleet.planned.takers} == {"mybot-e2-0-1"}


def test_counterparts_are_those_of_the_other_set_with_the_same_guilds(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(HANDING_OVER)

    by_pod = {one.pod: {peer.pod for peer in one.counterparts} for one in fleet.planned.assignments.values()}
    assert by_pod["mybot-e1-0-1"] == {"mybot-e2-0-1", "mybot-e2-4-5"}
    assert by_pod["mybot-e2-6-7"] == {"mybot-e1-2-3"}
    assert all(peer.address for one in fleet.planned.assignments.values() for peer in one.counterparts)


def test_without_a_common_divisor_everybody_is_concerned(fleet_of):
    fleet = fleet_of(4)
    fleet.reshard_to(5)
    fleet.until_gone()

    assert {name.split(".")[0] for name in fleet.planned.givers} == {"mybot-e1-0-1", "mybot-e1-2-3"}


def test_a_dropped_set_is_told_that_it_delivers_nothing(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(WARMING)
    fleet.reshard_to(4)
    fleet.pass_()

    told = [one for one in fleet.planned.assignments.values() if one.epoch == 2]
    assert len(told) == 4
    assert {(one.role, one.ownership.active_epoch, one.ownership.handed) for one in told} == {("ending", 1, ())}


def test_a_set_begun_anew_for_want_of_sessions_ends_the_reshard(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(WARMING)
    fleet.pods = {}
    fleet.reshard_to(6)
    fleet.pass_()

    assert fleet.reshard is None
    assert (fleet.active.epoch, fleet.active.shard_count) == (3, 6)


def test_a_reshard_whose_end_was_not_stored_any_more_has_ended(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(DRAINING)
    draining = fleet.record
    fleet.until(lambda fleet: fleet.active.shard_count == 8)
    fleet.record = draining
    fleet.pass_()

    assert fleet.reshard is None
    assert fleet.active == replace(draining.reshard.pending)
