"""What a worker is told of ownership, of all that an assignment says; and what it says back."""

import msgspec
import pytest

from shardpod.handover import UNCONCERNED, Custody, HandoverOrder, HandoverReport, Orders, Windows
from shardpod.pod.assembly import orders_of
from shardpod.protocol import ShardState
from shardpod.worker.report import ShardReport, WorkerReport, merged

TWO_SETS = {"active_epoch": 1, "active_shard_count": 16, "pending_epoch": 2, "pending_shard_count": 24}


def test_where_one_set_lives_alone_there_is_nothing_to_order(make_assignment):
    assert orders_of(make_assignment()) is None


@pytest.mark.parametrize(("epoch", "count"), [(1, 16), (2, 24)])
def test_both_sets_are_told_the_same_and_which_of_them_they_are(make_assignment, epoch, count):
    handover = {
        "number": 7,
        "range": {"first_shard_id": 4, "last_shard_id": 9},
        "from_epoch": 1,
        "to_epoch": 2,
        "step": "go",
    }
    assignment = make_assignment(
        epoch=epoch,
        shard_count=count,
        ownership={**TWO_SETS, "handed": [{"first_shard_id": 0, "last_shard_id": 3}]},
        windows={"max_skew": 3.0, "fence_timeout": 1.0},
        handover=handover,
    )

    assert orders_of(assignment) == Orders(
        epoch, 1, 16, 2, 24, ((0, 3),), Windows(3.0, 1.0), HandoverOrder(7, 4, 9, 1, 2, go=True)
    )


def test_a_rehearsal_is_no_go(make_assignment):
    handover = {"number": 7, "range": {"first_shard_id": 0, "last_shard_id": 9}, "from_epoch": 1, "to_epoch": 2}
    assignment = make_assignment(ownership=TWO_SETS, handover={**handover, "step": "rehearse"})

    assert not orders_of(assignment).handover.go


@pytest.mark.parametrize(
    "ownership",
    [
        {"active_epoch": 2, "active_shard_count": 24},  # it is old, and all was handed over
        {"active_epoch": 2, "active_shard_count": 5},
        {"active_epoch": 2, "active_shard_count": 24, "pending_epoch": 3, "pending_shard_count": 8},
    ],
)
def test_a_set_that_is_neither_active_nor_pending_delivers_nothing(make_assignment, ownership):
    orders = orders_of(make_assignment(epoch=1, ownership=ownership))

    assert orders.epoch == 1
    assert orders.shard_count == 16
    assert not any(orders.is_ours(shard) for shard in range(orders.pending_count))


def test_a_dropped_set_delivers_nothing_of_any_key(make_assignment, make_event):
    ownership = {"active_epoch": 1, "active_shard_count": 3}
    orders = orders_of(make_assignment(epoch=2, shard_count=16, ownership=ownership))
    custody = Custody(range(16), orders, None, now=0.0, resuming=True)

    for key in range(48):
        assert custody.received(make_event(1, guild=str(key << 22), shard=key % 16)).name == "NOT_OURS"


# How far all workers of a pod are together.


SHARD = ShardReport(0, ShardState.CONNECTED, 1, 0, True, None, "s", "wss://x", 1, 1, None, None)


def report(state, number=1, role="giver"):
    return WorkerReport(shards=(SHARD,), handover=HandoverReport(number, role, state))


@pytest.mark.parametrize(
    ("states", "together"),
    [
        (("fenced", "fencing"), "fencing"),
        (("fenced", "rehearsing"), "rehearsing"),
        (("undone", "fenced"), "undone"),
        (("lost", "undone"), "lost"),
        (("settled", "live"), "live"),
        (("settled", "waiting"), "waiting"),
        (("live", "expired"), "expired"),
        (("rehearsed", "rehearsing"), "rehearsing"),
        (("settled", "settled"), "settled"),
    ],
)
def test_all_workers_are_as_far_as_the_one_that_is_least(states, together):
    for order in (states, states[::-1]):
        assert merged(map(report, order)).handover.state == together


def test_a_worker_that_is_not_concerned_holds_nobody_up():
    assert merged([report(UNCONCERNED), report("fenced")]).handover.state == "fenced"
    both = merged([report(UNCONCERNED), report(UNCONCERNED)])
    assert both.handover.state == UNCONCERNED, "as each worker's report is merged with the counts of those before it"
    assert merged([WorkerReport(), both]).handover.state == UNCONCERNED
    assert merged([WorkerReport(), WorkerReport()]).handover is None


@pytest.mark.parametrize("state", ["rehearsed", "fenced", "live", "settled"])
def test_a_worker_that_has_not_heard_of_the_handover_is_behind_all_others(state):
    silent = msgspec.structs.replace(report(state), handover=None)
    before = report("settled", 0)

    assert merged([report(state), silent]).handover.state == "rehearsing"
    assert merged([report(state), before]).handover.state == "rehearsing"


@pytest.mark.parametrize("state", ["lost", "undone", "expired"])
def test_what_must_be_acted_on_is_told_though_a_worker_has_not_heard_of_the_handover(state):
    silent = msgspec.structs.replace(report(state), handover=None)

    assert merged([report(state), silent]).handover.state == state


def test_only_the_newest_handover_counts():
    together = merged([report("settled", 1, "taker"), report("rehearsing", 2, "taker")]).handover

    assert (together.number, together.state) == (2, "rehearsing")


def test_all_workers_have_watched_for_as_long_as_the_youngest_and_lag_as_the_latest():
    together = merged(
        [
            WorkerReport(watching_for=30.0, loop_lag=0.1, not_ours=2),
            WorkerReport(watching_for=4.0, loop_lag=0.3, not_ours=3),
        ]
    )

    assert (together.watching_for, together.loop_lag, together.not_ours) == (4.0, 0.3, 5)
    assert merged([WorkerReport()]).watching_for is None
