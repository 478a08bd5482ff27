"""What is remembered, for how long, and what of it is kept whole."""

import pytest

from shardpod.handover import History, Windows, fingerprint
from shardpod.protocol import Event

WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)  # ring 7, tail 26, history 33


@pytest.fixture
def history():
    return History(WINDOWS)


def event(at, number=0):
    return Event("TYPING_START", number, "4194304", 0, "a" * 32, at, b'{"d":{"n":%d}}' % number)


def every(_key):
    return True


def test_an_event_is_told_with_its_fingerprint_its_key_and_when_it_came(history):
    history.saw(event(10.0, 3), 1, keep=False)
    (seen,) = history.tail(10.0, every)
    assert (seen.key, seen.at, seen.fingerprint) == (1, 10.0, fingerprint("TYPING_START", b'{"d":{"n":3}}'))


def test_only_the_keys_that_are_wanted_are_told(history):
    for key in range(6):
        history.saw(event(key, key), key, keep=True)
    assert [seen.key for seen in history.tail(6.0, lambda key: key % 3 == 1)] == [1, 4]
    assert [seen.key for seen in history.kept(6.0, lambda key: key % 3 == 2)] == [2, 5]


def test_the_payload_of_what_is_delivered_goes_once_its_fingerprint_is_made(history):
    history.saw(event(10.0), 1, keep=False)
    assert history.bytes == len(event(10.0).raw)
    assert history.digest(10.0) == 0
    assert history.bytes == 0
    assert history.kept(10.0, every)[0].event is None


def test_the_payload_of_what_is_not_delivered_stays_for_the_ring(history):
    kept = event(10.0)
    history.saw(kept, 1, keep=True)
    history.digest(16.9)
    assert history.kept(16.9, every)[0].event is kept
    assert history.bytes == len(kept.raw)
    history.digest(17.0)
    assert history.kept(17.0, every)[0].event is None
    assert history.bytes == 0


def test_it_is_known_since_when_no_payload_was_dropped(history):
    history.saw(event(10.0), 1, keep=True)
    history.digest(16.9)
    assert history.payloads_since == float("-inf")
    history.digest(18.0)
    assert history.payloads_since == 11.0


def test_a_tail_reaches_back_for_its_window_or_from_when_it_is_asked_for(history):
    for at in (0.0, 4.0, 30.0):
        history.saw(event(at), 1, keep=False)
    assert [seen.at for seen in history.tail(30.0, every)] == [4.0, 30.0]
    assert [seen.at for seen in history.tail(30.0, every, since=0.0)] == [0.0, 4.0, 30.0]


def test_after_its_time_an_event_is_forgotten(history):
    history.saw(event(0.0), 1, keep=True)
    history.saw(event(1.0), 1, keep=False)
    history.digest(32.9)
    assert history.size == 2
    history.digest(33.0)
    assert [seen.at for seen in history.kept(33.0, every)] == [1.0]
    assert history.size == 1


def test_digesting_stops_at_its_limit_and_tells_what_is_left(history):
    for number in range(7):
        history.saw(event(1.0, number), 1, keep=False)
    assert history.digest(1.0, limit=3) == 4
    assert history.digest(1.0, limit=3) == 1
    assert history.digest(1.0, limit=3) == 0
    assert len({seen.fingerprint for seen in history.kept(1.0, every)}) == 7


@pytest.mark.parametrize("keep", [True, False])
def test_nothing_is_forgotten_before_its_fingerprint_is_made(history, keep):
    for number in range(3):
        history.saw(event(0.0, number), 1, keep=keep)
    history.digest(100.0, limit=1)
    assert (history.size, history.bytes) == (2, 2 * len(event(0.0).raw))
    history.digest(100.0)
    assert (history.size, history.bytes) == (0, 0)


def test_frozen_it_forgets_only_what_it_would_have_forgotten_then(history):
    for at in (0.0, 10.0, 20.0):
        history.saw(event(at), 1, keep=True)
    history.freeze(20.0, every)
    history.digest(1000.0)
    assert [(seen.at, seen.event is not None) for seen in history.kept(1000.0, every)] == [
        (0.0, False),
        (10.0, False),
        (20.0, True),
    ]
    history.freeze(None)
    history.digest(1000.0)
    assert (history.size, history.bytes) == (0, 0)


def test_frozen_it_keeps_payloads_of_the_range_alone(history):
    """All that the worker does not deliver, for a minute, would be more than the pod's memory has room for."""
    for at in (14.0, 30.0, 50.0):
        history.saw(event(at), 1, keep=True)
        history.saw(event(at), 2, keep=True)
    history.freeze(20.0, lambda key: key == 1)
    history.digest(52.0)

    assert [(seen.key, seen.at) for seen in history.kept(52.0, every) if seen.event is not None] == [
        (1, 14.0),
        (1, 30.0),
        (1, 50.0),
        (2, 50.0),
    ]
    assert history.payloads_since <= 13.0
    assert history.bytes == 4 * len(event(0.0).raw)

    history.freeze(None)
    history.digest(52.0)
    assert history.bytes == 2 * len(event(0.0).raw)
    assert history.payloads_since == 45.0
