"""How many shards there should be: what a person asks for, what the guilds give reason for, and that it never flaps."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.reshard_target import (
    HELD_BACK,
    Measured,
    Target,
    automatic_target,
    measured,
    wanted,
    why_held_back,
)
from gateway_operator.core.world import (
    Aborted,
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

NOW = 1_790_000_000.0


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


AUTOMATIC = spec_of()


def shard_set(shards: int, epoch: int = 1) -> ShardSet:
    return ShardSet(epoch, shards, (ShardRange(first_shard_id=0, last_shard_id=shards - 1),))


def info(recommended: int, max_concurrency: int = 1) -> GatewayInfo:
    return GatewayInfo("wss://x", recommended, 1000, 1000, NOW, max_concurrency, 0.0)


def instance(guilds: list[int | None], *, epoch: int = 1, number: int = 1, close_code: int = 4011) -> InstanceSeen:
    """A pod with all shards of its set and so many guilds in each; None: Discord refuses the shard."""
    held = ShardRange(first_shard_id=0, last_shard_id=len(guilds) - 1)
    shards = tuple(
        ShardObserved(shard_id=shard_id, state="refused", close_code=close_code)
        if count is None
        else ShardObserved(shard_id=shard_id, state="connected", guilds=count)
        for shard_id, count in enumerate(guilds)
    )
    pod = PodSpec(f"mybot-e{epoch}-0-{len(guilds) - 1}", epoch, held)
    return InstanceSeen(
        InstanceSpec(pod, number, "now"),
        running=True,
        connected=True,
        observed=Observed(pod=pod.name, epoch=epoch, shards=shards),
    )


def world(guilds: list[int | None], *, recommended: int = 1, max_concurrency: int = 1, **given_fields: Any) -> World:
    seen = instance(guilds)
    return World(
        info=info(recommended, max_concurrency),
        active=shard_set(len(guilds)),
        instances={seen.spec.name: seen},
        wall_now=NOW,
        **given_fields,
    )


def reshard(to: int, phase: ReshardPhase = ReshardPhase.WARMING) -> Reshard:
    return Reshard(shard_set(to, epoch=2), phase, "as it was begun", NOW, NOW)


def count_of(target: Target | None) -> int | None:
    return None if target is None else target.shard_count


# Asked for by a person.


def test_without_an_active_set_nothing_is_wanted():
    assert wanted(spec_of(shards=8), World(info=info(8))) is None


def test_the_manifests_number_is_wanted_up_and_down():
    assert wanted(spec_of(shards=8), world([10] * 4)) == Target(8, "spec.shards is 8", manual=True)
    assert wanted(spec_of(shards=2), world([10] * 4)) == Target(2, "spec.shards is 2", manual=True)


def test_as_many_as_there_are_is_no_change():
    assert wanted(spec_of(shards=4), world([10] * 4)) is None


def test_with_a_number_in_the_manifest_nothing_happens_by_itself():
    assert wanted(spec_of(shards=4), world([2400] * 4, recommended=100)) is None


@pytest.mark.parametrize("manifest", [None, 4])
def test_the_command_goes_before_the_manifest_it_was_given_under(manifest):
    spec = AUTOMATIC if manifest is None else spec_of(shards=manifest)
    asked = world([2400] * 4, request=ReshardRequest(to=6, manifest_shards=manifest))

    assert wanted(spec, asked) == Target(6, "6 shards were asked for by the command", manual=True)


def test_a_manifest_that_was_changed_since_goes_before_the_command():
    asked = world([10] * 4, request=ReshardRequest(to=6, manifest_shards=4))

    assert count_of(wanted(spec_of(shards=5), asked)) == 5


def test_what_the_command_has_reached_is_kept_against_the_manifest_of_then():
    asked = world([10] * 6, request=ReshardRequest(to=6, manifest_shards=4))

    assert wanted(spec_of(shards=4), asked) is None


def test_a_command_that_is_done_keeps_no_automatic_reshard_away():
    asked = world([2400] * 4, request=ReshardRequest(to=4, manifest_shards=None))

    assert count_of(wanted(AUTOMATIC, asked)) == 10


def test_back_to_the_active_number_while_a_reshard_runs_is_no_target():
    assert wanted(spec_of(shards=4), world([10] * 4, reshard=reshard(8))) is None
    asked = world([10] * 4, reshard=reshard(8), request=ReshardRequest(to=4))
    assert wanted(AUTOMATIC, asked) is None


def test_a_part_of_the_shards_is_never_resharded_and_says_why():
    part = spec_of(shards=8, sharding={"lastShardId": 3})

    assert wanted(part, world([2400] * 4)) is None
    assert (why_held_back(part, world([10] * 4)) or "").startswith("4 shards are running and spec.shards asks for 8")
    assert why_held_back(part, world([10] * 8)) is None


# By itself.


@pytest.mark.parametrize(
    ("guilds", "percentage", "basis", "expected"),
    [
        ([1999, 10], 80, "fullestShard", None),
        ([2000, 10], 80, "fullestShard", 3),
        ([2000, 1998], 80, "average", None),
        ([2000, 2000], 80, "average", 4),
        ([2500, 2500], 100, "fullestShard", 5),
        ([2499, 2499], 100, "fullestShard", None),
        ([1250, 1250], 50, "fullestShard", 4),
    ],
)
def test_at_the_percentage_there_are_to_be_more(guilds, percentage, basis, expected):
    spec = spec_of(reshard={"percentage": percentage, "basis": basis})

    assert count_of(wanted(spec, world(guilds))) == expected


def test_one_shard_far_above_the_average_is_brought_below_the_threshold_as_well():
    assert count_of(wanted(AUTOMATIC, world([2100] + [700] * 39))) == 56


def test_a_low_percentage_asks_for_fewer_guilds_a_shard_than_1000():
    assert count_of(wanted(spec_of(reshard={"percentage": 20}), world([500] * 4))) == 8


def test_the_reason_has_the_number_and_the_field():
    target = wanted(AUTOMATIC, world([2013, 1990]))

    assert target is not None
    assert not target.manual
    assert target.reason == (
        "the fullest shard has 2,013 guilds, and from 80 % of 2,500 on there are to be more shards "
        "(spec.reshard.percentage)"
    )


def test_with_auto_off_nothing_happens_by_itself():
    assert wanted(spec_of(reshard={"auto": False}), world([2400, None], recommended=100)) is None


def test_discords_recommendation_counts_from_twice_the_number_on():
    assert wanted(AUTOMATIC, world([10] * 4, recommended=7)) is None
    assert wanted(AUTOMATIC, world([10] * 4, recommended=8)) == Target(
        8, "Discord recommends 8 shards, and 4 are running", manual=False
    )


def test_discords_recommendation_counts_once_something_else_is_the_reason():
    assert count_of(wanted(AUTOMATIC, world([2000, 1000], recommended=3))) == 3
    assert count_of(wanted(AUTOMATIC, world([2000, 1000], recommended=2))) == 3


def test_a_shard_refused_as_they_are_too_few_is_a_reason():
    assert wanted(AUTOMATIC, world([100, None])) == Target(3, "Discord requires more shards (4011)", manual=False)


def test_a_shard_refused_for_another_reason_is_none():
    seen = instance([100, None], close_code=4014)

    assert wanted(AUTOMATIC, World(info=info(1), active=shard_set(2), instances={"x": seen})) is None


def test_before_discord_has_answered_nothing_happens_by_itself():
    seen = instance([2400, 2400])

    assert wanted(AUTOMATIC, World(active=shard_set(2), instances={"x": seen})) is None


def test_it_never_goes_down_by_itself():
    assert wanted(AUTOMATIC, world([1] * 64, recommended=1)) is None


def test_guilds_of_the_pending_set_are_no_reason():
    seen = instance([2400, 2400], epoch=2)

    assert wanted(AUTOMATIC, World(info=info(1), active=shard_set(2), instances={"x": seen})) is None


# Large bots.


@pytest.mark.parametrize(
    ("guilds", "max_concurrency", "expected"),
    [([1999] * 50 + [2000], 16, 112), ([1999] * 49 + [2000], 16, 100), ([2000] * 64, 16, 128), ([2000] * 64, 1, 128)],
)
def test_from_100000_guilds_on_it_is_a_multiple_of_the_concurrency(guilds, max_concurrency, expected):
    assert count_of(wanted(AUTOMATIC, world(guilds, max_concurrency=max_concurrency))) == expected


@pytest.mark.parametrize(("recommended", "expected"), [(160, 160), (100, 100), (64, None), (10, None)])
def test_without_the_multiple_a_large_bot_takes_discords_own_number(recommended, expected):
    spec = spec_of(reshard={"useOptimalLargeBotSharding": False})

    assert count_of(wanted(spec, world([2000] * 64, recommended=recommended, max_concurrency=16))) == expected


# Calm.


def test_what_was_given_up_is_left_alone_for_a_while():
    tried = world([2000, 2000], aborted=Aborted(4, NOW - HELD_BACK + 1))

    assert wanted(AUTOMATIC, tried) is None
    assert (why_held_back(AUTOMATIC, tried) or "").startswith(
        "a reshard to 4 shards was given up and is begun again in 1 s (the fullest shard has 2,000 guilds"
    )


@pytest.mark.parametrize("aborted", [None, Aborted(2, NOW), Aborted(4, NOW - HELD_BACK)])
def test_a_much_larger_one_or_an_hour_later_is_not_held_back(aborted):
    tried = world([2000, 2000], aborted=aborted)

    assert count_of(wanted(AUTOMATIC, tried)) == 4
    assert why_held_back(AUTOMATIC, tried) is None


@pytest.mark.parametrize("fullest", [2000, 2030, 2400])
def test_some_guilds_more_do_not_begin_at_once_what_was_given_up(fullest):
    tried = world([2000] * 39 + [fullest], aborted=Aborted(80, NOW - 60))

    assert wanted(AUTOMATIC, tried) is None
    assert (why_held_back(AUTOMATIC, tried) or "").startswith("a reshard to 80 shards was given up and ")


def test_what_the_manifest_asks_for_is_not_begun_again_as_soon_as_it_was_given_up():
    aborted = Aborted(8, NOW - 5, manifest_shards=8)
    assert wanted(spec_of(shards=8), world([10] * 4, aborted=aborted)) is None
    assert count_of(wanted(spec_of(shards=9), world([10] * 4, aborted=aborted))) == 9


def test_a_manifest_that_was_changed_since_is_a_newer_word():
    aborted = Aborted(8, NOW - 5, manifest_shards=4)
    assert count_of(wanted(spec_of(shards=8), world([10] * 4, aborted=aborted))) == 8


def test_what_the_command_asks_for_is_begun_whatever_was_given_up():
    tried = world([10] * 4, aborted=Aborted(8, NOW - 5), request=ReshardRequest(to=8))

    assert count_of(wanted(AUTOMATIC, tried)) == 8


@pytest.mark.parametrize("phase", [phase for phase in ReshardPhase if phase is not ReshardPhase.PREPARING])
def test_what_runs_is_finished_whatever_the_guilds_do(phase):
    for guilds in ([10] * 4, [2400] * 4):
        running = world(guilds, recommended=50, reshard=reshard(5, phase))
        assert wanted(AUTOMATIC, running) == Target(5, "as it was begun", manual=False)
    assert count_of(wanted(spec_of(reshard={"auto": False}), running)) == 5


def test_what_has_not_begun_yet_grows_with_the_guilds_and_never_shrinks():
    waiting = reshard(6, ReshardPhase.PREPARING)

    assert count_of(wanted(AUTOMATIC, world([2400] * 4, reshard=waiting))) == 10
    assert wanted(AUTOMATIC, world([10] * 4, reshard=waiting)) == Target(6, "as it was begun", manual=False)
    assert wanted(spec_of(reshard={"auto": False}), world([2400] * 4, reshard=waiting)) is None


def test_a_person_changes_the_target_of_what_runs():
    assert count_of(wanted(spec_of(shards=9), world([10] * 4, reshard=reshard(8)))) == 9


# Measuring.


def test_shards_that_have_not_reported_are_taken_for_average_ones():
    seen = instance([100, 300])

    assert measured(World(active=shard_set(4), instances={"x": seen})) == Measured(4, guilds=800, fullest=300)


def test_a_connected_shard_may_have_no_guilds():
    assert measured(world([100, 0])) == Measured(2, guilds=100, fullest=100)


def test_of_two_instances_of_a_pod_the_younger_knows_better():
    old, new = instance([900, 900], number=1), instance([950], number=2)
    both = World(active=shard_set(2), instances={"new": new, "old": old})

    assert measured(both) == Measured(2, guilds=1850, fullest=950)


RESHARDS = st.fixed_dictionaries(
    {},
    optional={
        "percentage": st.integers(1, 100),
        "basis": st.sampled_from(["fullestShard", "average"]),
        "useOptimalLargeBotSharding": st.booleans(),
    },
)


@given(
    settings=RESHARDS,
    shards=st.integers(1, 400),
    guilds=st.integers(0, 2500),
    skew=st.floats(1.0, 3.0),
    recommended=st.integers(1, 1000),
    max_concurrency=st.sampled_from([1, 2, 16, 32]),
    refused=st.booleans(),
)
def test_what_was_done_gives_no_reason_to_do_it_again(
    settings, shards, guilds, skew, recommended, max_concurrency, refused
):
    spec, discord = spec_of(reshard=settings), info(recommended, max_concurrency)
    now = Measured(shards, guilds * shards, min(2500, round(guilds * skew)), refused)

    target = automatic_target(spec, discord, now)

    if target is not None:
        assert shards < target.shard_count
        # No limit of the resource comes in between.
        assert target.shard_count <= 65536
        assert automatic_target(spec, discord, now.on(target.shard_count)) is None
        if now.guilds >= 100_000:
            assert target.shard_count in (recommended, -(-target.shard_count // max_concurrency) * max_concurrency)


@given(guilds=st.lists(st.integers(1500, 2500), min_size=1, max_size=40), growth=st.floats(1.0, 1.2))
def test_some_growth_after_a_reshard_gives_no_reason_either(guilds, growth):
    first = wanted(AUTOMATIC, world(list(guilds)))
    if first is None:
        return
    spread = sum(guilds) * growth / first.shard_count

    assert wanted(AUTOMATIC, world([round(spread * 1.3)] * first.shard_count)) is None
