"""`kubectl dgw dead-letters`: what is asked of which pods, and what is said of their answers."""

import json

import pytest
from click.testing import CliRunner

from gateway_operator.command import main as discord_gateway

LETTER = {
    "key": "session:7",
    "shardId": 1,
    "type": "MESSAGE_CREATE",
    "guildId": "81384788765712384",
    "problem": "[400] the bot does not want it",
    "attempts": 10,
    "diedAt": 1767268800.5,
    "bytes": 1234,
}
FIRST, SECOND = "mybot-e1-0-1-x7", "mybot-e1-2-3-y8"


def row(instance, dead_letters):
    place = {"name": instance[:12], "instance": instance, "role": "active", "range": {"firstShardId": 0}}
    place["range"]["lastShardId"] = 1
    return place | {"upToDate": True, "connected": True, "ready": True, "deadLetters": dead_letters}


@pytest.fixture
def letters(cluster):
    """Two pods with a letter each, and one without any."""
    cluster.letters = {FIRST: [LETTER], SECOND: [{**LETTER, "key": "session:9", "guildId": None}]}
    pods = [row(FIRST, 1), row("mybot-e1-4-5-z9", 0), row(SECOND, 1)]
    cluster.gateways["bots", "mybot"]["status"] |= {"deadLetters": 2, "pods": pods}
    return cluster.letters


def test_those_of_all_pods_that_have_any_are_listed(cluster, letters, dgw):
    result = dgw("dead-letters", "list")

    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["KEY", "session:7", "session:9"]
    asked = ["dead-letters", "list"]
    assert sorted(cluster.done) == [
        (FIRST, "discord-gateway-shardpod", asked),
        (SECOND, "discord-gateway-shardpod", asked),
    ]
    assert cluster.tokens == {"Bearer her-token"}


def test_json_is_for_programs(letters, dgw):
    found = json.loads(dgw("dead-letters", "list", "mybot", "-n", "bots", "-o", "json").stdout)["deadLetters"]

    assert found[0] == LETTER
    assert found[1]["key"] == "session:9"


def test_discord_gateway_with_a_namespace_asks_the_same(letters):
    result = CliRunner().invoke(discord_gateway, ["dead-letters", "list", "mybot", "-n", "bots"])

    assert "session:9" in result.stdout


def test_that_there_are_none_is_said_and_no_pod_asked(cluster, dgw):
    assert dgw("dead-letters", "list").stdout == "no dead letters: the bot took every event\n"
    assert cluster.done == []


@pytest.mark.parametrize(("what", "words"), [("replay", "queued for delivery"), ("discard", "deleted")])
def test_all_are_decided_upon_at_every_pod(cluster, letters, dgw, what, words):
    assert dgw("dead-letters", what, "mybot", "--all").stdout == f"2 dead letters {words}\n"
    assert sorted((pod, arguments) for pod, _, arguments in cluster.done) == [
        (FIRST, ["dead-letters", what, "--all"]),
        (SECOND, ["dead-letters", what, "--all"]),
    ]


def test_those_of_some_keys_are_decided_upon_and_a_key_that_is_none_is_said(letters, dgw):
    result = dgw("dead-letters", "replay", "--key", "session:9", "--key=-11")

    assert result.stdout == "1 dead letter queued for delivery\n"
    assert result.exit_code == 2
    assert result.stderr.startswith("1 of the keys given are not among the dead letters, or cannot be delivered now: ")


def test_a_thousand_keys_are_asked_for_in_parts_and_each_counts_once(cluster, letters, dgw):
    keys = [f"--key=session:{number}" for number in range(1000)]
    result = dgw("dead-letters", "discard", *keys)

    assert result.stdout == "2 dead letters deleted\n"
    assert len(cluster.done) == 20
    assert {len(arguments) for _, _, arguments in cluster.done} == {102}


def test_who_may_not_run_commands_in_pods_is_told_what_is_missing(cluster, letters, dgw):
    cluster.forbidden = {"create pods/exec"}
    result = dgw("dead-letters", "list")

    assert result.exit_code == 2
    assert "you may not create pods/exec in namespace bots" in result.stderr


def test_a_pod_that_is_gone_meanwhile_is_named(letters, dgw):
    del letters[SECOND]
    result = dgw("dead-letters", "list")

    assert result.exit_code == 3
    assert result.stderr == f"{SECOND} is not there any more: it has just been replaced, so try again\n"


def test_what_a_pod_complains_of_is_said_with_its_name(letters, dgw):
    letters[SECOND] = None
    result = dgw("dead-letters", "list")

    assert result.exit_code == 2
    assert result.stderr == f"{SECOND}: the pod does not answer: [Errno 111] Connection refused\n"


def test_without_the_operator_it_is_said_that_it_knows_the_pods(cluster, letters, dgw):
    reason = cluster.has_no_leader()
    result = dgw("dead-letters", "list")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"which pods have dead letters is known to the operator: {reason}")


def test_a_state_directory_is_not_of_a_cluster(letters, dgw, tmp_path):
    result = dgw("dead-letters", "list", "--state-dir", str(tmp_path))

    assert result.exit_code == 2
    assert "--state-dir is about this machine" in result.stderr
