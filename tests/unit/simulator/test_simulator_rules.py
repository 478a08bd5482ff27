"""Buckets, budgets and windows, each on a clock of numbers."""

import pytest

from discord_simulator.rules import IdentifyBuckets, IdentifyBudget, MemberListLimit
from discord_simulator.session import Session, default_replay_size
from discord_simulator.snowflakes import shard_of, snowflake


def test_a_bucket_takes_one_identify_in_five_seconds():
    buckets = IdentifyBuckets(max_concurrency=1)

    assert buckets.admit(0, 0.0)
    assert not buckets.admit(1, 4.999)
    assert buckets.admit(1, 5.0)


def test_shards_of_different_buckets_identify_at_once():
    buckets = IdentifyBuckets(max_concurrency=16)

    assert all(buckets.admit(shard_id, 0.0) for shard_id in range(16))
    assert not buckets.admit(16, 0.0)


def test_a_refused_identify_does_not_move_the_bucket():
    buckets = IdentifyBuckets(max_concurrency=1)
    buckets.admit(0, 0.0)
    buckets.admit(0, 4.0)

    assert buckets.admit(0, 5.0)


def test_the_budget_is_whole_again_after_a_day():
    budget = IdentifyBudget(total=2, remaining=1, started=0.0)

    assert budget.spend(10.0)
    assert not budget.spend(20.0)
    assert budget.reset_after(86_000.0) == pytest.approx(400.0)
    assert budget.remaining(86_400.0) == 2


def test_member_lists_are_limited_guild_by_guild():
    limit = MemberListLimit()

    assert limit.retry_after(1, 0.0) is None
    assert limit.retry_after(2, 0.0) is None
    assert limit.retry_after(1, 12.0) == pytest.approx(18.0)
    assert limit.retry_after(1, 30.0) is None


@pytest.mark.parametrize(("guilds", "size"), [(0, 100), (1, 100), (10, 750), (2500, 3500)])
def test_the_replay_buffer_grows_with_the_guilds_between_its_bounds(guilds, size):
    assert default_replay_size(guilds) == size


def test_a_session_without_a_dispatch_has_nothing_to_replay():
    assert Session("s", 0, 1, 0, replay_size=5).missed_since(0) == []


def test_guilds_are_routed_by_their_timestamp_and_everything_else_to_shard_0():
    guild_id = snowflake(1_420_070_400_000 + 7, 3)

    assert guild_id == 7 << 22 | 3
    assert shard_of(guild_id, 4) == 3
    assert shard_of(None, 4) == 0
