"""What is held takes no more memory than the queue allows, however long a handover lasts."""

import pytest


@pytest.mark.parametrize("role", ["giver", "taker"])
def test_what_a_full_queue_does_not_hold_is_not_kept_elsewhere(role, active, pending, order):
    make = {"giver": active, "taker": pending}[role]
    side = make(now=100.0, resuming=True, handover=order(go=True))
    side.queue._max_events = 3
    for n in range(1, 101):
        side.receive(n, key=0, at=100.0)

    assert side.queue.events == 3
    assert len(side.custody._part._held) <= 4
    side.follow(101.0, handover=None, handed=() if role == "giver" else ((0, 2),))
    assert side.deliver() == [1, 2, 3]
