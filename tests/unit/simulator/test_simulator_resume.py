"""Which sessions can be resumed, and what a Resume brings, on the pure core."""

import pytest

from discord_simulator import LiveResume
from discord_simulator.events import EventDraft
from discord_simulator.session import SessionState


def draft(guild_id, event_type="MESSAGE_CREATE"):
    return EventDraft(event_type, guild_id, {"guild_id": str(guild_id), "content": "hi"}, 1)


def test_a_resume_replays_what_was_missed_and_ends_with_resumed(world):
    here = world()
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(4000, here.now)
    for guild_id in here.discord.guilds.ids:
        here.discord.publish(draft(guild_id))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    replayed = outlet.sent[1:]
    assert [payload["s"] for payload in replayed] == list(range(seen + 1, seen + 10))
    assert [payload["t"] for payload in replayed] == ["MESSAGE_CREATE"] * 8 + ["RESUMED"]
    assert here.discord.ledger.resumes == 1


def test_a_resume_from_a_sequence_never_sent_is_closed_with_4007(world):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)

    connection, outlet = here.connect()
    here.resume(connection, session.id, session.seq + 1)

    assert outlet.closed == 4007
    assert session.state is SessionState.ENDED


def test_a_resume_past_the_replay_buffer_is_invalid_and_not_resumable(world):
    here = world(replay_size=10)
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(None, here.now)
    for _ in range(11):
        here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.last == {"t": None, "s": None, "op": 9, "d": False}
    assert outlet.closed is None
    assert [incident.rule for incident in here.discord.ledger.incidents] == ["replay-overflow"]


def test_a_resume_that_just_fits_the_replay_buffer_succeeds(world):
    here = world(replay_size=10)
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]
    connection.lost(None, here.now)
    for _ in range(10):
        here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.last["t"] == "RESUMED"


@pytest.mark.parametrize(("away", "op"), [(89.9, 0), (90.0, 9)])
def test_a_session_can_be_resumed_for_ninety_seconds(world, away, op):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)
    here.now += away
    here.discord.tick(here.now)

    connection, outlet = here.connect()
    here.resume(connection, session.id, session.seq)

    assert outlet.last["op"] == op


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clients_normal_close_ends_its_session(world, code):
    session, connection, _ = (here := world()).new_session()

    connection.lost(code, here.now)

    assert session.state is SessionState.ENDED


@pytest.mark.parametrize("code", [None, 1005, 4000, 4900])
def test_any_other_close_of_a_client_keeps_its_session(world, code):
    session, connection, _ = (here := world()).new_session()

    connection.lost(code, here.now)

    assert session.state is SessionState.DISCONNECTED


def test_a_resume_with_a_wrong_token_is_closed_with_4004_and_harms_nobody(world):
    here = world()
    session, _, _ = here.new_session()
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq, token="wrong")

    assert outlet.closed == 4004
    assert session.state is SessionState.CONNECTED


def test_a_resume_of_a_connected_session_closes_the_older_connection(world):
    here = world()
    session, older, older_outlet = here.new_session()
    newer, newer_outlet = here.connect()

    here.resume(newer, session.id, session.seq)
    older.lost(None, here.now)

    assert older_outlet.closed == 4000
    assert newer_outlet.last["t"] == "RESUMED"
    assert session.state is SessionState.CONNECTED


def test_a_resume_of_a_connected_session_is_refused_when_the_settings_say_so(world):
    here = world(live_resume=LiveResume.REFUSE)
    session, _, older_outlet = here.new_session()
    newer, newer_outlet = here.connect()

    here.resume(newer, session.id, session.seq)

    assert older_outlet.closed is None
    assert newer_outlet.last["op"] == 9
    assert session.state is SessionState.CONNECTED


def test_a_delay_holds_back_replay_and_replies_of_its_session(world):
    here = world()
    session, connection, _ = here.new_session()
    seen = session.seq
    session.delay = 0.5
    connection.lost(None, here.now)
    here.discord.publish(draft(here.discord.guilds.ids[0]))

    connection, outlet = here.connect()
    here.resume(connection, session.id, seen)

    assert outlet.delays == [0.0, 0.5, 0.5]  # Hello, the replayed event, RESUMED


def test_a_gap_lasts_from_the_loss_of_the_socket_to_the_next_resume_and_the_longest_is_told(world):
    here = world()
    session, connection, outlet = here.new_session()
    seen = outlet.last["s"]

    lost_at = []
    for away in (2.0, 0.5):
        connection.lost(None, here.now)
        lost_at.append(here.now)
        here.now += away
        connection, outlet = here.connect()
        here.resume(connection, session.id, seen)
        here.now += 10.0

    assert session.gaps == [(lost_at[0], 2.0), (lost_at[1], 0.5)]
    assert here.discord.ledger.summary()["sessions"][session.id]["longest_gap"] == 2.0
    assert here.discord.ledger.longest_gap(since=lost_at[1]) == 0.5


def test_a_session_that_never_lost_its_socket_and_one_resumed_while_it_has_one_have_no_gap(world):
    here = world()
    session, _, outlet = here.new_session()
    here.now += 3.0

    connection, _ = here.connect()
    here.resume(connection, session.id, outlet.last["s"])

    assert session.gaps == []
    assert here.discord.ledger.summary()["sessions"][session.id]["longest_gap"] == 0.0
