"""The gate before a fence: each reason for which it stays closed."""

from dataclasses import replace

import pytest

from gateway_operator.core.world import ReshardPhase
from shardpod.contract import Windows

HISTORY = Windows().history
JUST_BEFORE = HISTORY - 0.1


@pytest.fixture
def at_the_gate(fleet):
    """The first range is rehearsed, and nothing but the test stands in its way: [giver, another giver, taker]."""
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and fleet.reshard.handover is not None)
    return fleet


def giver(fleet):
    return fleet.of_epoch(1)[0]


def taker(fleet):
    return fleet.of_epoch(2)[0]


def stays_closed(fleet) -> str:
    for _ in range(4):
        fleet.pass_()
    assert fleet.reshard.handover.step == "rehearse"
    return fleet.waiting_for


def test_with_nothing_in_its_way_the_range_goes(at_the_gate):
    at_the_gate.pass_()

    assert at_the_gate.reshard.handover.step == "go"


@pytest.mark.parametrize("side", [giver, taker])
@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"watching_for": None}, "has not yet compared events"),
        ({"watching_for": JUST_BEFORE}, "has not yet compared events"),
        ({"sink": {"up": False}}, "cannot deliver"),
        ({"sink": None}, "cannot deliver"),
        ({"queue": {"oldest_age": 2.0}}, "have waited for 2 s"),
        ({"loop_lag": 0.5}, "too busy"),
    ],
)
def test_an_instance_that_could_not_carry_it_keeps_it_closed(at_the_gate, side, says, reason):
    pod = side(at_the_gate)
    pod.says = says

    assert reason in stays_closed(at_the_gate)
    assert at_the_gate.waiting_for.startswith(pod.spec.name)

    pod.says = {}
    at_the_gate.pass_()
    assert at_the_gate.reshard.handover.step == "go"


@pytest.mark.parametrize("side", [giver, taker])
@pytest.mark.parametrize(
    "says",
    [
        {"watching_for": HISTORY},
        {"queue": {"oldest_age": 1.9}},
        {"loop_lag": 0.49},
    ],
)
def test_what_is_just_good_enough_opens_it(at_the_gate, side, says):
    side(at_the_gate).says = says
    at_the_gate.pass_()

    assert at_the_gate.reshard.handover.step == "go"


@pytest.mark.parametrize("side", [giver, taker])
@pytest.mark.parametrize(
    ("shard", "reason"),
    [
        ({"state": "resuming"}, "not connected (resuming)"),
        ({"all_guilds_loaded": False}, "not yet received all its guilds"),
        ({"calm_for": None}, "without an interruption"),
        ({"calm_for": JUST_BEFORE}, "without an interruption"),
    ],
)
def test_a_session_that_is_not_whole_keeps_it_closed(at_the_gate, side, shard, reason):
    pod = side(at_the_gate)
    pod.shards = {1: shard}

    assert reason in stays_closed(at_the_gate)
    assert at_the_gate.waiting_for.startswith("shard 1 of ")


def test_sessions_that_are_not_concerned_do_not_matter(at_the_gate):
    at_the_gate.of_epoch(1)[1].shards = {2: {"state": "resuming"}}
    at_the_gate.of_epoch(2)[1].says = {"sink": {"up": False}}
    at_the_gate.pass_()

    assert at_the_gate.reshard.handover.step == "go"


@pytest.mark.parametrize("side", [giver, taker])
def test_an_instance_that_cannot_be_told_keeps_it_closed(at_the_gate, side):
    side(at_the_gate).connected = False

    assert "is not connected to the operator" in stays_closed(at_the_gate)


def test_an_assignment_that_is_not_in_force_yet_keeps_it_closed(at_the_gate, monkeypatch):
    pod = giver(at_the_gate)
    seen = pod.seen
    monkeypatch.setattr(pod, "seen", lambda: replace(seen(), told=None))

    assert "has not taken up its assignment yet" in stays_closed(at_the_gate)


@pytest.mark.parametrize("which", [0, 1])
def test_a_pod_that_is_being_ended_keeps_it_closed_as_it_is_replaced(at_the_gate, monkeypatch, which):
    pod = at_the_gate.of_epoch(1)[which]
    seen = pod.seen
    monkeypatch.setattr(pod, "seen", lambda: replace(seen(), stopping=True))
    at_the_gate.operate()

    assert at_the_gate.reshard.handover.step == "rehearse"
    assert at_the_gate.waiting_for == f"{pod.spec.pod.name} is being replaced"


def test_it_waits_while_pods_are_replaced_one_after_the_other(at_the_gate):
    at_the_gate.restarts += 1
    at_the_gate.pass_()

    assert at_the_gate.reshard.handover.step == "rehearse"
    assert "is being replaced" in at_the_gate.waiting_for


def test_a_taker_that_has_found_a_difference_keeps_it_closed_and_its_reason_is_told(at_the_gate):
    pod = taker(at_the_gate)
    pod.obedient = False
    number = at_the_gate.reshard.handover.number
    pod.says = {
        "handover": {
            "number": number,
            "role": "taker",
            "state": "rehearsing",
            "reason": "3 events were seen by one set",
        }
    }

    assert stays_closed(at_the_gate).endswith("3 events were seen by one set")


def test_a_rehearsal_of_another_number_does_not_count(at_the_gate):
    pod = taker(at_the_gate)
    pod.obedient = False
    pod.says = {"handover": {"number": 77, "role": "taker", "state": "rehearsed"}}

    assert "still comparing" in stays_closed(at_the_gate)


def test_a_giver_that_cannot_compare_yet_says_why(at_the_gate):
    pod = giver(at_the_gate)
    why = "one of its sessions is silent"
    pod.obedient = False
    pod.says = {"handover": {"number": 1, "role": "giver", "state": "rehearsing", "reason": why}}

    assert stays_closed(at_the_gate) == f"{pod.spec.name} cannot compare yet: {why}"


def test_a_giver_whose_shard_discord_refused_has_nothing_to_compare(at_the_gate):
    giver(at_the_gate).shards = {0: {"state": "refused", "close_code": 4011, "calm_for": None}}
    pod = taker(at_the_gate)
    pod.obedient, pod.state = False, "rehearsing"
    at_the_gate.pass_()

    assert at_the_gate.reshard.handover.step == "go"


def test_a_taker_whose_shard_discord_refused_keeps_it_closed_once_something_is_handed_over(at_the_gate):
    at_the_gate.until(lambda fleet: len(fleet.reshard.handed) == 1 and fleet.reshard.handover is not None)
    at_the_gate.of_epoch(2)[1].shards = {2: {"state": "refused", "close_code": 4010}}

    assert "not connected (refused)" in stays_closed(at_the_gate)


def test_a_taker_whose_shard_discord_refused_before_anything_is_handed_over_ends_the_reshard(at_the_gate):
    taker(at_the_gate).shards = {0: {"state": "refused", "close_code": 4010}}
    at_the_gate.settle_down()

    assert at_the_gate.reshard is None
    assert "(4010)" in at_the_gate.record.aborted.why


def test_the_new_set_warms_until_the_first_range_could_be_compared(fleet_of):
    fleet = fleet_of()
    fleet.born_with = {"calm_for": 1.0}
    fleet.reshard_to(8)
    fleet.until_phase(ReshardPhase.WARMING)
    fleet.settle_down()
    assert fleet.phase is ReshardPhase.WARMING
    assert "without an interruption" in fleet.waiting_for

    taker(fleet).shards = {}
    fleet.pass_()
    assert fleet.phase is ReshardPhase.HANDING_OVER
