"""Whether a reshard may begin, what it costs, and what the command's orders become.

This file is longer than 400 lines: its tests share one gateway and its budget.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.reshard_budget import identifies_needed, refusal, shortage
from gateway_operator.core.reshard_cost import cost, ranges_handed, time_left
from gateway_operator.core.reshard_order import ReshardOrder, preview, take_order
from gateway_operator.core.world import (
    GatewayInfo,
    InstanceSeen,
    InstanceSpec,
    PodSpec,
    Reshard,
    ReshardPhase,
    ReshardRequest,
    ShardSet,
    World,
)
from gateway_operator.model import Spec, parse_manifest
from shardpod.contract import Observed, ShardObserved, ShardRange

NOON = 1_772_366_400.0  # 2026-03-01 12:00 UTC
LEDGER = LedgerView(
    known=True, total=1000, remaining=990, reserve=100, reset_at=8200.0, max_concurrency=1, waiting=0, seen_at=1000.0
)


def spec_of(**given_fields: Any) -> Spec:
    return parse_manifest(
        {
            "apiVersion": "discordgateway.dev/v1alpha1",
            "kind": "DiscordGateway",
            "metadata": {"name": "mybot"},
            "spec": {
                "tokenSecretRef": {"name": "mybot", "key": "token"},
                "intents": ["Guilds"],
                "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
                **given_fields,
            },
        }
    ).spec


SPEC = spec_of()


def cut(first: int, last: int) -> ShardRange:
    return ShardRange(first_shard_id=first, last_shard_id=last)


def world(shards: int = 4, guilds: int = 500, *, max_concurrency: int = 1, **given_fields: Any) -> World:
    """So many shards with so many guilds each."""
    pod = PodSpec("mybot-e1", 1, cut(0, shards - 1))
    reported = tuple(ShardObserved(shard_id=one, state="connected", guilds=guilds) for one in range(shards))
    seen = InstanceSeen(
        InstanceSpec(pod, 1, "now"), running=True, connected=True, observed=Observed(pod=pod.name, shards=reported)
    )
    built = World(
        info=GatewayInfo("wss://x", shards, 1000, 990, 8200.0, max_concurrency, 0.0),
        active=ShardSet(1, shards, (pod.range,)),
        instances={"mybot-e1.1": seen},
        ledger=LEDGER,
        wall_now=NOON,
    )
    return replace(built, **given_fields)


def left(remaining: int, **changes: Any) -> LedgerView:
    return replace(LEDGER, remaining=remaining, **changes)


def reshard(to: int = 8, phase: ReshardPhase = ReshardPhase.WARMING, **given_fields: Any) -> Reshard:
    ranges = tuple(cut(first, first + 1) for first in range(0, to, 2))
    return Reshard(ShardSet(2, to, ranges), phase, "spec.shards is 8", NOON - 60, NOON - 10, **given_fields)


# The budget.


@pytest.mark.parametrize(("shards", "needed"), [(1, 6), (8, 13), (25, 30), (26, 32), (32, 39), (1000, 1200)])
def test_one_identify_a_shard_and_some_for_restarts_are_needed(shards, needed):
    assert identifies_needed(shards) == needed


@pytest.mark.parametrize(("remaining", "enough"), [(138, False), (139, True)])
def test_the_reserve_is_never_touched(remaining, enough):
    assert (shortage(world(ledger=left(remaining)), 32) is None) is enough


def test_a_shortage_says_the_numbers_and_when_it_would_be_possible():
    assert shortage(world(ledger=left(120)), 32) == (
        "it takes 39 identifies (32 shards and 7 for restarts meanwhile), and 120 of 1,000 are left, 100 of them "
        "kept back (spec.reshard.identifyReserve): possible from 2026-03-01 14:00 UTC on, in 2 h"
    )


def test_when_the_refill_is_not_known_it_says_so():
    short = shortage(world(ledger=left(0, reset_at=float("inf"))), 8)

    assert (short or "").endswith(": possible once Discord has said when the budget is refilled")


def test_what_no_day_has_identifies_for_is_said_to_be_impossible():
    assert shortage(world(), 751) == (
        "it takes 902 identifies (751 shards and 151 for restarts meanwhile), more than there ever are: 1,000 a day, "
        "100 of them kept back (spec.reshard.identifyReserve)"
    )
    assert shortage(world(ledger=left(1000)), 750) is None


@pytest.mark.parametrize("ledger", [None, replace(LEDGER, known=False)])
def test_before_discord_has_said_what_is_left_nothing_begins(ledger):
    assert shortage(world(ledger=ledger), 8) == "Discord has not said yet how many identifies are left"


# What Discord would refuse.


def test_too_few_for_the_guilds_is_said_with_the_least_number():
    assert shortage(world(shards=10, guilds=2000), 7) == (
        "7 shards are too few for 20,000 guilds, as Discord allows 2,500 a shard (4011): at least 8 are needed"
    )
    assert shortage(world(shards=10, guilds=2000), 8) is None


def test_a_large_bot_needs_a_multiple():
    large = world(shards=64, guilds=1600, max_concurrency=16)

    assert shortage(large, 100) == (
        "100 is not a multiple of 16, as Discord demands of a bot with 102,400 guilds (4010): 96 or 112 would be, and "
        "Discord recommends 64"
    )
    assert shortage(large, 112) is None


def test_discords_own_number_needs_to_be_no_multiple():
    large = world(shards=64, guilds=1600, max_concurrency=16)
    assert large.info is not None

    assert shortage(replace(large, info=replace(large.info, recommended_shards=100)), 100) is None


def test_a_smaller_bot_takes_any_number():
    assert shortage(world(shards=64, guilds=1500, max_concurrency=16), 100) is None


# What the command takes.


def test_the_command_refuses_as_many_as_there_are():
    assert refusal(SPEC, world(), 4) == "4 shards are running already"


def test_the_command_refuses_before_any_shard_runs():
    assert refusal(SPEC, World(), 4) is not None


def test_the_command_refuses_a_part_of_the_shards():
    assert "a part of the shards" in (refusal(spec_of(shards=4, sharding={"lastShardId": 1}), world(), 8) or "")


def test_waiting_helps_against_a_short_budget():
    short = world(ledger=left(100))

    assert refusal(SPEC, short, 8) == shortage(short, 8)
    assert refusal(SPEC, short, 8, waits=True) is None


@pytest.mark.parametrize("waits", [True, False])
def test_waiting_does_not_help_against_what_is_impossible(waits):
    assert refusal(SPEC, world(), 900, waits=waits) == shortage(world(), 900)
    few = world(shards=10, guilds=2000)
    assert refusal(SPEC, few, 7, waits=waits) == shortage(few, 7)


def test_another_reshard_under_way_is_named_and_can_be_waited_for():
    running = world(reshard=reshard(8))

    assert refusal(SPEC, running, 16) == (
        "a reshard from 4 to 8 shards is under way: give it up first with --abort, or add --wait to go on to the new "
        "number as soon as that can be"
    )
    assert refusal(SPEC, running, 16, waits=True) is None
    assert refusal(SPEC, running, 8) is None


def test_a_smaller_number_that_would_go_up_again_by_itself_is_refused():
    refused = refusal(SPEC, world(shards=8, guilds=600), 2)

    assert (refused or "").startswith("with 2 shards an automatic reshard to 8 would follow at once (the fullest")
    assert refusal(SPEC, world(shards=8, guilds=450), 2) == (
        "with 2 shards an automatic reshard to 8 would follow at once (Discord recommends 8 shards, and 2 are "
        "running): set spec.shards instead, or spec.reshard.auto to false"
    )
    assert refusal(spec_of(reshard={"auto": False}), world(shards=8, guilds=600), 2) is None
    assert refusal(spec_of(shards=2), world(shards=8, guilds=600), 2) is None
    assert refusal(SPEC, world(shards=8, guilds=450), 5) is None


# What it costs.


def test_the_cost_is_told_before_it_begins():
    spec = spec_of(sharding={"shardsPerPod": 16}, reshard={"maxSkew": "500ms", "fenceTimeout": "1s", "settle": "2s"})

    priced = cost(spec, world(ledger=replace(LEDGER, max_concurrency=16)), 40)

    assert (priced.identifies, len(priced.ranges)) == (48, 3)
    assert (priced.identifying, priced.settling, priced.draining) == (15, 6, 30)
    assert priced.watching == pytest.approx(6.5)  # five times maxSkew and four times fenceTimeout
    assert priced.seconds == pytest.approx(57.5)


def test_a_spawn_delay_makes_it_longer():
    assert cost(spec_of(sharding={"spawnShardDelay": "10s"}), world(), 8).identifying == 80


@pytest.mark.parametrize(
    ("running", "connected", "seconds"),
    [
        (reshard(phase=ReshardPhase.PREPARING), 0, None),
        (reshard(phase=ReshardPhase.STARTING), 3, 5 * 5 + 33 + 4 * 5 + 30),
        (reshard(phase=ReshardPhase.WARMING), 8, 33 + 4 * 5 + 30),
        (reshard(phase=ReshardPhase.HANDING_OVER, handed=(cut(0, 1), cut(2, 4))), 8, 2 * 5 + 30),
        (reshard(phase=ReshardPhase.DRAINING, handed=(cut(0, 7),)), 8, 30),
        (reshard(phase=ReshardPhase.ABORTING, handed=(cut(0, 5),)), 8, 3 * 5),
    ],
)
def test_the_time_left_is_that_of_the_phases_to_come(running, connected, seconds):
    assert time_left(SPEC, world(), running, connected=connected) == seconds


@given(shards=st.integers(1, 60), handed=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=6))
def test_a_range_counts_as_handed_over_when_all_of_it_is(shards, handed):
    given_ranges = tuple(cut(*sorted(ends)) for ends in handed)
    running = replace(reshard(shards + shards % 2), handed=given_ranges)
    delivered = {one for ends in given_ranges for one in range(ends.first_shard_id, ends.last_shard_id + 1)}

    done = ranges_handed(running)

    for one in running.pending.ranges:
        assert (one in done) is ({one.first_shard_id, one.last_shard_id} <= delivered)


# Orders.


def take(order: ReshardOrder, seen: World, spec: Spec = SPEC) -> tuple[ReshardRequest | None, str]:
    request, answer = take_order(order, spec, seen)
    assert bool(answer.problems) is (request is None)
    return request, answer.problems[0] if answer.problems else answer.message


def test_an_order_for_a_number_holds_while_the_manifest_says_the_same():
    request, message = take(ReshardOrder(to=8), world(), spec_of(shards=4))

    assert request == ReshardRequest(to=8, manifest_shards=4)
    assert message == "resharding from 4 to 8 shards"


def test_an_order_that_waits_says_for_what():
    request, message = take(ReshardOrder(to=8, wait=True), world(ledger=left(100)))

    assert request == ReshardRequest(to=8)
    assert message.startswith("resharding from 4 to 8 shards, later: it takes 13 identifies")


def test_an_order_that_is_refused_changes_nothing():
    assert take(ReshardOrder(to=4), world()) == (None, "4 shards are running already")
    assert take(ReshardOrder(), world())[0] is None


def test_an_order_while_paused_stays_paused_and_says_so():
    request, message = take(ReshardOrder(to=8), world(request=ReshardRequest(paused=True)))

    assert request == ReshardRequest(to=8, paused=True)
    assert message.endswith("paused: --resume lets it go on")


@pytest.mark.parametrize(
    ("field", "why"),
    [("paused", "spec.paused is true"), ("suspend", "the gateway is suspended (spec.suspend is true)")],
)
def test_an_order_that_the_manifest_holds_says_so(field, why):
    spec = spec_of(**{field: True})

    assert take(ReshardOrder(to=8), world(), spec)[1] == f"resharding from 4 to 8 shards; held: {why}"
    assert take(ReshardOrder(pause=False), world(), spec)[1] == f"resumed, but held all the same: {why}"
    assert preview(spec, world(), 8).why_not_now == why
    assert not preview(spec, world(), 8).refused


def test_another_number_in_the_middle_of_a_reshard_says_what_is_spent():
    running = replace(reshard(phase=ReshardPhase.STARTING), connected=1200)
    refused = take(ReshardOrder(to=16), world(reshard=running))[1]
    accepted = take(ReshardOrder(to=16, wait=True), world(reshard=running))[1]

    spent = "; the 1,200 identifies that it has taken are spent either way"
    assert refused.endswith("to go on to the new number as soon as that can be" + spent)
    assert accepted == "resharding from 4 to 16 shards" + spent


@pytest.mark.parametrize(("phase", "connected"), [(ReshardPhase.PREPARING, 5), (ReshardPhase.STARTING, 0)])
def test_before_its_first_shard_nothing_of_a_reshard_is_spent(phase, connected):
    running = replace(reshard(phase=phase), connected=connected)

    assert "spent" not in take(ReshardOrder(to=16), world(reshard=running))[1]


def test_what_the_command_would_not_take_is_refused_in_the_preview_as_well():
    assert preview(SPEC, world(), 4).refused
    assert preview(SPEC, world(), 4).never
    assert not preview(SPEC, world(), 8).refused


def test_large_numbers_are_written_alike():
    _, message = take(ReshardOrder(to=2000, wait=True), world(shards=1000, ledger=replace(LEDGER, total=9000)))

    assert message.startswith("resharding from 1,000 to 2,000 shards")


def test_to_pause_and_to_resume_leave_the_number_alone():
    asked = ReshardRequest(to=8)

    assert take(ReshardOrder(pause=True), world(request=asked))[0] == replace(asked, paused=True)
    paused = world(request=replace(asked, paused=True), reshard=reshard())
    assert take(ReshardOrder(pause=False), paused)[0] == asked


def test_to_give_up_leaves_the_number_to_the_machine_which_knows_what_it_stood_in_for():
    asked = ReshardRequest(to=8, manifest_shards=3)
    request, message = take(ReshardOrder(abort=True), world(reshard=reshard(), request=asked), spec_of(shards=3))

    assert request == replace(asked, abort=True)
    assert message == "the reshard to 8 shards is being given up"


@pytest.mark.parametrize(("asked", "left"), [(16, None), (4, 4)])
def test_to_give_up_again_forgets_what_was_asked_for_since_but_not_the_number_that_runs(asked, left):
    request = ReshardRequest(to=asked, manifest_shards=3)
    given_up = world(reshard=reshard(phase=ReshardPhase.ABORTING), request=request)

    assert take(ReshardOrder(abort=True), given_up, spec_of(shards=3))[0] == ReshardRequest(
        to=left, manifest_shards=None if left is None else 3, abort=True
    )


def test_giving_up_what_the_manifest_asks_for_says_that_it_comes_back():
    _request, message = take(ReshardOrder(abort=True), world(reshard=reshard()), spec_of(shards=8))

    assert "begun again 1 h later" in message


@pytest.mark.parametrize(
    ("seen", "problem"),
    [(world(), "no reshard is under way"), (world(reshard=reshard(phase=ReshardPhase.DRAINING)), "all is handed over")],
)
def test_where_nothing_can_be_given_up_it_says_so(seen, problem):
    request, said = take(ReshardOrder(abort=True), seen)

    assert request is None
    assert said.startswith(problem)


# What would be done.


def test_the_preview_of_a_number_has_what_it_costs():
    shown = preview(spec_of(sharding={"shardsPerPod": 4}), world(), 8)

    assert (shown.shards, shown.to, shown.why_not_now) == (4, 8, None)
    assert (shown.identifies, shown.identifies_left, shown.identifies_kept) == (13, 990, 100)
    assert shown.ranges == (cut(0, 3), cut(4, 7))
    assert shown.seconds == 40 + 33 + 10 + 30


def test_the_preview_without_a_number_is_of_what_is_wanted():
    shown = preview(spec_of(shards=8), world(ledger=left(100)), None)

    assert (shown.to, shown.message) == (8, "spec.shards is 8")
    assert (shown.why_not_now or "").startswith("it takes 13 identifies")


def test_the_preview_of_an_automatic_reshard_knows_the_window():
    spec = spec_of(reshard={"window": {"cron": "0 3 * * *", "duration": "2h"}})

    shown = preview(spec, world(guilds=2000), None)

    assert shown.to == 8
    assert (shown.why_not_now or "").startswith("outside of spec.reshard.window")


def test_the_preview_of_a_refused_number_says_why():
    assert preview(SPEC, world(), 4).why_not_now == "4 shards are running already"


def test_where_nothing_is_wanted_the_preview_says_so():
    shown = preview(SPEC, world(), None)

    assert (shown.to, shown.message) == (None, "4 shards are as many as there should be")
    assert preview(SPEC, World(), 8).to is None
    assert preview(SPEC, world(reshard=reshard(8)), None).message == (
        "a reshard from 4 to 8 shards is under way: see `discord-gateway status`"
    )
