"""A session that comes from elsewhere: from a checkpoint, or from the pod that held it; and one that is let go."""

import pytest

from shardpod.protocol import CLOSE_RESUMABLE, Close, Connect, Session, ShardState

RESUME_URL = "wss://gateway-us-east1-c.discord.gg"


def session(seq=40):
    return Session("c" * 32, RESUME_URL, seq)


def resumes(drive):
    return [message["d"] for message in drive.sent() if message["op"] == 6]


@pytest.fixture
def waiting(drive):
    """A shard that has Hello and waits for its peer."""
    made = drive()
    made.protocol.awaits_transfer = True
    assert not made.connect().to_identify, "it needs no permit to dial"
    return made


# From a checkpoint.


def test_a_session_that_is_passed_in_is_resumed_at_its_own_url_without_a_permit(drive):
    made = drive(session=session())
    connect = made.connect()

    assert connect.url.startswith(RESUME_URL)
    assert not connect.to_identify
    (resume,) = resumes(made)
    assert (resume["session_id"], resume["seq"]) == ("c" * 32, 40)
    event = made.event("MESSAGE_CREATE", s=41)
    assert (event.seq, event.session_id) == (41, "c" * 32)
    made.event("RESUMED", s=42)
    assert made.state is ShardState.CONNECTED


def test_a_checkpoint_that_discord_no_longer_knows_ends_in_an_identify(drive, effects):
    made = drive(session=session())
    made.connect()
    made.hear(9, d=False)
    assert "SessionEnded" in effects(made.take())
    made.wait_for_timer()

    (connect,) = [effect for effect in made.take() if isinstance(effect, Connect)]
    assert connect.to_identify


# From a peer.


def test_after_hello_a_shard_that_awaits_a_transfer_says_nothing_but_heartbeats(waiting):
    assert waiting.state is ShardState.AWAITING_TRANSFER
    assert not waiting.protocol.permit(waiting.now), "a peer may still hold the session"
    waiting.wait(1)
    assert waiting.sent() == []
    waiting.hear(11)
    waiting.wait(45)
    assert {message["op"] for message in waiting.sent()} == {1}


def test_the_adopted_session_is_resumed_at_once_on_the_open_socket(waiting):
    waiting.protocol.adopt(session(), waiting.now)

    assert waiting.state is ShardState.RESUMING
    (resume,) = resumes(waiting)
    assert (resume["session_id"], resume["seq"]) == ("c" * 32, 40)
    waiting.event("RESUMED", s=41)
    assert waiting.state is ShardState.CONNECTED
    assert not waiting.protocol.awaits_transfer


def test_with_nothing_to_adopt_the_shard_identifies_by_permit_on_the_open_socket(waiting):
    waiting.protocol.nothing_to_adopt()

    assert waiting.state is ShardState.AWAITING_PERMIT
    assert waiting.protocol.permit(waiting.now)
    assert [message["op"] for message in waiting.sent()] == [2]


def test_a_connection_that_breaks_while_waiting_is_replaced_and_still_waits(waiting):
    waiting.lose(1006)
    connect = waiting.connect()

    assert not connect.to_identify
    assert waiting.state is ShardState.AWAITING_TRANSFER


def test_a_silent_connection_is_not_waited_on_for_a_transfer(waiting):
    waiting.wait(100)

    assert any(isinstance(effect, Close) for effect in waiting.take())


def test_a_session_adopted_between_two_connections_is_resumed_on_the_next(waiting):
    waiting.lose(None)
    waiting.protocol.adopt(session(), waiting.now)
    assert waiting.take() == []
    waiting.connect()

    assert waiting.state is ShardState.RESUMING


@pytest.mark.parametrize("adopts", [True, False])
def test_an_answer_before_hello_takes_effect_with_hello(drive, adopts):
    made = drive()
    made.protocol.awaits_transfer = True
    made.protocol.start()
    if adopts:
        made.protocol.adopt(session(), made.now)
    else:
        made.protocol.nothing_to_adopt()
    assert made.state is ShardState.CONNECTING
    made.protocol.dialling(made.now)
    made.hello()

    assert made.state is (ShardState.RESUMING if adopts else ShardState.AWAITING_PERMIT)


def test_dispatches_before_the_session_is_here_close_the_connection_resumably(waiting):
    assert waiting.event("MESSAGE_CREATE", s=5) is None

    assert [effect for effect in waiting.take() if isinstance(effect, Close)] == [Close(CLOSE_RESUMABLE)]


# Let go.


def test_a_released_session_ends_its_connection_resumably_and_is_handed_out(drive):
    made = drive().identify()
    made.event("MESSAGE_CREATE", s=7)
    released = made.protocol.release()

    assert (released.session_id, released.seq, released.resume_gateway_url) == ("a" * 32, 7, RESUME_URL)
    assert made.take() == [Close(CLOSE_RESUMABLE)]
    assert made.protocol.session is None
    assert made.protocol.timer is None
    assert made.state is ShardState.DISCONNECTED


def test_releasing_between_two_connections_gives_the_session_and_ends_the_tries(drive):
    made = drive().identify()
    made.lose(1006)
    made.take()

    assert made.protocol.release().session_id == "a" * 32
    assert made.protocol.timer is None
    assert made.take() == []


def test_releasing_without_a_session_gives_none(drive):
    made = drive()
    made.connect()

    assert made.protocol.release() is None


# Reading is paused.


def test_while_reading_is_paused_silence_is_no_sign_of_a_zombie(drive):
    made = drive().identify()
    made.protocol.reading_paused = True
    made.wait(400)

    sent = made.sent()
    assert len(sent) >= 9
    assert {message["op"] for message in sent} == {1}
    assert made.state is ShardState.CONNECTED


def test_silence_after_reading_went_on_is(drive):
    made = drive().identify()
    made.protocol.reading_paused = True
    made.wait(100)
    made.protocol.reading_paused = False
    made.hear(11)
    made.take()
    made.wait(100)

    assert any(isinstance(effect, Close) for effect in made.take())
