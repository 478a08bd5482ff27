"""Orders: whose a pending shard is, and which sessions a handover concerns."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardpod.handover import HandoverOrder, Orders


def test_what_is_handed_over_is_the_pending_sets_and_all_else_the_active_sets(orders):
    active, pending = orders(1, handed=((0, 1), (4, 4))), orders(2, handed=((0, 1), (4, 4)))

    assert [active.is_ours(shard) for shard in range(6)] == [False, False, True, True, False, True]
    assert [pending.is_ours(shard) for shard in range(6)] == [True, True, False, False, True, False]


def test_both_ends_of_a_range_belong_to_it(order):
    one = order(first=2, last=4)

    assert [shard for shard in range(7) if one.covers(shard)] == [2, 3, 4]


def test_the_shard_count_is_that_of_ones_own_set(orders):
    assert (orders(1).shard_count, orders(2).shard_count) == (4, 6)


def test_of_the_pending_set_a_handover_concerns_the_sessions_of_its_range_alone(orders, order):
    assert [shard for shard in range(6) if orders(2).concerns(shard, order(first=1, last=3))] == [1, 2, 3]


def test_of_the_active_set_it_concerns_the_sessions_that_share_a_remainder(orders, order):
    # gcd(4, 6) is 2: guilds of pending shard 3 are odd, and so in active shards 1 and 3.
    assert [shard for shard in range(4) if orders(1).concerns(shard, order(first=3, last=3))] == [1, 3]


@given(st.integers(1, 24), st.integers(1, 24), st.data())
def test_a_session_is_concerned_just_if_some_key_of_the_range_is_its_own(active_count, pending_count, data):
    first = data.draw(st.integers(0, pending_count - 1))
    last = data.draw(st.integers(first, pending_count - 1))
    one = HandoverOrder(1, first, last, 1, 2, go=False)
    for epoch, count in ((1, active_count), (2, pending_count)):
        mine = Orders(epoch, 1, active_count, 2, pending_count)
        keys = range(active_count * pending_count)
        concerned = {key % count for key in keys if first <= key % pending_count <= last}

        assert {shard for shard in range(count) if mine.concerns(shard, one)} == concerned


def test_orders_travel_as_they_are(orders, order):
    whole = orders(2, handed=((0, 1),), handover=order(go=True))

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=Orders) == whole


@pytest.mark.parametrize("epoch", [1, 2])
def test_exactly_one_of_the_two_sets_delivers_each_shard(orders, epoch):
    handed = ((1, 2), (5, 5))

    assert all(
        orders(epoch, handed=handed).is_ours(s) is not orders(3 - epoch, handed=handed).is_ours(s) for s in range(6)
    )
