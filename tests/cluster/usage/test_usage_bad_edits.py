"""What only the operator can see to be wrong: it says so, and what runs goes on; and it is mended."""

import json

import pytest
from asperson import manifests
from asperson.person import OPERATOR

BAD_CRON = {"reshard": {"window": {"cron": "99 3 * * *", "duration": "2h"}}}
"""Five fields, as the definition asks; that there is no minute 99 it cannot know."""

BAD_TEMPLATE = {"template": {"spec": {"nodeSelector": {"bad key!": "x"}}}}
FORBIDDEN_TEMPLATE = {"template": {"spec": {"containers": [{"name": "other", "image": "localhost/pause:1"}]}}}
"""Valid, but a container without the security settings that Pod Security `restricted` wants."""

MENDED = {"reshard": {"window": None}, "template": None}


@pytest.fixture(scope="module")
def several(person, bot):
    """All gateways of these tests, so that they come up at the same time.

    `edited` runs; `twin` has its token; `late` has no Secret; `part-0` and `part-1` divide the shards of one token.
    """
    where = person.operator
    try:
        person.applies(
            manifests.secret("edited", token="token-of-edited"),
            manifests.secret("parts", token="token-of-parts"),
            manifests.gateway("edited", where, shards=2, sharding={"shardsPerPod": 1}),
            manifests.gateway("late", where, shards=1),
        )
        # The others come later: this Discord takes all tokens for one bot's, whose identifies have to be 5 s apart.
        person.until_running("edited")
        person.applies(
            manifests.gateway("twin", where, token="edited"),
            manifests.gateway("part-0", where, token="parts", shards=4, sharding=part_of(0, 1)),
            manifests.gateway("part-1", where, token="parts", shards=4, sharding=part_of(2, 3)),
        )
        for part in ("part-0", "part-1"):
            person.until_running(part)  # tests compare identifies, which are all gateways'
        yield
    finally:
        person.until_gone("edited", "twin", "late", "part-0", "part-1")


@pytest.fixture
def edited(person, several):
    """The gateway that runs; after the test it does so again, whatever became of it."""
    yield "edited"
    person.changes("edited", MENDED)
    person.until_running("edited")


def part_of(first, last):
    return {"firstShardId": first, "lastShardId": last}


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (BAD_CRON, "InvalidSpec", 'not the text "99 3 * * *"'),
        (BAD_TEMPLATE, "TemplateRefused", 'nodeSelector: Invalid value: "bad key!"'),
    ],
    ids=["a value that breaks a rule", "a template that makes no valid pod"],
)
def test_an_edit_that_cannot_be_followed_is_told_and_touches_no_pod(person, edited, change, reason, words):
    pods = person.pods(edited)

    person.changes(edited, change)

    message = person.until_condition(edited, "Ready", "False", reason)
    assert words in message
    assert message.endswith("the shards run on with the settings before")
    assert f" {reason} " in person.types(f"kubectl get dgw {edited} -o wide")
    assert words in person.types(f"kubectl dgw status {edited}")
    warning = person.until(lambda: [one for one in person.events(edited) if one["reason"] == reason], "an Event of it")
    assert warning[0]["type"] == "Warning"
    assert words in warning[0]["message"]
    assert connected(person, of=2) == [0, 1]

    person.changes(edited, MENDED)

    person.until_condition(edited, "Ready", "True", "AllShardsConnected")
    assert person.pods(edited) == pods


def test_a_template_that_the_namespace_forbids_replaces_no_pod(person, edited):
    pods, identifies = person.pods(edited), identifies_of(person)

    person.changes(edited, FORBIDDEN_TEMPLATE)

    message = person.until_condition(edited, "Degraded", "True", "PodFailing")
    assert "its pod cannot be made" in message
    assert 'violates PodSecurity "restricted' in message
    assert person.condition(edited, "Ready")["status"] == "True"
    assert person.pods(edited) == pods

    person.changes(edited, MENDED)

    person.until_condition(edited, "Degraded", "False", "NothingWrong")
    person.until_running(edited)
    assert identifies_of(person) == identifies


def test_an_operator_that_begins_while_the_spec_is_wrong_lets_the_shards_run_on(person, edited):
    pods, identifies = person.pods(edited), identifies_of(person)
    term = person.term(edited)
    person.changes(edited, BAD_CRON)
    person.until_condition(edited, "Ready", "False", "InvalidSpec")

    person.cluster.kubectl("delete", "pods", "-l", OPERATOR, "--wait=false", namespace=person.operator)

    person.until(lambda: person.term(edited) > term, "another operator to take the gateway up")
    message = person.until_condition(edited, "Ready", "False", "InvalidSpec")
    assert message.endswith("the shards run on with the settings before")
    assert connected(person, of=2) == [0, 1]
    person.changes(edited, MENDED)
    person.until_condition(edited, "Ready", "True", "AllShardsConnected")
    assert person.pods(edited) == pods
    assert identifies_of(person) == identifies


def test_a_second_gateway_with_the_token_of_another_is_refused_and_told_whose_it_is(person, several):
    message = person.until_condition("twin", "Ready", "False", "TokenInUse")

    assert f"the DiscordGateway {person.bots}/edited runs with the same token already" in message
    assert "give this one another bot's token, or each its part" in message
    assert person.pods("twin") == {}
    assert person.condition("edited", "Ready")["status"] == "True"


def test_two_gateways_may_each_hold_a_part_of_one_set(person, several):
    for one in (0, 1):
        person.until_running(f"part-{one}")

    assert connected(person, of=4) == [0, 1, 2, 3]
    assert [person.gateway(f"part-{one}")["status"]["readyShards"] for one in (0, 1)] == [2, 2]


def test_a_gateway_waits_for_its_secret_and_says_for_which(person, several):
    message = person.until_condition("late", "Ready", "False", "SecretMissing")
    assert f"there is no Secret late in namespace {person.bots}" in message
    assert person.pods("late") == {}

    person.applies(manifests.secret("late", tokn="token-of-late"))
    message = person.until_condition("late", "Ready", "False", "SecretKeyMissing")
    assert "Secret late has no key token; it has tokn" in message

    person.applies(manifests.secret("late", token="token-of-late"))
    person.until_running("late")
    assert "token-of-late" not in json.dumps([person.gateway("late")["status"], person.events("late")])


def identifies_of(person):
    """Of all gateways so far, by Discord's count."""
    return person.asks_discord("ledger/summary")["identifies"]


def connected(person, *, of):
    """The shards of the set of that size whose sessions have a connection, by Discord's word."""
    sessions = (one for one in person.asks_discord("sessions") if one["connected"])
    return sorted(shard for shard, count in (one["shard"] for one in sessions) if count == of)
