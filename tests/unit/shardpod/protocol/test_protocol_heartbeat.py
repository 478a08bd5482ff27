"""Heartbeats (Discord docs, Gateway): the first with jitter, then every interval, and a silent connection is left."""

import zlib

import pytest

from shardpod.protocol import CLOSE_RESUMABLE, Close, Connect, ShardState

INTERVAL = 41.25


def test_the_first_beat_comes_after_a_random_part_of_the_interval(drive):
    waits = []
    for seed in range(60):
        shard = drive(seed=seed)
        shard.connect()
        waits.append(shard.wait_for_timer())
        assert shard.sent() == [{"op": 1, "d": None}]

    assert 0 <= min(waits) < 5
    assert 36 < max(waits) <= INTERVAL


def test_beats_follow_each_other_at_the_interval(drive):
    shard = drive()
    shard.connect()
    shard.wait_for_timer()
    for _ in range(5):
        shard.hear(11)
        assert shard.wait_for_timer() == pytest.approx(INTERVAL)
        assert [message["op"] for message in shard.sent()][-1] == 1


def test_a_beat_names_the_last_seq(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=41)
    shard.wait_for_timer()

    assert shard.sent() == [{"op": 1, "d": 41}]


def test_a_shard_that_waits_for_its_permit_beats_as_well(drive):
    shard = drive()
    shard.connect()
    for _ in range(20):
        shard.wait_for_timer()
        shard.hear(11)

    assert shard.state is ShardState.AWAITING_PERMIT
    assert [message["op"] for message in shard.sent()] == [1] * 20


def test_op_1_is_answered_at_once_and_the_regular_beats_go_on(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=5)
    before = shard.protocol.timer
    shard.hear(1)

    assert shard.sent() == [{"op": 1, "d": 5}]
    assert shard.protocol.timer == before


def test_op_1_before_hello_is_answered(drive):
    shard = drive()
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.hear(1)

    assert shard.sent() == [{"op": 1, "d": None}]


def test_nothing_heard_between_two_beats_closes_resumably_and_resumes(drive):
    shard = drive().identify()
    shard.wait_for_timer()
    shard.take()
    shard.wait_for_timer()

    (close,) = shard.take()
    assert close == Close(CLOSE_RESUMABLE)
    assert close.code not in (1000, 1001)
    assert shard.state is ShardState.DISCONNECTED
    assert shard.connect() == Connect("wss://gateway-us-east1-c.discord.gg/?v=10&encoding=json", to_identify=False)


@pytest.mark.parametrize("op", [0, 1, 11, 99])
def test_whatever_is_received_counts_as_life(drive, op):
    shard = drive().identify()
    for seq in range(2, 12):
        shard.wait_for_timer()
        shard.hear(op, {}, s=seq, t="TYPING_START")

    assert shard.state is ShardState.CONNECTED


def test_a_part_of_a_compressed_payload_counts_as_life(drive):
    shard = drive(compression="zlib-stream")
    shard.protocol.start()
    shard.protocol.dialling(shard.now)
    stream = zlib.compressobj()
    hello = stream.compress(b'{"op":10,"d":{"heartbeat_interval":41250}}') + stream.flush(zlib.Z_SYNC_FLUSH)
    shard.receive(hello)
    shard.wait_for_timer()
    shard.receive(b"only the beginning")
    shard.wait_for_timer()

    assert shard.state is ShardState.AWAITING_PERMIT


def test_the_first_beat_needs_no_life_before_it(drive):
    shard = drive()
    shard.connect()
    shard.wait_for_timer()

    assert shard.state is ShardState.AWAITING_PERMIT


def test_latency_is_the_time_from_a_beat_to_its_ack(drive):
    shard = drive().identify()
    assert shard.protocol.latency is None
    shard.wait_for_timer()
    shard.now += 0.125
    shard.hear(11)

    assert shard.protocol.latency == pytest.approx(0.125)


def test_the_ack_of_a_beat_that_discord_asked_for_is_not_taken_for_latency(drive):
    shard = drive().identify()
    shard.wait_for_timer()
    shard.now += 0.1
    shard.hear(11)
    shard.now += 20
    shard.hear(1)
    shard.now += 0.2
    shard.hear(11)

    assert shard.protocol.latency == pytest.approx(0.1)


def test_an_ack_that_nothing_asked_for_tells_no_latency(drive):
    shard = drive().identify()
    shard.hear(11)

    assert shard.protocol.latency is None


def test_latency_is_forgotten_with_the_connection(drive):
    shard = drive().identify()
    shard.wait_for_timer()
    shard.hear(11)
    shard.lose()

    assert shard.protocol.latency is None


def test_a_new_connection_beats_anew(drive):
    shard = drive().identify()
    shard.wait_for_timer()
    shard.take()
    shard.lose()
    shard.resume()
    for _ in range(3):
        shard.wait_for_timer()
        shard.hear(11)

    assert shard.state is ShardState.CONNECTED


@pytest.mark.parametrize(
    "data", [{}, None, {"heartbeat_interval": None}, {"heartbeat_interval": 0}, {"heartbeat_interval": -5}, "41250", []]
)
def test_a_hello_without_a_usable_interval_closes_the_connection(drive, data):
    shard = drive()
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.hear(10, data)

    assert shard.state is ShardState.DISCONNECTED
    assert shard.take() == [Close(CLOSE_RESUMABLE)]


def test_a_hello_with_an_endless_interval_closes_the_connection(drive):
    shard = drive()
    shard.protocol.start()
    shard.protocol.dialling(shard.now)
    shard.receive(b'{"op":10,"d":{"heartbeat_interval":1e999}}')

    assert shard.state is ShardState.DISCONNECTED


def test_asked_for_a_sign_it_beats_out_of_turn_and_is_heard_of_when_that_is_acknowledged(drive):
    shard = drive().identify()
    shard.event("TYPING_START", s=41)
    heard_at = shard.now
    shard.now += 10.0
    shard.take()

    shard.ask()
    assert shard.sent() == [{"op": 1, "d": 41}]
    assert shard.protocol.hearing.silent_since == heard_at

    shard.hear(11)
    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (None, shard.now)


def test_what_comes_before_the_sign_proves_nothing_for_it_may_have_been_held_up(drive):
    """A connection that stalls and recovers is never broken: what waited on the way is read as if it were new."""
    shard = drive().identify()
    heard_at = shard.now
    shard.now += 30.0
    shard.ask()
    shard.now += 0.5
    shard.event("TYPING_START", s=2)
    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (heard_at, heard_at)

    shard.lose()
    assert shard.protocol.hearing.silent_since == heard_at, "nor does the end of the connection"


def test_an_acknowledgement_of_the_beat_before_is_no_sign(drive):
    shard = drive().identify()
    shard.wait_for_timer()  # the regular beat, which waits with all else
    heard_at = shard.protocol.hearing.heard_at
    shard.now += 1.0
    shard.ask()
    shard.hear(11)
    assert shard.protocol.hearing.silent_since == heard_at

    shard.hear(11)
    assert shard.protocol.hearing.silent_since is None


def test_who_answers_more_slowly_than_it_is_asked_has_answered_the_first_question(drive):
    shard = drive().identify()
    shard.now += 10.0
    for _ in range(3):
        shard.ask()
        shard.now += 1.0
    shard.hear(11)

    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (None, shard.now)


def test_an_acknowledgement_that_never_came_is_given_up_for_lost_an_interval_later(drive):
    """Otherwise every later one would be taken for the one before, and a session that lives would seem silent."""
    shard = drive().identify()
    for _ in range(2):
        shard.wait_for_timer()  # the first of these is never acknowledged
        shard.event("TYPING_START", s=shard.protocol.session.seq + 1)
    shard.hear(11)
    shard.wait_for_timer()
    shard.hear(11)

    shard.now += 1.0
    shard.ask()
    shard.hear(11)
    assert shard.protocol.hearing.silent_since is None


def test_an_answer_that_took_long_says_nothing_of_what_was_sent_after_the_question(drive):
    """What stalls on its way comes all at once: what was sent before it, the answer, and what was sent since."""
    shard = drive().identify()
    shard.now += 10.0
    asked_at = shard.now
    shard.ask(prompt=5.0)
    shard.now += 12.0
    shard.hear(11)
    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (asked_at, asked_at)
    shard.event("TYPING_START", s=2)
    assert shard.protocol.hearing.silent_since == asked_at, "it may have been sent just after the question"

    shard.ask(prompt=5.0)
    shard.now += 5.0
    shard.hear(11)
    assert (shard.protocol.hearing.silent_since, shard.protocol.hearing.heard_at) == (None, shard.now)


def test_one_that_is_not_connected_cannot_be_asked(drive):
    shard = drive().identify()
    shard.lose()
    shard.take()

    shard.ask()
    assert shard.take() == []
