"""Windows, and which shard of either set an event belongs to."""

from math import gcd

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardpod.handover import Windows, concerned, is_of_session, key_of
from shardpod.protocol import Event

QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def event(type_="MESSAGE_CREATE", guild_id=None):
    return Event(type_, 1, guild_id, 0, "a" * 32, 0.0, b"{}")


def test_the_windows_follow_from_skew_and_fence_timeout():
    windows = Windows(max_skew=5.0, fence_timeout=2.0)
    assert (windows.ring, windows.tolerance, windows.tail, windows.history, windows.lease) == (7, 7, 26, 33, 4)


def test_a_guilds_key_gives_discords_shard_in_a_set_of_any_size():
    assert key_of(event(guild_id="197038439483310086")) == 197038439483310086 >> 22


@pytest.mark.parametrize("type_", ["USER_UPDATE", "ENTITLEMENT_CREATE", "ENTITLEMENT_DELETE", "SUBSCRIPTION_UPDATE"])
def test_what_shard_0_gets_has_key_0_whatever_guild_it_names(type_):
    assert key_of(event(type_, "197038439483310086")) == 0


@pytest.mark.parametrize("guild_id", [None, "", "x", "-4194304", "1_0", "9" * 21, "9" * 5000])
def test_what_is_no_guild_id_has_key_0(guild_id):
    assert key_of(event(guild_id=guild_id)) == 0


@pytest.mark.parametrize("guild_id", ["0", "00", "4194303", "18446744073709551615"])
def test_any_decimal_of_64_bits_is_a_guild_id(guild_id):
    assert key_of(event(guild_id=guild_id)) == int(guild_id) >> 22


def test_answers_to_a_session_are_its_own_and_voice_states_are_not():
    assert all(map(is_of_session, ("READY", "RESUMED", "RATE_LIMITED", "GUILD_MEMBERS_CHUNK", "SOUNDBOARD_SOUNDS")))
    assert all(map(is_of_session, ("CHANNEL_INFO", "VOICE_SERVER_UPDATE")))
    assert not any(map(is_of_session, ("VOICE_STATE_UPDATE", "GUILD_CREATE", "MESSAGE_CREATE", "SOMETHING_NEW")))


@QUICK
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_session_is_concerned_by_just_the_ranges_whose_keys_it_can_receive(shard_count, pending_count, data):
    shard_id = data.draw(st.integers(0, shard_count - 1))
    first = data.draw(st.integers(0, pending_count - 1))
    last = data.draw(st.integers(first, pending_count - 1))
    all_keys = range(shard_id, shard_count * pending_count // gcd(shard_count, pending_count), shard_count)
    can = any(first <= key % pending_count <= last for key in all_keys)
    assert concerned(shard_id, shard_count, first, last, pending_count) is can


def test_a_pending_session_is_concerned_by_the_ranges_that_hold_its_shard():
    assert [shard for shard in range(16) if concerned(shard, 16, 4, 7, 16)] == [4, 5, 6, 7]
