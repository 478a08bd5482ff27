"""Custody while no range is between the sets, and what belongs to no range: sessions' own events, and shard 0's."""

import pytest

from shardpod.handover import UNCONCERNED, Verdict


def test_before_anything_is_handed_over_the_active_set_delivers_all_and_the_pending_one_nothing(active, pending):
    for key in range(12):
        assert active().receive(1, key=key) is Verdict.OURS
        assert pending().receive(1, key=key) is Verdict.NOT_OURS


def test_every_key_is_delivered_by_exactly_one_of_the_sets(active, pending):
    handed = ((1, 2), (5, 5))
    old, new = active(handed=handed), pending(handed=handed)
    for key in range(24):
        verdicts = {old.receive(1, key=key), new.receive(1, key=key)}
        assert verdicts == {Verdict.OURS, Verdict.NOT_OURS}
        assert (new.receive(2, key=key) is Verdict.OURS) is (key % 6 in (1, 2, 5))


@pytest.mark.parametrize(
    "event_type", ["READY", "RESUMED", "GUILD_MEMBERS_CHUNK", "VOICE_SERVER_UPDATE", "RATE_LIMITED"]
)
def test_what_is_for_the_session_alone_is_delivered_by_it_whatever_the_range(fenced, pending, order, event_type):
    old = fenced()
    new = pending(handover=order())

    assert old.state == "fenced"
    assert old.receive(1, key=0, type=event_type) is Verdict.OURS
    assert new.receive(1, key=0, type=event_type) is Verdict.OURS
    assert old.custody.history.size == new.custody.history.size == 0


@pytest.mark.parametrize("event_type", ["USER_UPDATE", "ENTITLEMENT_CREATE", "SUBSCRIPTION_UPDATE"])
def test_what_is_shard_0s_goes_with_its_range_whatever_guild_it_names(active, pending, event_type):
    old, new = active(handed=((0, 0),)), pending(handed=((0, 0),))

    assert old.receive(1, key=4, shard=0, type=event_type) is Verdict.NOT_OURS
    assert new.receive(1, key=4, shard=0, type=event_type) is Verdict.OURS


def test_what_has_no_guild_goes_with_shard_0(active, pending):
    old, new = active(handed=((0, 0),)), pending(handed=((0, 0),))

    assert old.receive(1, key=None) is Verdict.NOT_OURS
    assert new.receive(1, key=None) is Verdict.OURS


def test_shard_0s_events_are_fenced_with_its_range_and_no_other(fenced):
    assert fenced(first=0).receive(1, key=4, shard=0, type="ENTITLEMENT_CREATE") is Verdict.HELD
    assert fenced(first=1).receive(1, key=4, shard=0, type="ENTITLEMENT_CREATE") is Verdict.OURS


def test_the_guilds_that_a_new_session_finds_are_of_no_interest_to_a_comparison(active, pending):
    old, new = active(), pending()

    assert new.receive(1, key=0, type="GUILD_CREATE", initial=True) is Verdict.NOT_OURS
    assert old.receive(1, key=0, type="GUILD_CREATE", initial=True) is Verdict.OURS
    assert old.custody.history.size == new.custody.history.size == 0

    assert old.receive(2, key=0, type="GUILD_CREATE") is Verdict.OURS
    assert old.custody.history.size == 1


def test_a_fenced_side_holds_the_guilds_that_its_new_session_finds(fenced):
    assert fenced().receive(1, key=0, type="GUILD_CREATE", initial=True) is Verdict.HELD


def test_payloads_are_kept_of_what_may_have_to_be_delivered_here_and_of_nothing_else(active, pending, fenced):
    for side, kept in ((active(), False), (pending(), True), (fenced(), True)):
        side.receive(1, key=0, at=1.0)
        side.custody.tick(1.0, connected=True, heard_at=1.0)
        assert (side.custody.history.bytes > 0) is kept


def test_how_long_it_has_watched_counts_from_its_beginning_over_all_orders(active, order):
    side = active(now=50.0)
    side.follow(60.0, handover=order())
    side.follow(70.0, handed=((0, 2),), handover=None)

    assert side.custody.watching_for(80.0) == 30.0


def test_what_waited_before_a_start_goes_by_the_orders_of_today(pending, numbered):
    side = pending(handed=((0, 1),))

    assert side.custody.restored(numbered(1, key=0)) is Verdict.OURS
    assert side.custody.restored(numbered(2, key=3)) is Verdict.NOT_OURS
    assert side.custody.history.size == 0


# Which workers take part.


def test_a_worker_whose_sessions_are_not_concerned_takes_no_part(active, order):
    # Guilds of pending shard 0 are even: of the active set only shards 0 and 2 have them.
    side = active((1, 3), now=-100.0, handover=order(first=0, last=0, go=True))

    assert side.custody.report().state == UNCONCERNED
    assert side.custody.concerned == frozenset()
    assert not side.custody.handover_open
    assert side.receive(1, key=3) is Verdict.OURS


def test_a_worker_that_is_not_concerned_has_nothing_to_tell_and_says_so(active, order):
    side = active((1, 3), handover=order(first=0, last=0))

    assert side.all_of(1, 10.0, go=False) == []
    assert side.all_of(2, 10.0, go=False) is None, "of another handover it knows nothing"


def test_what_is_shard_0s_is_told_only_by_the_worker_that_has_shard_0(active, order):
    for shards, told in (((0, 1), 1), ((2, 3), 0)):
        side = active(shards, handover=order())
        side.receive(1, key=None, shard=shards[0], at=9.0)
        assert len(side.all_of(1, 10.0, go=False)) == told


def test_a_worker_tells_what_concerned_shards_it_has(active, order):
    assert active((0, 1), handover=order(first=0, last=0)).custody.concerned == {0}


def test_a_range_is_open_from_the_go_on(active, order):
    side = active(handover=order(), now=-100.0)
    assert not side.custody.handover_open

    side.follow(0.0, handover=order(go=True))
    assert side.custody.handover_open

    side.follow(1.0, handover=None)
    assert not side.custody.handover_open
