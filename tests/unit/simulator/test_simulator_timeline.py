"""Faults by a script: read whole, checked before anything happens, done in time."""

import json

import pytest

from discord_simulator import WrongInputError, load_timeline, read_timeline
from discord_simulator.scenario import Scenario


def faults(here):
    return [(record.at, record.request["fault"]) for record in here.discord.ledger.faults]


def test_faults_happen_at_their_times_from_the_start_of_the_timeline(world):
    here = world()
    session, _, _ = here.new_session()
    scenario = Scenario(here.discord)
    scenario.play(
        read_timeline(
            [{"at": 2, "fault": "heal"}, {"at": 0, "fault": "delay", "seconds": 3, "target": session.id}],
        ),
        now=100.0,
    )

    scenario.tick(100.0)
    assert session.delay == 3.0
    scenario.tick(101.9)
    assert session.delay == 3.0
    scenario.tick(102.0)
    scenario.tick(103.0)

    assert faults(here) == [(100.0, "delay"), (102.0, "heal")]


def test_a_target_that_has_gone_by_then_is_noted_and_the_rest_goes_on(world):
    here = world()
    scenario = Scenario(here.discord)
    scenario.play(read_timeline([{"at": 1, "fault": "reconnect", "target": "0/9"}, {"at": 1, "fault": "heal"}]), 0.0)

    scenario.tick(1.0)

    assert [incident.rule for incident in here.discord.ledger.incidents] == ["timeline"]
    assert faults(here) == [(1.0, "heal")]


def test_a_timeline_of_the_settings_begins_when_the_sessions_are_ready(world):
    here = world(timeline=read_timeline([{"at": 1, "fault": "heal"}]), start_timeline_after=1)
    scenario = Scenario(here.discord)
    scenario.tick(0.0)
    here.new_session()
    scenario.tick(here.now)
    scenario.tick(here.now + 1.0)

    assert faults(here) == [(here.now + 1.0, "heal")]


def test_yaml_and_json_are_read_alike(tmp_path):
    entries = [{"at": 1.5, "fault": "drop", "events": ["TYPING_START"]}]
    as_json, as_yaml = tmp_path / "t.json", tmp_path / "t.yaml"
    as_json.write_text(json.dumps(entries))
    as_yaml.write_text("- at: 1.5\n  fault: drop\n  events: [TYPING_START]\n")

    assert load_timeline(as_json) == load_timeline(as_yaml) == read_timeline(entries)


@pytest.mark.parametrize(
    ("entries", "field", "allowed"),
    [
        ({"at": 1}, "", "a list of"),
        ([{"at": 1, "fault": "heal"}, "drop"], "[1]", "a list of"),
        ([{"fault": "heal"}], "[0].at", "0 or more"),
        ([{"at": -1, "fault": "heal"}], "[0].at", "0 or more"),
        ([{"at": float("nan"), "fault": "heal"}], "[0].at", "0 or more"),
        ([{"at": True, "fault": "heal"}], "[0].at", "0 or more"),
        ([{"at": 1}], "[0].fault", "tcp-reset"),
        ([{"at": 1, "fault": "drop", "share": 0}], "[0].share", "above 0"),
    ],
)
def test_a_wrong_timeline_names_the_entry_its_field_and_what_is_allowed(entries, field, allowed):
    with pytest.raises(WrongInputError) as error:
        read_timeline(entries)

    assert error.value.field == field
    assert allowed in str(error.value)


def test_a_file_that_is_no_yaml_is_told(tmp_path):
    path = tmp_path / "timeline.yaml"
    path.write_text("[")

    with pytest.raises(WrongInputError, match="neither YAML nor JSON"):
        load_timeline(path)
