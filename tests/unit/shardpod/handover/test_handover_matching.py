"""Aligning by content: one to one, in order, within the tolerance; and how it travels."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardpod.handover import Matching, Seen, Tail, Unmatched, Windows, fingerprint, pack, rehearse, unpack
from shardpod.protocol import Event

QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)  # ring 7, tolerance 7, tail 26, history 33
NOW = 100.0


def told_by_content(name):
    return fingerprint("TYPING_START", b'{"d":"%b"}' % name.encode())


def told_by_id(name):
    return fingerprint("MESSAGE_CREATE", b'{"d":{"id":"%b"}}' % name.encode())


def theirs(name, at, told_by=told_by_content):
    return Seen(1, at, told_by(name))


def mine(name, at, told_by=told_by_content, *, payload=True):
    event = Event("TYPING_START", 1, "4194304", 0, "a" * 32, at, name.encode()) if payload else None
    return Seen(1, at, told_by(name), event, kept=True)


def names(seen):
    return [each.event.raw.decode() for each in seen]


# How it travels.


@QUICK
@given(st.lists(st.builds(Seen, st.integers(0, 2**42), st.floats(NOW - 60, NOW), st.binary(min_size=16, max_size=16))))
def test_a_tail_arrives_as_it_was_sent_on_the_clock_of_who_reads_it(seen):
    arrived = unpack(pack(seen, NOW), 5000.0)
    assert [(each.key, each.fingerprint) for each in arrived] == [(each.key, each.fingerprint) for each in seen]
    assert [each.at for each in arrived] == pytest.approx([each.at + 4900.0 for each in seen], abs=1e-4)


@pytest.mark.parametrize("part", ["fingerprints", "ages", "keys"])
def test_a_tail_whose_parts_do_not_belong_together_is_refused(part):
    whole = pack([theirs("a", 1.0), theirs("b", 2.0)], NOW)
    parts = {name: getattr(whole, name) for name in whole.__struct_fields__}
    with pytest.raises(ValueError, match="different length"):
        unpack(Tail(**{**parts, part: parts[part][:-1]}), NOW)


# Rehearsing.


def test_a_rehearsal_passes_when_each_side_saw_what_the_other_did():
    ours = [mine("a", 85.0), mine("b", 88.0)]
    assert rehearse(ours, [theirs("b", 86.0), theirs("a", 89.0)], NOW, WINDOWS) is None


def test_what_only_one_side_saw_is_counted_and_the_oldest_age_told():
    ours = [mine("a", 90.0), mine("x", 88.0), mine("y", 91.0)]
    assert rehearse(ours, [theirs("a", 90.0), theirs("z", 89.0)], NOW, WINDOWS) == Unmatched(2, 1, 12.0)


@pytest.mark.parametrize("age", [4.9, 19.1, 30.0])
def test_what_may_still_come_or_is_on_the_edge_need_not_match(age):
    assert rehearse([mine("a", NOW - age)], [theirs("b", NOW - age)], NOW, WINDOWS) is None


@pytest.mark.parametrize("age", [5.1, 18.9])
def test_what_is_neither_new_nor_on_the_edge_has_to_match(age):
    assert rehearse([mine("a", NOW - age)], [theirs("b", NOW - age)], NOW, WINDOWS) == Unmatched(
        1, 1, pytest.approx(age)
    )


def test_look_alikes_are_matched_one_to_one():
    assert rehearse([mine("a", 90.0)], [theirs("a", 89.0), theirs("a", 91.0)], NOW, WINDOWS) == Unmatched(0, 1, 9.0)
    assert rehearse([mine("a", 89.0), mine("a", 91.0)], [theirs("a", 90.0)], NOW, WINDOWS) == Unmatched(1, 0, 9.0)


def test_what_has_lost_its_counterpart_at_the_edge_takes_no_match_from_a_look_alike():
    ours = [mine("a", 73.0), mine("a", 79.0), mine("a", 85.0)]
    assert rehearse(ours, [theirs("a", 79.0), theirs("a", 85.0)], NOW, WINDOWS) is None
    assert rehearse(ours[1:], [theirs("a", 74.5), theirs("a", 79.0), theirs("a", 85.0)], NOW, WINDOWS) is None


def test_a_rehearsal_finds_what_came_too_far_apart_unless_it_has_an_id():
    assert rehearse([mine("a", 83.0)], [theirs("a", 91.0)], NOW, WINDOWS) == Unmatched(1, 1, 17.0)
    assert rehearse([mine("a", 91.0)], [theirs("a", 83.0)], NOW, WINDOWS) == Unmatched(1, 1, 17.0)
    assert rehearse([mine("a", 83.0, told_by_id)], [theirs("a", 91.0, told_by_id)], NOW, WINDOWS) is None


# The handover itself.


def test_what_the_giver_has_not_delivered_is_delivered_in_order():
    matching = Matching([theirs("b", 97.0)], WINDOWS)
    ours = [mine("a", 96.0), mine("b", 97.0), mine("c", 98.0), mine("d", 99.0)]
    assert names(matching.begin(ours, NOW)) == ["a", "c", "d"]
    assert matching.expected == 0


def test_what_a_giver_delivered_late_before_its_later_fence_is_not_delivered_again():
    """Found by a reader: its session stalled, and it fenced two seconds after the first giver."""
    ours = [mine("a", 95.05)]
    assert names(Matching([theirs("a", 102.3)], WINDOWS).begin(ours, 101.0)) == ["a"]
    assert names(Matching([theirs("a", 102.3)], WINDOWS).begin(ours, 101.0, spread=2.35)) == []


def test_what_is_older_than_the_ring_or_has_no_payload_is_not_delivered():
    ours = [mine("a", 93.0), mine("b", 93.1), mine("c", 94.0, payload=False)]
    assert names(Matching([], WINDOWS).begin(ours, NOW)) == ["b"]


def test_what_is_to_be_delivered_keeps_its_payload_when_the_history_lets_go_of_it():
    ours = [mine("a", 96.0)]
    to_deliver = Matching([], WINDOWS).begin(ours, NOW)
    ours[0].event = None
    assert names(to_deliver) == ["a"]


def test_what_the_giver_delivered_and_we_have_yet_to_see_is_suppressed_once():
    matching = Matching([theirs("a", 98.0)], WINDOWS)
    matching.begin([], NOW)
    assert matching.expected == 1
    assert not matching.suppresses(told_by_content("b"), 101.0)
    assert matching.suppresses(told_by_content("a"), 101.0)
    assert not matching.suppresses(told_by_content("a"), 101.0)
    assert matching.expected == 0


def test_look_alikes_are_matched_oldest_first_whoever_sent_them():
    matching = Matching([theirs("a", 98.0), theirs("a", 94.0)], WINDOWS)  # of two givers
    assert matching.begin([mine("a", 99.9)], NOW) == []
    assert matching.expected == 1
    assert matching.suppresses(told_by_content("a"), 104.0)  # the one of 94.0 would be too old


def test_a_look_alike_that_came_too_late_to_be_the_same_is_delivered():
    matching = Matching([theirs("a", 95.0)], WINDOWS)
    matching.begin([], NOW)
    assert not matching.suppresses(told_by_content("a"), 102.1)


def test_a_look_alike_that_came_too_early_to_be_the_same_takes_no_match():
    matching = Matching([theirs("a", 101.0)], WINDOWS)
    assert names(matching.begin([mine("a", 93.5)], NOW)) == ["a"]
    assert matching.suppresses(told_by_content("a"), 101.0)


def test_an_event_with_an_id_of_its_own_is_matched_whenever_it_comes():
    matching = Matching([theirs("a", 75.0, told_by_id)], WINDOWS)
    matching.begin([], NOW)
    matching.tick(500.0, connected=True)
    assert matching.expected == 0
    assert matching.suppresses(told_by_id("a"), 500.0)
    assert not matching.suppresses(told_by_id("a"), 500.0)


def test_what_does_not_come_within_the_tolerance_is_no_longer_expected():
    matching = Matching([theirs("a", 98.0), theirs("b", 99.0)], WINDOWS)
    matching.begin([], NOW)
    matching.tick(105.0, connected=True)
    assert matching.expected == 2
    matching.tick(105.5, connected=True)
    assert matching.expected == 1
    matching.tick(106.5, connected=True)
    assert matching.expected == 0


def test_while_a_session_is_not_connected_what_is_expected_does_not_expire():
    matching = Matching([theirs("a", 98.0), theirs("b", 99.0)], WINDOWS)
    matching.begin([], NOW)
    matching.tick(101.0, connected=True)
    for now in (102.0, 120.0, 131.0):
        matching.tick(now, connected=False)
    matching.tick(131.5, connected=True)
    assert matching.expected == 2
    assert matching.suppresses(told_by_content("a"), 132.0)
    matching.tick(136.4, connected=True)
    assert matching.expected == 1
    matching.tick(136.6, connected=True)
    assert matching.expected == 0


def test_while_a_session_is_silent_what_is_expected_does_not_expire():
    """Its connection may be dead, and nobody knows it yet; what it missed comes by a replay."""
    matching = Matching([theirs("a", 98.0)], WINDOWS)
    matching.begin([], NOW)
    matching.tick(140.0, connected=True, heard_at=105.0)
    assert matching.expected == 1

    matching.tick(141.0, connected=True, heard_at=140.5)
    assert matching.expected == 0
