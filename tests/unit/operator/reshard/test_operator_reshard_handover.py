"""A range on its way: when it is committed, when it is given back, and what happens if the operator dies then."""

import pytest

from gateway_operator.core.reshard_handover import FENCING_PATIENCE, HALFWAY, SILENCE
from gateway_operator.core.world import ReshardPhase
from shardpod.contract import ShardRange, Windows

LEASE = Windows().lease
HISTORY = Windows().history


@pytest.fixture
def going(fleet):
    """The first range has just been sent on its way: step go is stored, and nobody has been told yet."""
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and fleet.reshard.handover is not None)
    fleet.operate()
    assert fleet.reshard.fenced is not None
    return fleet


def freeze(fleet, state_of_givers, state_of_takers) -> None:
    """Givers and takers say this from now on, and nothing else."""
    for pod in fleet.pods.values():
        if pod.spec.name in fleet.planned.givers | fleet.planned.takers:
            pod.obedient = False
            pod.state = state_of_givers if pod.spec.name in fleet.planned.givers else state_of_takers


def given_back(fleet) -> bool:
    return fleet.reshard.fenced is None and not fleet.reshard.handed


def committed(fleet) -> bool:
    return bool(fleet.reshard.handed)


def closing(fleet) -> bool:
    return fleet.reshard.giving_back is not None


@pytest.mark.parametrize("state", ["rehearsed", "waiting", "live", "expired", None])
def test_without_all_takers_settled_nothing_is_committed(going, state):
    freeze(going, "fenced", state)
    for _ in range(10):
        going.pass_()

    assert not committed(going)
    assert going.reshard.fenced is not None


def test_when_all_takers_have_settled_the_range_is_theirs(going):
    freeze(going, "fenced", "settled")
    going.pass_()
    going.pass_()

    assert going.reshard.handed == (ShardRange(first_shard_id=0, last_shard_id=1),)
    assert all(one.handover is None for one in going.planned.assignments.values())


def test_what_a_taker_said_before_it_went_is_no_word_to_commit_by(going):
    freeze(going, "fenced", "settled")
    for name in going.planned.takers:
        going.pods[name].connected = False
    going.pass_()
    assert not committed(going)

    for name in going.planned.takers:
        going.pods[name].connected = True
    going.pass_()
    assert committed(going)


def test_settled_in_another_handover_is_no_word_to_commit_by(going):
    freeze(going, "fenced", None)
    for name in going.planned.takers:
        going.pods[name].says = {"handover": {"number": 99, "role": "taker", "state": "settled"}}
    for _ in range(4):
        going.pass_()

    assert not committed(going)


def test_a_taker_of_which_no_instance_is_there_keeps_it_from_being_committed(going):
    freeze(going, "fenced", "settled")
    for name in going.planned.takers:
        del going.pods[name]
    going.pass_()

    assert not committed(going)


@pytest.mark.parametrize("state", ["undone", "lost"])
def test_a_giver_that_could_not_fence_gets_it_back_at_once_if_no_lease_was_granted(going, state):
    freeze(going, state, "waiting")
    going.pass_()
    assert closing(going)
    assert going.planned.assignments[min(going.planned.takers)].handover is not None

    going.pass_()
    assert given_back(going)
    assert all(one.handover is None for one in going.planned.assignments.values())


def test_a_giver_says_itself_why_it_could_not_fence(going):
    """Not always by the bot's fault: its session may be silent, or was interrupted."""
    freeze(going, "undone", "waiting")
    for pod in going.pods.values():
        pod.reason = "one of its sessions is silent, and may be dead"
    going.pass_()

    giver = min(going.planned.givers)
    assert going.reshard.giving_back == f"{giver} could not fence it (one of its sessions is silent, and may be dead)"


def test_a_handover_given_back_is_tried_again_under_another_number_after_the_history(going):
    number = going.reshard.handover.number
    freeze(going, "undone", "waiting")
    going.until(given_back)
    since = going.now
    for pod in going.pods.values():
        pod.obedient = True
    going.until(lambda fleet: fleet.reshard.handover is not None)

    assert going.now - since >= HISTORY - 1
    assert going.reshard.handover.number == number + 1


def test_fences_that_never_come_are_given_up(going):
    freeze(going, "fencing", "waiting")
    since = going.now
    going.until(closing)

    assert FENCING_PATIENCE <= going.now - since <= FENCING_PATIENCE + LEASE + 2


def take_a_lease(fleet) -> None:
    freeze(fleet, "fenced", "live")
    fleet.pass_()
    for name in fleet.planned.takers:
        fleet.ask(fleet.pods[name], live=False)
    assert fleet.book.view().until is not None


def test_a_live_taker_is_finished_though_its_giver_was_started_again(going):
    take_a_lease(going)
    freeze(going, "lost", "live")
    for _ in range(200):
        going.pass_()
        going.ask(going.pods[min(going.planned.takers)], live=True)
    assert not closing(going)

    freeze(going, "lost", "settled")
    going.pass_()
    assert committed(going)


def test_a_taker_that_is_lost_gives_back_only_after_its_last_lease_is_over(going):
    take_a_lease(going)
    until = going.book.view().until
    freeze(going, "fenced", "lost")
    going.pass_()
    assert closing(going)

    while going.now < until:
        going.pass_()
        assert not given_back(going)
    going.pass_()
    assert given_back(going)


def test_while_it_is_given_back_no_lease_is_granted(going):
    take_a_lease(going)
    until = going.book.view().until
    freeze(going, "fenced", "lost")
    going.pass_()
    going.ask(going.pods[min(going.planned.takers)], live=True)

    assert going.book.view().until == until


def test_what_is_being_given_back_is_not_committed_any_more(going):
    take_a_lease(going)
    freeze(going, "fenced", "lost")
    going.pass_()
    freeze(going, "fenced", "settled")
    going.until(given_back)

    assert going.committed == []


def test_a_taker_that_is_live_and_slow_to_settle_is_waited_for(going):
    take_a_lease(going)
    for _ in range(int(2 * HALFWAY)):
        going.pass_(elapsed=1.0)
        going.ask(going.pods[min(going.planned.takers)], live=True)

    assert going.reshard.fenced is not None
    assert not closing(going)
    assert "has not yet settled all" in going.waiting_for


def test_takers_that_are_not_heard_of_any_more_lose_it(going):
    take_a_lease(going)
    until = going.book.view().until
    freeze(going, "fenced", "expired")
    going.until(closing)

    assert until + SILENCE <= going.now <= until + SILENCE + 2
    going.until(given_back)


def test_a_taker_that_comes_back_goes_on(going):
    take_a_lease(going)
    freeze(going, "fenced", "expired")
    going.pass_(elapsed=SILENCE - 1)
    for pod in going.pods.values():
        pod.obedient = True
    going.until(committed)

    assert not closing(going)


def test_takers_of_which_only_some_become_live_lose_it(fleet):
    fleet.reshard_to(5)
    fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.request(abort=True)
    fleet.until(lambda fleet: fleet.reshard.fenced is not None and fleet.phase is ReshardPhase.ABORTING)
    freeze(fleet, "fenced", "live")
    live, waiting = (fleet.pods[name] for name in sorted(fleet.planned.takers))
    waiting.state = "waiting"
    fleet.ask(live, live=False)
    since = fleet.now
    while not closing(fleet):
        fleet.pass_()
        fleet.ask(live, live=True)

    assert HALFWAY <= fleet.now - since <= HALFWAY + 2
    fleet.until(lambda fleet: fleet.reshard.fenced is None)
    assert len(fleet.reshard.handed) == 1


# The operator dies.


def test_after_a_restart_a_lease_may_last_that_the_one_before_granted(going):
    freeze(going, "undone", "waiting")
    going.crash()
    began = going.now
    going.until(given_back)

    assert going.now - began >= LEASE


def test_after_a_restart_live_takers_go_on_and_are_committed(going):
    take_a_lease(going)
    going.crash(away=3600)
    for pod in going.pods.values():
        pod.obedient = True
        pod.state = "expired" if pod.spec.name in going.planned.takers else "fenced"
    going.until(committed)

    assert not closing(going)


@pytest.mark.parametrize("passes", range(0, 100, 7))
def test_whenever_the_operator_dies_the_next_one_finishes_the_reshard(fleet_of, passes):
    fleet = fleet_of(reshard={"settle": "1s", "drainDelay": "1s"})
    fleet.reshard_to(8)
    for _ in range(passes):
        fleet.pass_()
    fleet.crash()
    fleet.until(lambda fleet: fleet.active.shard_count == 8 and fleet.reshard is None)

    assert sorted(set(fleet.committed)) == [(0, 1), (2, 3), (4, 5), (6, 7)]


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("passes", range(4))
def test_a_pod_that_is_started_again_in_the_middle_delays_the_reshard_and_no_more(fleet, epoch, passes):
    fleet.reshard_to(8)
    fleet.until_gone()
    for _ in range(passes):
        fleet.pass_()
    for pod in fleet.of_epoch(epoch):
        pod.running = False
    fleet.until(lambda fleet: fleet.active.shard_count == 8 and fleet.reshard is None)

    assert len(fleet.active.ranges) == 4


# Given up.


@pytest.mark.parametrize(
    "phase", [ReshardPhase.PREPARING, ReshardPhase.STARTING, ReshardPhase.WARMING, ReshardPhase.HANDING_OVER]
)
def test_given_up_with_nothing_handed_over_it_is_dropped_and_not_begun_again_at_once(fleet, phase):
    fleet.reshard_to(8)
    if phase is ReshardPhase.PREPARING:
        fleet.remaining = 0
    fleet.until_phase(phase)
    fleet.request(abort=True)
    fleet.pass_()
    fleet.settle_down()

    assert fleet.reshard is None
    assert fleet.record.aborted[0] == 8
    assert not fleet.record.request.abort
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


def test_given_up_in_the_middle_all_is_given_back_the_last_range_first(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 2)
    fleet.request(abort=True)
    fleet.until_phase(ReshardPhase.ABORTING)
    assert not fleet.record.request.abort
    taken_back = []

    def over(fleet) -> bool:
        handed = fleet.reshard.handed if fleet.reshard else ()
        if not taken_back or taken_back[-1] != handed:
            taken_back.append(handed)
        return fleet.reshard is None

    fleet.until(over)
    assert [len(handed) for handed in taken_back] == [2, 1, 0]
    assert fleet.active.shard_count == 4
    fleet.settle_down()
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


def test_what_is_on_its_way_when_a_reshard_is_given_up_is_finished_first(fleet):
    fleet.reshard_to(8)
    fleet.until_gone()
    fleet.request(abort=True)
    fleet.pass_()
    assert fleet.phase is ReshardPhase.ABORTING
    assert fleet.reshard.fenced.to_epoch == 2

    fleet.until(lambda fleet: fleet.reshard is None)
    assert fleet.committed == [(0, 1)]
    assert fleet.active.epoch == 1


def test_when_all_is_handed_over_nothing_can_be_given_up_any_more(fleet):
    fleet.reshard_to(8)
    fleet.until_phase(ReshardPhase.DRAINING)
    fleet.request(abort=True)
    fleet.pass_()
    assert not fleet.record.request.abort

    fleet.until(lambda fleet: fleet.active.shard_count == 8)
