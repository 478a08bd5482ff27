"""Dead letters wait for a person: a pending set that is given up does not take its own with it."""

from gateway_operator.core.world import ReshardPhase

ABORTING = ReshardPhase.ABORTING


def given_up(fleet, dead_letters):
    """A reshard that is given up after its first range, with dead letters in one pod of the pending set."""
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.reshard.handed if fleet.reshard else ()) == 1)
    holder = fleet.of_epoch(2)[0]
    holder.says["dead_letters"] = dead_letters
    fleet.request(abort=True)
    fleet.until(lambda fleet: fleet.phase is ABORTING and not fleet.reshard.handed)
    return holder


def heirs(fleet):
    return {pod.spec.pod.epoch for pod in fleet.pods.values() if pod.told is not None and pod.told.inherits}


def test_the_pending_set_is_kept_until_the_active_one_has_its_dead_letters(fleet):
    holder = given_up(fleet, dead_letters=2)
    for _ in range(20):
        fleet.pass_()
    assert fleet.phase is ABORTING
    assert holder.spec.name in fleet.waiting_for
    assert heirs(fleet) == {1}

    holder.says["dead_letters"] = 0
    fleet.until_phase(None)
    fleet.settle_down()
    assert heirs(fleet) == set()
    assert {pod.spec.pod.epoch for pod in fleet.pods.values()} == {1}


def test_they_are_waited_for_as_long_as_their_pod_can_be_asked_and_a_while_longer(fleet_of):
    fleet = fleet_of(4, reshard={"abortAfter": "2m"})
    holder = given_up(fleet, dead_letters=2)
    for _ in range(60):
        fleet.pass_(elapsed=60)
    assert fleet.phase is ABORTING

    holder.connected = False
    fleet.until_phase(None)
    assert fleet.active.epoch == 1


def test_nobody_inherits_before_all_is_given_back(fleet):
    fleet.reshard_to(8)
    while len(fleet.reshard.handed if fleet.reshard else ()) < 2:
        fleet.pass_()
        assert heirs(fleet) == set()
    fleet.request(abort=True)
    while fleet.reshard is not None and (fleet.phase is not ABORTING or fleet.reshard.handed):
        assert heirs(fleet) == set()
        fleet.pass_()
    fleet.until_phase(None)


def test_while_the_old_set_drains_the_new_one_is_told_of_its_dead_letters(fleet):
    """Such of a session's own events may die after the others were fetched."""
    fleet.reshard_to(8)
    fleet.until_phase(ReshardPhase.DRAINING)
    fleet.pass_()
    assert heirs(fleet) == set()
    fleet.of_epoch(1)[0].says["dead_letters"] = 1
    fleet.settle_down()
    assert heirs(fleet) == {2}

    fleet.of_epoch(1)[0].says["dead_letters"] = 0
    fleet.until_phase(None)
    assert heirs(fleet) == set()
