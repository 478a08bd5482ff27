"""The shard's states: which transition each thing that can happen makes, and what the driver is asked to do."""

import json

import pytest

from shardpod.protocol import CLOSE_RESUMABLE, Close, Connect, SessionEnded, ShardState
from shardpod.protocol.shard import ANSWER_TIMEOUT, HELLO_TIMEOUT

MAIN = "wss://gateway.discord.gg/?v=10&encoding=json"
RESUME = "wss://gateway-us-east1-c.discord.gg/?v=10&encoding=json"


# The way up.


def test_a_new_shard_is_disconnected_and_asks_for_nothing(drive):
    shard = drive()

    assert shard.state is ShardState.DISCONNECTED
    assert shard.protocol.timer is None
    assert shard.take() == []


def test_start_connects_to_the_main_url_to_identify(drive):
    shard = drive()
    shard.protocol.start()

    assert shard.state is ShardState.CONNECTING
    assert shard.take() == [Connect(MAIN, to_identify=True)]


def test_a_shard_that_waits_for_its_turn_to_dial_has_no_deadline(drive):
    shard = drive()
    shard.protocol.start()

    assert shard.protocol.timer is None


def test_hello_leads_a_shard_without_a_session_to_wait_for_its_permit_and_send_nothing(drive):
    shard = drive()
    shard.connect()

    assert shard.state is ShardState.AWAITING_PERMIT
    assert shard.take() == []


def test_a_permit_sends_identify_and_reports_it_used(drive, effects):
    shard = drive(presence={"status": "online", "activities": [], "since": None, "afk": False})
    shard.connect()

    assert shard.protocol.permit(shard.now)
    assert shard.state is ShardState.IDENTIFYING
    taken = shard.take()
    assert effects(taken) == ["Send", "IdentifySent"]
    message = json.loads(taken[0].payload)
    assert message["op"] == 2
    assert message["d"]["shard"] == [3, 16]
    assert message["d"]["intents"] == 513
    assert message["d"]["token"] == "MTk4.the-bots-token.zzz"
    assert message["d"]["presence"]["status"] == "online"
    assert set(message["d"]["properties"]) == {"os", "browser", "device"}


def test_identify_without_a_presence_has_no_such_key(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)

    (message,) = shard.sent()
    assert "presence" not in message["d"]


def test_ready_connects_and_is_forwarded_as_an_event(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    event = shard.ready(guilds=(1, 2))

    assert shard.state is ShardState.CONNECTED
    assert (event.type, event.seq, event.guild_id, event.shard_id) == ("READY", 1, None, 3)
    assert event.session_id == "a" * 32
    assert event.key == "a" * 32 + ":1"
    assert shard.protocol.problem is None


def test_a_permit_is_refused_in_every_state_but_awaiting_permit(drive):
    shard = drive()
    assert not shard.protocol.permit(shard.now)
    shard.protocol.start()
    assert not shard.protocol.permit(shard.now)
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.hello()
    assert shard.protocol.permit(shard.now)
    assert not shard.protocol.permit(shard.now), "a second one, while identifying"
    shard.ready()
    assert not shard.protocol.permit(shard.now), "while connected"
    assert [message["op"] for message in shard.sent()] == [2]


def test_an_event_before_ready_closes_the_connection(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    shard.take()

    assert shard.event("MESSAGE_CREATE", s=1) is None
    assert shard.state is ShardState.DISCONNECTED
    assert shard.take() == [Close(CLOSE_RESUMABLE)]


@pytest.mark.parametrize(
    "data",
    [{}, {"session_id": "x"}, {"session_id": 5, "resume_gateway_url": "wss://x"}, None, [], "READY"],
)
def test_a_ready_that_names_no_session_closes_the_connection(drive, data):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    shard.take()
    shard.hear(0, data, s=1, t="READY")

    assert shard.state is ShardState.DISCONNECTED
    assert shard.protocol.session is None
    assert shard.take() == [Close(CLOSE_RESUMABLE)]


# Deadlines.


def test_a_dial_without_hello_is_given_up(drive):
    shard = drive()
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)

    assert shard.wait_for_timer() == HELLO_TIMEOUT
    assert shard.state is ShardState.DISCONNECTED
    assert "connecting" in shard.protocol.problem
    assert shard.take() == [Close(CLOSE_RESUMABLE)]


def test_an_identify_without_an_answer_is_given_up(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    for _ in range(1000):
        if shard.state is ShardState.DISCONNECTED:
            break
        shard.wait_for_timer()
        shard.hear(11)

    assert shard.now == 1000.0 + ANSWER_TIMEOUT
    assert shard.take()[-1] == Close(CLOSE_RESUMABLE)


def test_a_resume_is_given_up_only_when_nothing_is_replayed_for_long(drive):
    shard = drive().identify()
    shard.lose()
    shard.connect()
    for part in (30, 29):
        shard.wait(part)
        shard.hear(11)
    shard.event("TYPING_START", s=2)
    for part in (30, 29):
        shard.wait(part)
        shard.hear(11)
    assert shard.state is ShardState.RESUMING
    shard.wait(2)

    assert shard.state is ShardState.DISCONNECTED


# Asked by Discord.


def test_op_7_closes_resumably_and_resumes_at_once(drive):
    shard = drive().identify()
    shard.wait(15)
    shard.take()
    shard.hear(7)

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    assert shard.state is ShardState.DISCONNECTED
    assert shard.wait_for_timer() == 0.0
    assert shard.take() == [Connect(RESUME, to_identify=False)]


def test_op_7_instead_of_hello_is_obeyed(drive):
    shard = drive()
    shard.protocol.start()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.hear(7)

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    assert shard.wait_for_timer() > 0
    assert shard.take() == [Connect(MAIN, to_identify=True)]


@pytest.mark.parametrize("seed", range(20))
def test_op_9_false_ends_the_session_and_waits_one_to_five_seconds(drive, seed):
    shard = drive(seed=seed).identify()
    shard.wait(15)
    shard.take()
    shard.hear(9, d=False)

    ended, close = shard.take()
    assert isinstance(ended, SessionEnded)
    assert close == Close(CLOSE_RESUMABLE)
    assert 1 <= shard.wait_for_timer() <= 5
    assert shard.take() == [Connect(MAIN, to_identify=True)]


def test_op_9_true_keeps_the_session_and_waits_one_to_five_seconds(drive):
    shard = drive().identify()
    shard.wait(15)
    shard.take()
    shard.hear(9, d=True)

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    assert 1 <= shard.wait_for_timer() <= 5
    assert shard.take() == [Connect(RESUME, to_identify=False)]


@pytest.mark.parametrize("d", [None, 1, "true", {}, []])
def test_op_9_that_does_not_say_true_is_taken_as_false(drive, d):
    shard = drive().identify()
    shard.hear(9, d)

    assert shard.protocol.session is None


def test_op_9_to_an_identify_makes_the_shard_ask_for_another_permit(drive):
    shard = drive()
    shard.connect()
    shard.protocol.permit(shard.now)
    shard.take()
    shard.hear(9, d=False)

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    shard.connect()
    assert shard.state is ShardState.AWAITING_PERMIT


def test_a_second_hello_closes_the_connection(drive):
    shard = drive().identify()
    shard.hello()

    assert shard.take() == [Close(CLOSE_RESUMABLE)]


@pytest.mark.parametrize("op", [2, 3, 4, 5, 6, 8, 12, 31, 43, 99, -1])
def test_an_unknown_op_is_ignored(drive, op):
    shard = drive().identify()
    shard.hear(op, {"whatever": 1})

    assert shard.state is ShardState.CONNECTED
    assert shard.take() == []


# Stopping.


def test_stop_closes_resumably_and_is_final(drive):
    shard = drive().identify()
    shard.protocol.stop()

    assert shard.take() == [Close(CLOSE_RESUMABLE)]
    assert CLOSE_RESUMABLE not in (1000, 1001)
    shard.protocol.connection_closed(None, shard.now)
    shard.wait(100_000)
    assert shard.state is ShardState.DISCONNECTED
    assert shard.take() == []
    assert shard.protocol.session.session_id == "a" * 32, "the last report still names it"


def test_stop_between_connections_closes_nothing(drive):
    shard = drive().identify()
    shard.lose()
    shard.take()
    shard.protocol.stop()

    assert shard.take() == []
    assert shard.protocol.timer is None


def test_stop_while_dialling_makes_the_late_failure_harmless(drive):
    shard = drive()
    shard.protocol.start()
    shard.take()
    shard.protocol.stop()
    shard.take()
    shard.protocol.dialling(shard.now)
    shard.protocol.connection_failed("late", shard.now)

    assert shard.protocol.timer is None
    assert shard.take() == []
