"""A session that is silent may be dead: what it missed comes by a replay, maybe after the range has changed hands.

Found by the simulated reshards: with connections that die without a word in a quiet guild, events were lost (the
giver's) and doubled (the taker's), for by all that was compared both sets had seen the same.
"""

import msgspec
import pytest

from shardpod.handover import Verdict, Windows

FENCED_AT = 100.0
WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)
"""As those of the sides made here."""
LEASE = 110.0
DEAD_SINCE = 60.0


@pytest.fixture
def giver(active, order):
    """It is told to fence, while one of its sessions was last heard of at `heard_at`."""

    def make(heard_at, **changes):
        side = active(now=0.0, handover=order())
        going = msgspec.structs.replace(order(go=True), **changes)
        side.custody.follow(msgspec.structs.replace(side.custody.orders, handover=going), FENCED_AT)
        side.tick(FENCED_AT, heard_at=heard_at)
        return side

    return make


# Both, while they compare: what comes between the question and the answer counts as late, and must not be late by much.


@pytest.mark.parametrize("kind", ["active", "taker"])
def test_while_two_sets_compare_no_session_is_silent_for_longer_than_a_second(kind, request, order):
    make = request.getfixturevalue(kind)
    side = make(now=0.0, handover=order()) if kind == "active" else make()
    side.tick(90.0, heard_at=89.1)
    assert side.custody.sign_wanted_since is None

    side.tick(90.0, heard_at=88.9)
    assert side.custody.sign_wanted_since == 89.0

    side.tick(90.1, heard_at=90.05)
    assert side.custody.sign_wanted_since is None


# The giver.


def test_a_giver_whose_sessions_were_all_heard_of_a_moment_ago_fences_at_once(giver):
    side = giver(FENCED_AT - WINDOWS.fence_timeout / 2)

    assert side.state == "fenced"
    assert side.custody.sign_wanted_since is None


def test_one_with_a_silent_session_fences_when_that_has_given_a_sign(giver):
    side = giver(97.0)
    assert (side.state, side.reason) == ("fencing", "one of its sessions is silent")
    assert side.custody.sign_wanted_since == FENCED_AT
    assert side.receive(1, key=0, at=100.05, since=97.0) is Verdict.OURS
    assert side.deliver() == [1]

    side.tick(100.1, heard_at=100.1)
    assert side.state == "fenced"
    assert side.receive(2, key=0, at=100.15) is Verdict.HELD
    assert side.custody.fence_age(100.2) == pytest.approx(0.1)


def test_many_quiet_sessions_are_asked_at_once_and_the_fence_waits_for_one_round_of_answers(giver):
    """Each by itself would be heard of every second, and never all of them within the same."""
    side = giver(98.9)
    assert side.custody.sign_wanted_since == FENCED_AT

    side.tick(100.5, heard_at=99.4)
    assert side.state == "fencing"
    assert side.custody.sign_wanted_since == FENCED_AT

    side.tick(100.6, heard_at=100.1)
    assert side.custody.fence_age(100.6) == 0.0
    assert side.state == "fenced"


def test_where_answers_are_too_far_apart_it_fences_and_waits_for_them_afterwards(giver):
    side = giver(98.9)
    side.tick(101.1, heard_at=99.9)
    assert (side.state, side.custody.fence_age(101.1)) == ("fencing", 0.0)
    assert side.receive(1, key=0, at=101.15) is Verdict.HELD
    assert side.custody.sign_wanted_since == pytest.approx(100.1)

    side.tick(101.2, heard_at=100.2)
    assert side.state == "fenced"


@pytest.mark.parametrize("what", ["session_lost", "stood_still"])
def test_what_happens_while_the_signs_are_waited_for_undoes_it_before_anything_is_held(giver, what):
    side = giver(98.9)
    if what == "session_lost":
        side.custody.session_lost(1, 100.05)
    else:
        side.custody.stood_still(100.05)
    side.tick(100.1)

    assert side.state == "undone"
    assert side.receive(1, key=0, at=100.2) is Verdict.OURS


def test_one_whose_session_gives_no_sign_goes_on_as_before(giver):
    side = giver(90.0)
    side.receive(1, key=0, at=100.05)
    side.tick(102.1, heard_at=90.0)

    assert side.state == "undone"
    assert "may be dead" in side.reason
    assert side.deliver() == [1]


def test_what_a_dead_session_missed_before_the_fence_undoes_it(giver):
    side = giver(DEAD_SINCE)
    side.receive(1, key=3, at=100.05)
    side.receive(2, key=0, at=100.1, since=DEAD_SINCE)
    side.tick(100.15)

    assert side.state == "undone"
    assert "interrupted" in side.reason
    assert sorted(side.deliver()) == [1, 2]


def test_where_nothing_is_compared_a_sign_is_needed_all_the_more(giver):
    side = giver(90.0, blind=True)
    assert side.state == "fencing"

    side.tick(100.1, heard_at=100.1)
    assert side.state == "fenced"


@pytest.mark.parametrize(("now", "state"), [(100.9, "fencing"), (102.1, "undone")])
def test_a_silent_session_has_two_seconds_however_short_a_fence_may_be(active, order, now, state):
    windows = Windows(max_skew=0.5, fence_timeout=0.1)
    side = active(now=0.0, handover=order(), windows=windows)
    side.follow(FENCED_AT, handover=order(go=True))
    assert side.state == "fenced"

    side = active(now=0.0, handover=order(), windows=windows)
    side.custody.follow(msgspec.structs.replace(side.custody.orders, handover=order(go=True)), FENCED_AT)
    side.tick(now, heard_at=90.0)
    assert side.state == state


# The taker.


def test_a_taker_settles_only_when_its_sessions_were_heard_of_since_it_is_live(taker, live):
    side = live(taker())
    side.tick(101.0, heard_at=99.0)
    assert not side.custody.taker.to_store
    assert side.reason == "one of its sessions is silent"
    assert side.custody.sign_wanted_since == FENCED_AT

    side.tick(101.1, heard_at=101.0)
    assert side.custody.taker.to_store
    assert side.custody.sign_wanted_since is None


def test_while_something_is_overdue_a_silent_session_is_asked_again(taker, live, told):
    side = live(taker(), told((1, 99.0)), until=1000.0)
    side.tick(100.1)
    assert side.custody.sign_wanted_since is None

    side.tick(106.1, heard_at=100.1)
    assert side.custody.sign_wanted_since == 99.0 + WINDOWS.tolerance
    assert not side.custody.taker.to_store

    side.tick(106.2, heard_at=106.15)
    assert side.custody.sign_wanted_since is None
    assert side.custody.taker.to_store


def test_a_taker_that_misses_what_the_other_side_saw_wants_a_sign_before_anything_is_fenced(taker, told):
    """It may be held up on its way, and come with the next moment's, as if new: found by the simulation, doubled."""
    side = taker()
    side.custody.rehearse(1, told((1, 80.0)), 90.0, 90.05)
    side.tick(90.1, heard_at=79.0)
    assert side.state == "rehearsing"
    assert side.custody.sign_wanted_since == 90.0

    side.custody.rehearse(1, [], 90.5, 90.55)
    side.tick(90.6, heard_at=89.9)
    assert side.custody.sign_wanted_since == 90.0

    side.tick(91.2, heard_at=91.2)
    assert side.custody.sign_wanted_since is None


def test_what_only_the_taker_saw_asks_for_no_sign_of_its_own(taker):
    side = taker()
    side.receive(1, key=0, at=80.0)
    side.custody.rehearse(1, [], 90.0, 90.05)
    side.tick(90.1, heard_at=89.5)

    assert side.state == "rehearsing"
    assert side.custody.sign_wanted_since is None


def test_a_taker_wants_a_sign_already_while_it_waits_for_its_lease(taker, order):
    """What was held up on its way until then would seem to have come late."""
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.tick(100.1, heard_at=90.0)
    assert side.custody.sign_wanted_since == FENCED_AT

    side.tick(100.2, heard_at=100.15)
    assert side.custody.sign_wanted_since is None


def test_what_a_dead_session_missed_long_before_the_fence_sends_the_range_back(taker, live):
    side = live(taker())
    side.tick(101.0, heard_at=DEAD_SINCE)

    assert side.receive(1, key=0, at=101.0, since=DEAD_SINCE) is Verdict.HELD
    assert side.state == "lost"
    assert "reaches further back" in side.reason
    assert side.deliver() == []


def test_what_of_it_the_giver_tells_of_is_the_givers(taker, live, told):
    side = live(taker(), told((1, 99.0)))

    assert side.receive(1, key=0, at=101.0, since=DEAD_SINCE) is Verdict.NOT_OURS
    assert side.state == "live"


def test_a_replay_before_its_lease_that_reaches_too_far_back_sends_the_range_back(taker, order):
    side = taker()
    side.follow(FENCED_AT, handover=order(go=True))
    side.receive(1, key=0, at=100.5, since=DEAD_SINCE)
    side.lease(1, LEASE, 101.0)
    side.activate(1, [], FENCED_AT, 101.0)

    assert side.state == "lost"
    assert "reaches further back" in side.reason


@pytest.mark.parametrize("since", [FENCED_AT - WINDOWS.tail + WINDOWS.tolerance, FENCED_AT - 1.0])
def test_a_replay_of_a_time_that_the_giver_tells_of_is_delivered(taker, live, since):
    side = live(taker())

    assert side.receive(1, key=0, at=101.0, since=since) is Verdict.OURS
    assert side.state == "live"


# Before the fence.


def test_nothing_is_compared_before_every_session_was_heard_of(active, order):
    """What was held up until now would seem new, and a fence that was made by it would be undone."""
    side = active(now=0.0)
    side.custody.follow(msgspec.structs.replace(side.custody.orders, handover=order()), 50.0)
    side.tick(50.0, heard_at=40.0)
    assert side.all_of(1, 50.0, go=False) is None

    side.tick(50.1, heard_at=50.05)
    assert side.all_of(1, 50.1, go=False) == []

    side.tick(53.0, heard_at=51.0)
    assert side.all_of(1, 53.0, go=False) == []


def test_a_taker_is_not_ready_before_every_session_was_heard_of(taker, order):
    side = taker()
    side.custody.follow(msgspec.structs.replace(side.custody.orders, handover=order(number=2)), 200.0)
    side.tick(200.0, heard_at=150.0)
    side.custody.rehearse(2, [], 200.0, 200.0)
    assert (side.state, side.reason) == ("rehearsing", "one of its sessions is silent")

    side.tick(200.1, heard_at=200.05)
    side.custody.rehearse(2, [], 200.1, 200.1)
    assert side.state == "rehearsed"


@pytest.mark.parametrize(("at", "compared"), [(99.0, False), (66.0, True)])
def test_what_a_giver_remembers_is_not_compared_while_an_interruption_is_in_it(active, order, at, compared):
    """So that the gate stays closed: fenced, the range would only go back."""
    side = active(handover=order())
    side.receive(1, key=0, at=at, since=at - 13.0)

    assert (side.all_of(1, FENCED_AT, go=False) is not None) is compared
    assert side.reason == (None if compared else "a session was lost or interrupted just before")


@pytest.mark.parametrize(("at", "state"), [(99.0, "rehearsing"), (66.0, "rehearsed")])
def test_a_taker_is_not_ready_while_an_interruption_is_in_what_it_remembers(taker, told, at, state):
    side = taker()
    side.receive(1, key=0, at=at, since=at - 13.0)
    side.custody.rehearse(1, told((1, at - 1.0)), FENCED_AT, FENCED_AT)

    assert side.state == state


@pytest.mark.parametrize(("since", "state"), [(90.0, "lost"), (98.5, "live")])
def test_a_taker_interrupted_for_long_just_before_the_fence_never_goes_live(taker, live, told, since, state):
    side = taker()
    side.receive(1, key=0, at=99.0, since=since)

    assert live(side, told((1, 97.0))).state == state


@pytest.mark.parametrize("blind", [False, True])
def test_a_giver_interrupted_for_long_just_before_the_go_does_not_fence(active, order, blind):
    """Least of all where nothing is compared: what came late there would hide a later look-alike at the taker."""
    side = active(handover=order())
    side.receive(1, key=0, at=99.9, since=91.8)
    side.follow(FENCED_AT, handover=msgspec.structs.replace(order(go=True), blind=blind))

    assert side.state == "undone"
    assert "interrupted just before" in side.reason
