"""How a reshard that is given up ends, and when it is begun again."""

from datetime import UTC, datetime

import pytest

from gateway_operator.core.reshard_order import ReshardOrder, take_order
from gateway_operator.core.reshard_target import HELD_BACK, why_held_back
from gateway_operator.core.status import status
from gateway_operator.core.world import ReshardPhase
from shardpod.contract import ShardRange

PREPARING, STARTING, WARMING, HANDING_OVER, DRAINING, ABORTING = ReshardPhase


@pytest.fixture
def half_way(fleet_of):
    """Two of four ranges are handed over, and then the pods of the new set that have them are gone."""
    fleet = fleet_of(4, reshard={"abortAfter": "10m"})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and len(fleet.reshard.handed) == 2)
    return fleet


def aborted_in(fleet, phase):
    """By the command, in this phase of the reshard that is under way."""
    fleet.until_phase(phase)
    fleet.request(abort=True)
    fleet.until_phase(None)
    fleet.settle_down()


def break_pods(fleet, *firsts):
    """Those of the new set whose ranges begin with these shards never run again."""
    for pod in fleet.of_epoch(2):
        if pod.spec.pod.range.first_shard_id in firsts:
            pod.running = False
            pod.restart = lambda: None


def test_what_pods_have_that_never_run_again_goes_back_without_them_after_a_time_without_progress(half_way):
    break_pods(half_way, 0, 2)
    half_way.request(abort=True)
    half_way.until_phase(ABORTING)
    began = half_way.wall
    half_way.until(lambda fleet: fleet.reshard is None, within=3600, every=5.0)
    ended = half_way.wall
    half_way.settle_down()

    assert 600 <= ended - began <= 700
    assert (half_way.active.epoch, half_way.active.shard_count) == (1, 4)
    assert not [pod for pod in half_way.of_epoch(2) if pod.running and pod.told.role != "draining"]


def test_while_that_is_waited_for_it_is_said_what_comes_of_it(half_way):
    break_pods(half_way, 2)
    half_way.request(abort=True)
    half_way.until_phase(ABORTING)
    half_way.until(lambda fleet: fleet.reshard.handover is not None)
    half_way.pass_()

    assert half_way.waiting_for.endswith(
        "is not connected to the operator; if that lasts for 10 min (spec.reshard.abortAfter), its guilds go back "
        "without what it has not delivered"
    )


def test_a_pod_that_is_only_away_now_and_then_keeps_what_it_has(half_way):
    """The bot is down for an hour: nothing can be given back, and the pod is replaced once meanwhile."""
    pods = half_way.of_epoch(2)
    for pod in pods:
        pod.says = {"sink": {"up": False}}
    half_way.request(abort=True)
    half_way.until_phase(ABORTING)
    for _ in range(60):
        half_way.pass_(elapsed=60.0)
    for pod in pods:
        pod.connected = False
    half_way.pass_()
    half_way.pass_()

    assert len(half_way.reshard.handed) == 2


def test_a_new_set_that_discord_refuses_is_given_up_at_once_with_its_reason(fleet):
    fleet.born_with = {"state": "refused", "close_code": 4014}
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    fleet.settle_down()

    assert fleet.reshard is None
    assert fleet.record.aborted.shard_count == 8
    assert fleet.record.aborted.why.startswith("Discord refused the intents (4014)")
    held = why_held_back(fleet.gateway.spec, fleet.world())
    assert held.startswith("a reshard to 8 shards was given up (Discord refused the intents (4014)")


def test_the_condition_says_for_an_hour_why_one_was_given_up(fleet):
    fleet.born_with = {"state": "refused", "close_code": 4014}
    fleet.request(to=8, manifest_shards=4)
    fleet.until_phase(STARTING)
    fleet.settle_down()

    assert resharding(fleet).startswith("a reshard to 8 shards was given up (Discord refused the intents (4014)")
    fleet.pass_(elapsed=HELD_BACK)
    fleet.pass_()
    assert resharding(fleet) == "the number of shards is as it should be"


def resharding(fleet):
    world, date = fleet.world(), datetime.fromtimestamp(fleet.wall, UTC)
    told = status(fleet.gateway, world, fleet.planned, world.ledger, fleet.now, wall_now=date)
    return told.condition("Resharding").message


def test_the_number_of_before_and_then_that_one_again_begins_it_anew(fleet):
    fleet.reshard_to(8)
    aborted_in(fleet, STARTING)
    assert fleet.reshard is None

    fleet.reshard_to(4)
    fleet.settle_down()
    fleet.reshard_to(8)
    fleet.settle_down()

    assert fleet.reshard.pending.shard_count == 8


def test_a_number_that_stands_in_for_the_manifests_is_not_said_to_be_held_back(fleet):
    fleet.request(to=8, manifest_shards=4)
    fleet.until(lambda fleet: fleet.active.shard_count == 8 and fleet.reshard is None)
    fleet.request(to=16, manifest_shards=4)
    aborted_in(fleet, STARTING)

    assert fleet.active.shard_count == 8
    assert why_held_back(fleet.gateway.spec, fleet.world()) is None
    fleet.pass_(elapsed=30 * 86400)
    assert why_held_back(fleet.gateway.spec, fleet.world()) is None


def test_a_number_taken_back_before_anything_began_is_no_wish_any_more(fleet):
    fleet.remaining = 105
    fleet.reshard_to(8)
    fleet.settle_down()
    assert fleet.phase is PREPARING

    fleet.follow_discord()
    fleet.settle_down()
    assert fleet.reshard is None


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (None, "paused: no reshard is begun until --resume"),
        (HANDING_OVER, "paused: what is being handed over is finished, and nothing more is begun until --resume"),
        (DRAINING, "paused: all is handed over, so this reshard comes to its end; none is begun until --resume"),
        (ABORTING, "paused: no reshard is begun until --resume; what is being given back goes on"),
    ],
)
def test_to_pause_says_what_goes_on_all_the_same(half_way, phase, words):
    if phase is ABORTING:
        half_way.request(abort=True)
    if phase is DRAINING:
        half_way.until_phase(DRAINING)
    if phase is None:
        half_way.until(lambda fleet: fleet.reshard is None)
    half_way.pass_()

    _, answer = take_order(ReshardOrder(pause=True), half_way.gateway.spec, half_way.world())
    assert answer.message == words


def test_the_present_number_in_the_middle_of_a_handover_says_that_it_is_finished_first(half_way):
    _, answer = take_order(ReshardOrder(to=4, wait=True), half_way.gateway.spec, half_way.world())

    assert answer.message.startswith("resharding to 8 shards is finished first, and then back to 4")


def test_held_back_for_an_hour(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    fleet.request(abort=True)
    fleet.until_phase(None)
    fleet.pass_(elapsed=HELD_BACK - 10)
    fleet.pass_()
    assert fleet.reshard is None

    fleet.pass_(elapsed=20)
    fleet.pass_()
    assert fleet.reshard is not None


def test_given_back_ranges_are_the_last_first(half_way):
    half_way.request(abort=True)
    half_way.until(lambda fleet: fleet.reshard is not None and len(fleet.reshard.handed) == 1)

    assert half_way.reshard.handed == (ShardRange(first_shard_id=0, last_shard_id=1),)


def test_a_reshard_that_does_not_move_is_given_up(fleet_of):
    fleet = fleet_of(reshard={"abortAfter": "5m"})
    fleet.born_with = {"state": "awaiting_permit"}
    fleet.reshard_to(8)
    fleet.until_phase(STARTING)
    since = fleet.now
    fleet.until(lambda fleet: fleet.reshard is None, every=5)

    assert 299 <= fleet.now - since <= 306
    assert fleet.record.aborted[0] == 8


def test_a_gate_that_never_opens_again_gives_the_reshard_up(fleet_of):
    fleet = fleet_of(reshard={"abortAfter": "5m"})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    stuck = fleet.of_epoch(2)[1]
    stuck.says = {"sink": {"up": False}}
    fleet.until(lambda fleet: fleet.phase is ABORTING, every=5)
    assert "nothing has moved for 5 min" in fleet.reshard.aborted_because

    stuck.says = {}
    fleet.until_phase(None)
    assert fleet.active.epoch == 1


def test_a_reshard_that_waits_for_the_budget_is_never_given_up(fleet_of):
    fleet = fleet_of(reshard={"abortAfter": "1m"})
    fleet.remaining = 0
    fleet.reshard_to(8)
    for _ in range(10):
        fleet.pass_(elapsed=600)

    assert fleet.phase is PREPARING


def test_giving_up_does_not_bring_a_number_back_that_the_command_had_replaced(fleet):
    fleet.request(to=6, manifest_shards=4)
    fleet.until(lambda fleet: fleet.active.shard_count == 6 and fleet.reshard is None)
    fleet.request(to=8, manifest_shards=4)
    aborted_in(fleet, WARMING)

    assert fleet.reshard is None
    assert fleet.active.shard_count == 6
