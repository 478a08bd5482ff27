"""Which instances run while pods are replaced, and what each of them is told."""

from dataclasses import replace
from typing import Any

import pytest

from gateway_operator.core.holding import held, settled
from gateway_operator.core.rollout import Rollout, roll_out
from gateway_operator.core.world import InstanceSeen, InstanceSpec, PodSpec
from shardpod.contract import Observed, ShardObserved, ShardRange

OLD, NEW = "old", "new"


def pod(first: int, last: int, *, epoch: int = 1) -> PodSpec:
    return PodSpec(f"mybot-e{epoch}-{first}-{last}", epoch, ShardRange(first_shard_id=first, last_shard_id=last))


A, B, C = pod(0, 1), pod(2, 3), pod(4, 5)


def seen(of: PodSpec, number: int, *states: str, revision: str = NEW, **changes: Any) -> InstanceSeen:
    """An instance that is connected and reports its shards in these states, all connected by default."""
    shards = tuple(
        ShardObserved(shard_id=shard_id, state=state.removesuffix("+backlog"), backlog=5 * state.endswith("+backlog"))
        for shard_id, state in zip(of.shards, states or ("connected",) * 2, strict=True)
    )
    given = {"running": True, "connected": True, "observed": Observed(pod=of.name, epoch=of.epoch, shards=shards)}
    return InstanceSeen(InstanceSpec(of, number, revision), **{**given, **changes})


def rolled(*instances: InstanceSeen, pods: tuple[PodSpec, ...] = (A, B, C), revision: str = NEW) -> Rollout:
    return roll_out(pods, {one.spec.name: one for one in instances}, revision=revision, last_number=0)


def roles(rollout: Rollout) -> dict[str, str]:
    return {one.spec.name: one.role for one in rollout.run}


def test_at_the_very_first_start_all_pods_start_at_once():
    rollout = rolled()

    assert roles(rollout) == {"mybot-e1-0-1.1": "active", "mybot-e1-2-3.2": "active", "mybot-e1-4-5.3": "active"}
    assert rollout.last_number == 3


def test_a_number_is_never_given_twice():
    assert roll_out((A,), {}, revision=NEW, last_number=41).run[0].spec.number == 42


def test_of_pods_with_another_revision_one_is_replaced_and_the_others_stay_as_they_are():
    rollout = rolled(*(seen(of, number, revision=OLD) for number, of in enumerate((A, B, C), 1)))

    assert roles(rollout) == {
        "mybot-e1-0-1.4": "active",
        "mybot-e1-0-1.1": "draining",
        "mybot-e1-2-3.2": "active",
        "mybot-e1-4-5.3": "active",
    }
    assert [one.up_to_date for one in rollout.run if one.chosen] == [True, False, False]
    assert [one.spec.revision for one in rollout.run if one.chosen] == [NEW, OLD, OLD]


@pytest.mark.parametrize(
    ("successor", "goes_on"),
    [
        (seen(A, 4, "connected", "awaiting_transfer"), False),
        (seen(A, 4, connected=False), False),
        (seen(A, 4, running=False), False),
        (seen(A, 4, "connected", "resuming"), True),
    ],
)
def test_the_next_is_replaced_when_the_one_before_has_all_its_shards(successor, goes_on):
    old = [seen(of, number, revision=OLD) for number, of in enumerate((A, B, C), 1)]

    assert ("mybot-e1-2-3.5" in roles(rolled(*old, successor))) is goes_on


def test_a_pod_that_does_not_come_up_alone_does_not_hold_up_the_others():
    rollout = rolled(seen(A, 1, running=False), seen(B, 2, revision=OLD), seen(C, 3))

    assert "mybot-e1-2-3.4" in roles(rollout)


def test_a_dead_instance_starts_again_with_the_new_revision_where_it_was():
    [chosen] = rolled(seen(A, 1, revision=OLD, running=False, connected=False), pods=(A,)).run

    assert (chosen.spec.name, chosen.spec.revision, chosen.up_to_date) == ("mybot-e1-0-1.1", NEW, True)


def test_an_instance_that_somebody_told_to_stop_gets_a_successor_at_once_even_during_a_replacement():
    rollout = rolled(
        seen(A, 1, revision=OLD), seen(A, 4, "awaiting_transfer", "awaiting_transfer"), seen(B, 2, stopping=True)
    )

    assert roles(rollout)["mybot-e1-2-3.5"] == "active"
    assert roles(rollout)["mybot-e1-2-3.2"] == "draining"


def test_an_instance_that_is_being_replaced_never_becomes_the_choice_again():
    rollout = rolled(seen(A, 1), seen(A, 2, revision=OLD), pods=(A,))

    assert roles(rollout) == {"mybot-e1-0-1.3": "active", "mybot-e1-0-1.1": "draining", "mybot-e1-0-1.2": "draining"}


@pytest.mark.parametrize(
    "leaving",
    [
        seen(A, 1, "released", "released"),
        seen(A, 1, running=False, connected=False),
        seen(A, 1, "released", "released", connected=False),
        replace(seen(A, 1), observed=Observed(pod=A.name)),
    ],
)
def test_a_leaving_instance_that_holds_nothing_is_removed(leaving):
    rollout = rolled(leaving, seen(A, 2), pods=(A,))

    assert [one.spec.name for one in rollout.remove] == ["mybot-e1-0-1.1"]
    assert roles(rollout) == {"mybot-e1-0-1.2": "active"}


@pytest.mark.parametrize(
    "leaving",
    [
        seen(A, 1, "released", "connected"),
        seen(A, 1, "released", "released+backlog"),
        seen(A, 1, running=False, connected=False, scratch=frozenset({1})),
        seen(A, 1, connected=False),
        seen(A, 1, observed=None, connected=False),
        replace(seen(A, 1), observed=Observed(pod=A.name), scratch=frozenset({0})),
    ],
)
def test_a_leaving_instance_that_may_hold_something_is_kept_running(leaving):
    rollout = rolled(leaving, seen(A, 2), pods=(A,))

    assert rollout.remove == ()
    assert roles(rollout) == {"mybot-e1-0-1.2": "active", "mybot-e1-0-1.1": "draining"}


def test_in_another_layout_each_range_is_taken_over_in_its_turn():
    whole = pod(0, 5)
    first = rolled(seen(whole, 1, *("connected",) * 6))
    then = rolled(seen(whole, 1, "released", "released", *("connected",) * 4), seen(A, 2))

    assert roles(first) == {"mybot-e1-0-1.2": "active", "mybot-e1-0-5.1": "draining"}
    assert roles(then) == {"mybot-e1-0-1.2": "active", "mybot-e1-2-3.3": "active", "mybot-e1-0-5.1": "draining"}


def test_an_old_layouts_pod_may_identify_until_a_successor_is_there():
    whole, busy = pod(2, 5), (seen(A, 1, revision=OLD), seen(A, 3, "awaiting_transfer", "connected"))
    rollout = rolled(*busy, seen(whole, 2, *("connected",) * 4))

    assert roles(rollout)["mybot-e1-2-5.2"] == "active"
    assert [one.chosen for one in rollout.run if one.spec.pod == whole] == [False]


def test_of_two_old_layouts_pods_of_one_range_only_the_younger_may_identify():
    busy, wide = (seen(A, 1, revision=OLD), seen(A, 4, "awaiting_transfer", "connected")), pod(2, 5)
    rollout = rolled(*busy, seen(wide, 2, *("connected",) * 4), seen(wide, 3, *("awaiting_transfer",) * 4))

    assert roles(rollout)["mybot-e1-2-5.2"] == "draining"
    assert roles(rollout)["mybot-e1-2-5.3"] == "active"


def test_shards_that_nobody_wants_any_more_are_let_go_after_the_pod_was_told_so():
    pods, wide = (A,), seen(pod(0, 3), 1, "released", "released", "connected", "connected")
    taken = seen(A, 2)
    told = rolled(wide, taken, pods=pods)
    removed = rolled(replace(wide, told="ending"), taken, pods=pods)

    assert roles(told)["mybot-e1-0-3.1"] == "ending"
    assert [(one.spec.name, one.role) for one in removed.remove] == [("mybot-e1-0-3.1", "ending")]


def test_an_instance_of_another_epoch_is_removed():
    stray = seen(pod(0, 1, epoch=7), 9)

    assert [one.spec.name for one in rolled(stray, seen(A, 1), pods=(A,)).remove] == ["mybot-e7-0-1.9"]


def test_who_leaves_while_it_waits_for_a_transfer_has_nothing_to_give():
    waiting = seen(A, 1, "awaiting_transfer", "connected")

    assert held(waiting) == {0, 1}
    assert held(replace(waiting, told="draining")) == {1}
    assert held(replace(waiting, told="draining", scratch=frozenset({0}))) == {0, 1}


def test_settled_is_who_speaks_of_every_shard_of_its_range():
    assert settled(seen(A, 1, "connected", "awaiting_permit"))
    assert not settled(replace(seen(A, 1), observed=Observed(pod=A.name)))
    assert not settled(seen(A, 1, "connected", "awaiting_transfer"))
