"""A machine whose date is put back: what is stored in Unix seconds lies in the future then."""

import pytest

from gateway_operator.core.world import ReshardPhase

A_DAY = 86400.0


@pytest.mark.parametrize("when", ["between two ranges", "while it drains"])
def test_a_clock_that_is_put_back_holds_up_no_reshard(fleet, when):
    fleet.reshard_to(8)
    if when == "while it drains":
        fleet.until_phase(ReshardPhase.DRAINING)
    else:
        fleet.until(lambda fleet: len(fleet.committed) == 1)
    fleet.wall -= A_DAY
    fleet.until_phase(None)

    assert fleet.active.shard_count == 8


def test_a_fence_that_does_not_come_about_is_given_back_in_time_by_any_clock(fleet):
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.reshard is not None and fleet.reshard.handover is not None)
    for pod in fleet.of_epoch(1):
        pod.obedient = False
    fleet.until_gone()
    fleet.wall -= A_DAY
    fleet.until(lambda fleet: fleet.reshard.fenced is None, within=60.0)

    assert fleet.committed == []
