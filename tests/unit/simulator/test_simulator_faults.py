"""Faults on request, on the pure core: what each does to sessions, connections and logins."""

import pytest

from discord_simulator.events import EventDraft
from discord_simulator.fault_requests import catalogue, read_fault
from discord_simulator.scenario import Scenario
from discord_simulator.session import SessionState
from discord_simulator.wrong_input import WrongInputError


def inject(here, fault, **fields):
    return Scenario(here.discord).inject(read_fault({"fault": fault} | fields), here.now)


def test_heal_ends_what_lasts(world):
    here = world()
    session, connection, outlet = here.new_session()
    for fault, fields in {"drop": {}, "vary": {}, "delay": {"seconds": 5}, "no-ack": {}, "stall": {}}.items():
        inject(here, fault, **fields)

    inject(here, "heal")
    here.discord.publish(EventDraft("MESSAGE_CREATE", here.discord.guilds.ids[0], {"content": "hi"}))
    here.send(connection, 1, None)

    assert (outlet.last["op"], outlet.manner.stalled, session.delay) == (11, False, 0.0)
    assert [payload["d"]["content"] for payload in outlet.dispatched("MESSAGE_CREATE")] == ["hi"]


def test_missing_acks_are_missing_on_this_connection_only_and_for_a_time(world):
    here = world()
    session, connection, outlet = here.new_session()
    inject(here, "no-ack", seconds=30)
    here.send(connection, 1, None)
    assert outlet.last["op"] == 0
    again, again_outlet = here.connect()
    here.resume(again, session.id, session.seq)
    here.send(again, 1, None)

    assert again_outlet.last["op"] == 11


def test_a_stall_ends_by_itself(world):
    here = world()
    _, connection, outlet = here.new_session()
    here.send(connection, 1, None)
    inject(here, "stall", seconds=3)
    connection.tick(here.now + 2.9)
    assert outlet.manner.stalled

    connection.tick(here.now + 3.0)

    assert not outlet.manner.stalled


def test_a_half_open_connection_hears_nothing_and_is_reset_after_a_missed_heartbeat(world):
    here = world(heartbeat_interval_ms=10_000)
    session, connection, outlet = here.new_session()
    here.send(connection, 1, None)
    inject(here, "half-open")
    here.now += 10.0
    here.send(connection, 1, None)
    assert session.state is SessionState.CONNECTED

    connection.tick(here.now + 5.1)

    assert (outlet.aborted, outlet.closed) == (True, None)
    assert session.state is SessionState.DISCONNECTED


def test_an_overflow_on_request_makes_the_next_resume_invalid(world):
    here = world()
    session, connection, _ = here.new_session()
    inject(here, "replay-overflow")
    connection.lost(None, here.now)
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq)

    assert (outlet.last["op"], outlet.last["d"]) == (9, False)


@pytest.mark.parametrize(
    ("mode", "ops", "closed"),
    [("reconnect-first", [7, 10], 4000), ("reconnect-instead", [7], 4000), ("never", [], None)],
)
def test_the_next_connection_is_greeted_as_asked_and_the_one_after_as_usual(world, mode, ops, closed):
    here = world()
    inject(here, "hello", mode=mode)

    connection, outlet = here.connect()
    connection.tick(here.now + 5.0)
    _, usual = here.connect()

    assert [payload["op"] for payload in outlet.sent] == ops
    assert outlet.closed == closed
    assert [payload["op"] for payload in usual.sent] == [10]


@pytest.mark.parametrize("code", [4000, 4001, 4002, 4003, 4004, 4005, 4007, 4008, 4009, *range(4010, 4015)])
def test_every_close_code_comes_on_request_and_ends_the_session_where_discords_would(world, code):
    here = world()
    session, _, outlet = here.new_session()

    inject(here, "close", code=code)

    assert outlet.closed == code
    survives = code in {4000, 4001, 4002, 4008}
    assert session.state is (SessionState.DISCONNECTED if survives else SessionState.ENDED)


def test_a_login_is_refused_as_asked(world):
    here = world()
    inject(here, "refuse-login", code=4014, target="0/2")
    refused, refused_outlet = here.connect()
    other, other_outlet = here.connect()
    here.identify(other, (1, 2))
    here.identify(refused, (0, 2))

    assert (other_outlet.last["t"], refused_outlet.closed) == ("READY", 4014)
    assert here.discord.ledger.incidents[-1].rule == "refused-on-request"
    assert list(here.discord.ledger.violations) == []


@pytest.mark.parametrize("resumable", [True, False])
def test_a_resume_can_be_answered_with_invalid_session(world, resumable):
    here = world()
    session, connection, _ = here.new_session()
    connection.lost(None, here.now)
    inject(here, "refuse-login", code=9, resumable=resumable)
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq)
    assert (outlet.last["op"], outlet.last["d"]) == (9, resumable)
    here.resume(connection, session.id, session.seq)

    assert (outlet.last["t"] == "RESUMED") is resumable


def test_a_dead_resume_host_is_named_to_new_sessions(world):
    here = world()
    inject(here, "dead-resume-host")
    _, _, outlet = here.new_session()
    inject(here, "heal")
    _, _, healed = here.new_session()

    assert outlet.dispatched("READY")[0]["d"]["resume_gateway_url"] == "ws://simulated:1"
    assert healed.dispatched("READY")[0]["d"]["resume_gateway_url"] == "ws://simulated"


def test_what_a_resume_does_to_a_live_connection_is_switched_while_it_runs(world):
    here = world()
    session, _, _ = here.new_session()
    inject(here, "live-resume", mode="refuse")
    connection, outlet = here.connect()

    here.resume(connection, session.id, session.seq)

    assert outlet.last["op"] == 9


def test_an_intent_withdrawn_while_it_runs_is_4014_at_the_next_identify(world):
    here = world()
    here.new_session()
    inject(here, "rules", granted_intents=0, remaining=1)
    here.now += 5.0
    connection, outlet = here.connect()
    here.identify(connection)

    assert outlet.closed == 4014
    assert here.discord.budget.remaining(here.now) == 1


def test_the_ledger_tells_what_was_asked_for_and_whom_it_met(world):
    here = world()
    session, _, _ = here.new_session()

    inject(here, "drop", target="0/1", events=["TYPING_START"], share=0.5)

    (record,) = here.discord.ledger.faults
    assert (record.at, record.met) == (here.now, {"sessions": [session.id]})
    assert (record.request["fault"], record.request["events"], record.request["share"]) == (
        "drop", ("TYPING_START",), 0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "field", "allowed"),
    [
        ({}, "fault", "tcp-reset"),
        ({"fault": "explode"}, "fault", "half-open"),
        ({"fault": ["drop"]}, "fault", "drop"),
        ({"fault": "drop", "share": 2}, "share", "up to 1"),
        ({"fault": "drop", "shre": 1}, "shre", "share"),
        ({"fault": "close", "code": 99}, "code", "1000 to 4999"),
        ({"fault": "refuse-login", "code": 7}, "code", "9 for Invalid Session"),
        ({"fault": "gateway-bot", "status": 200}, "status", "500 to 599"),
        ({"fault": "gateway-bot", "status": 404}, "status", "500 to 599"),
        ({"fault": "split", "into": "crumbs"}, "into", "messages"),
        ({"fault": "hello"}, "mode", "reconnect-first"),
    ],
)
def test_a_wrong_fault_is_told_with_its_field_and_what_is_allowed(asked, field, allowed):
    with pytest.raises(WrongInputError) as error:
        read_fault(asked)

    assert error.value.field == field
    assert allowed in str(error.value)


def test_a_refusal_for_something_that_is_no_shard_is_told(world):
    with pytest.raises(WrongInputError, match="target: 'x' is no shard"):
        inject(world(), "refuse-login", code=4004, target="x")


def test_every_fault_says_what_each_of_its_fields_may_be():
    for name, allowed in catalogue().items():
        with pytest.raises(WrongInputError) as error:
            read_fault({"fault": name, "no_such_field": 1})
        assert error.value.allowed == allowed
