"""Sessions and events of the whole bot: budget, routing, intents, faults."""

import pytest

from discord_simulator import Fault, LoadSettings, UnknownTargetError
from discord_simulator.events import EventDraft
from discord_simulator.faults import find_sessions
from discord_simulator.intents import Intent
from discord_simulator.scenario import LoadRunningError, Scenario
from discord_simulator.session import SessionState
from discord_simulator.snowflakes import shard_of


def draft(guild_id, event_type="MESSAGE_CREATE"):
    return EventDraft(event_type, guild_id, {"content": "hi"}, 0)


def last_row(here):
    return list(here.discord.ledger.rows())[-1]


def test_an_event_goes_to_the_matching_session_of_every_shard_set_with_one_number(world):
    here = world()
    small = [here.new_session((shard_id, 2)) for shard_id in range(2)]
    large = [here.new_session((shard_id, 3)) for shard_id in range(3)]

    for guild_id in here.discord.guilds.ids:
        event = here.discord.publish(draft(guild_id))

        receivers = [small[shard_of(guild_id, 2)], large[shard_of(guild_id, 3)]]
        assert last_row(here)[4] == [(session.id, session.seq) for session, _, _ in receivers]
        assert [outlet.last["d"]["event_number"] for _, _, outlet in receivers] == [event.number] * 2


def test_two_sessions_of_the_same_shard_both_get_the_event(world):
    here = world()
    first, _, _ = here.new_session()
    second, _, _ = here.new_session()

    here.discord.publish(draft(here.discord.guilds.ids[0]))

    assert [session_id for session_id, _ in last_row(here)[4]] == [first.id, second.id]


def test_events_without_a_guild_go_to_shard_0_of_each_set(world):
    here = world()
    sessions = {shard: here.new_session(shard)[0] for shard in [(0, 2), (1, 2), (0, 3), (2, 3)]}

    here.discord.publish(draft(None))

    assert {session_id for session_id, _ in last_row(here)[4]} == {sessions[0, 2].id, sessions[0, 3].id}


def test_an_event_nobody_is_there_for_is_unrouted(world):
    here = world()

    here.discord.publish(draft(here.discord.guilds.ids[0]))

    assert (here.discord.ledger.sent, here.discord.ledger.unrouted) == (0, 1)
    assert last_row(here)[4] == []


@pytest.mark.parametrize(
    ("event_type", "in_guild", "intent"),
    [
        ("MESSAGE_CREATE", True, Intent.GUILD_MESSAGES),
        ("MESSAGE_CREATE", False, Intent.DIRECT_MESSAGES),
        ("PRESENCE_UPDATE", True, Intent.GUILD_PRESENCES),
        ("GUILD_MEMBER_ADD", True, Intent.GUILD_MEMBERS),
        ("TYPING_START", True, Intent.GUILD_MESSAGE_TYPING),
    ],
)
def test_an_event_needs_its_intent(world, event_type, in_guild, intent):
    here = world()
    _, _, without = here.new_session(intents=0)
    _, _, with_it = here.new_session(intents=int(intent))

    here.discord.publish(draft(here.discord.guilds.ids[0] if in_guild else None, event_type))

    assert without.dispatched(event_type) == []
    assert len(with_it.dispatched(event_type)) == 1


@pytest.mark.parametrize("event_type", ["INTERACTION_CREATE", "ENTITLEMENT_CREATE", "USER_UPDATE"])
def test_some_events_need_no_intent(world, event_type):
    here = world()
    _, _, outlet = here.new_session(intents=0)

    here.discord.publish(draft(None, event_type))

    assert len(outlet.dispatched(event_type)) == 1


def test_without_the_guilds_intent_no_guild_is_created(world):
    here = world()

    _, _, outlet = here.new_session(intents=int(Intent.GUILD_MESSAGES))

    assert outlet.dispatched("GUILD_CREATE") == []
    assert here.discord.ready_sessions() == 1


def test_an_ended_session_gets_nothing_and_a_waiting_one_is_buffered_for(world):
    here = world()
    ended, ending, _ = here.new_session()
    waiting, leaving, _ = here.new_session()
    ending.lost(1000, here.now)
    leaving.lost(None, here.now)

    here.discord.publish(draft(here.discord.guilds.ids[0]))

    assert last_row(here)[4] == [(waiting.id, waiting.seq)]
    assert ended.state is SessionState.ENDED


def test_guilds_keep_streaming_into_the_buffer_of_a_session_that_lost_its_socket(world):
    here = world()
    connection, _ = here.connect()
    here.identify(connection)
    session = connection.session
    connection.lost(None, here.now)
    here.now += 5.0
    here.discord.tick(here.now)

    connection, outlet = here.connect()
    here.resume(connection, session.id, 1)

    assert len(outlet.dispatched("GUILD_CREATE")) == 8


def test_spending_the_budget_ends_every_session_and_kills_the_token(world):
    here = world(identify_remaining=2, max_concurrency=16)
    sessions = [here.new_session((shard_id, 4)) for shard_id in range(2)]
    connection, outlet = here.connect()

    here.identify(connection, (2, 4))

    assert outlet.closed == 4004
    assert [victim.closed for _, _, victim in sessions] == [4004, 4004]
    assert [session.state for session, _, _ in sessions] == [SessionState.ENDED] * 2
    late, late_outlet = here.connect()
    here.identify(late, (3, 4))
    assert late_outlet.closed == 4004
    assert not here.discord.token_valid("simulator-token")
    assert [violation.rule for violation in here.discord.ledger.violations] == ["identify-budget", "token"]


@pytest.mark.parametrize(("charged", "remaining"), [(True, 8), (False, 9)])
def test_a_refused_identify_is_charged_unless_the_settings_say_otherwise(world, charged, remaining):
    here = world(identify_remaining=10, charge_refused_identifies=charged)
    for _ in range(2):
        connection, _ = here.connect()
        here.identify(connection)

    assert here.discord.budget.remaining(here.now) == remaining


def test_sessions_are_found_by_id_and_by_shard(world):
    here = world()
    first, _, _ = here.new_session((0, 2))
    second, _, _ = here.new_session((0, 2))

    assert find_sessions(here.discord, first.id) == [first]
    assert find_sessions(here.discord, "0/2") == [first, second]
    with pytest.raises(UnknownTargetError, match="0/3"):
        find_sessions(here.discord, "0/3")


@pytest.mark.parametrize(
    ("fault", "resumable", "state"),
    [
        (Fault.TCP_RESET, True, SessionState.DISCONNECTED),
        (Fault.TCP_RESET, False, SessionState.ENDED),
        (Fault.CLOSE, True, SessionState.DISCONNECTED),
        (Fault.CLOSE, False, SessionState.ENDED),
        (Fault.RECONNECT, True, SessionState.CONNECTED),
        (Fault.INVALID_SESSION, True, SessionState.DISCONNECTED),
        (Fault.INVALID_SESSION, False, SessionState.ENDED),
        (Fault.HEARTBEAT_REQUEST, True, SessionState.CONNECTED),
    ],
)
def test_a_fault_leaves_the_session_resumable_or_ends_it(world, fault, resumable, state):
    here = world()
    session, _, outlet = here.new_session()

    Scenario(here.discord).kill(session.id, fault, code=4009, resumable=resumable, now=here.now)

    assert session.state is state
    assert outlet.aborted is (fault is Fault.TCP_RESET)
    assert outlet.closed == (4009 if fault is Fault.CLOSE else None)
    sent = {Fault.RECONNECT: (7, None), Fault.INVALID_SESSION: (9, resumable), Fault.HEARTBEAT_REQUEST: (1, None)}
    if fault in sent:
        assert (outlet.last["op"], outlet.last["d"]) == sent[fault]


def test_a_client_that_ignores_op_7_is_closed_after_five_seconds(world):
    here = world()
    session, connection, outlet = here.new_session()
    here.send(connection, 1, None)
    connection.ask_to_reconnect(here.now)

    connection.tick(here.now + 4.9)
    assert outlet.closed is None
    connection.tick(here.now + 5.0)

    assert outlet.closed == 4000
    assert session.state is SessionState.DISCONNECTED


def test_load_begins_by_itself_when_enough_sessions_are_ready(world):
    here = world(load=LoadSettings(rate=100, events=10), start_load_after=1)
    scenario = Scenario(here.discord)
    scenario.tick(0.0)
    assert scenario.load is None

    here.new_session()
    scenario.tick(here.now)
    scenario.tick(here.now + 1.0)

    assert scenario.describe_load() == {"running": False, "done": True, "published": 10, "total": 10}


def test_the_journal_tells_the_life_of_a_session_step_by_step(world):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)
    connection, _ = here.connect()
    here.resume(connection, session.id, session.seq)
    here.identify(connection)

    assert here.journal.told == [
        "session begun", "session disconnected", "session resumed", "rule broken: already-authenticated",
        "session ended",
    ]  # fmt: skip


def test_there_is_one_load_at_a_time(world):
    scenario = Scenario(world().discord)
    scenario.start_load(LoadSettings(rate=1), 0.0)
    with pytest.raises(LoadRunningError):
        scenario.start_load(LoadSettings(rate=1), 0.0)

    scenario.stop_load()
    scenario.start_load(LoadSettings(rate=1), 0.0)

    assert scenario.describe_load()["running"] is True
