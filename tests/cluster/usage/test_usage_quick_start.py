"""README.md's "On Kubernetes", typed as it stands; and the everyday life of the gateway that this makes."""

import json
import math
import re
import time

import pytest
from harness.kubectl import CommandFailedError

IDENTIFY_INTERVAL_S = 5.0
"""One identify for each bucket in that time (Discord's documentation, Rate limiting, max_concurrency)."""

ENDS_WITHIN_S = 90.0
"""Of 180 s that its pods would have to find a successor, had nobody told them that there is none."""

OWNED = "deployments,replicasets,pods,configmaps,secrets,poddisruptionbudgets,networkpolicies"


@pytest.fixture(scope="module")
def mybot(person, readme_commands):
    """The gateway by README's commands, Ready; torn down with all that was applied."""
    apply, wait, _logs = readme_commands[1:4]
    began = time.monotonic()
    try:
        person.types(apply)
        person.types(wait, timeout_s=360)
        tell_how_long_it_took(time.monotonic() - began, person.gateway("mybot")["status"])
        yield "mybot"
    finally:
        person.types(apply.replace("kubectl apply", "kubectl delete --ignore-not-found"))


def tell_how_long_it_took(seconds, status):
    least = math.ceil(status["shards"] / status["sessionStartLimit"]["maxConcurrency"]) * IDENTIFY_INTERVAL_S
    print(f"\n{status['shards']} shards: Ready {seconds:.0f} s after apply, and Discord's limit is {least:.0f} s")  # noqa: T201


def test_by_readmes_commands_events_arrive_at_the_bot(person, mybot, readme_commands):
    logs = readme_commands[3]

    line = person.until(lambda: re.search(r"[1-9][\d,]* events of 2 shards.*", person.types(logs)), "events to arrive")

    assert "0 of them twice" in line[0]
    assert "GUILD_CREATE" in line[0]


def test_get_shows_the_state_in_a_line(person, mybot):
    person.until(lambda: person.gateway(mybot)["status"]["phase"] == "Running", "the bot to take what waits for it")

    heading, line = person.types("kubectl get dgw mybot").splitlines()
    wide_heading, wide = person.types("kubectl get dgw mybot -o wide").splitlines()

    assert heading.split() == ["NAME", "SHARDS", "READY", "GUILDS", "PHASE", "EPOCH", "AGE"]
    assert re.fullmatch(r"mybot +2 +2 +400 +Running +1 +\w+ *", line)
    assert wide_heading.split()[-3:] == ["IDENTIFIES", "REASON", "AGE"]
    assert re.search(r" Running +1 +9\d\d +AllShardsConnected ", wide)


def test_describe_tells_conditions_and_events_in_words(person, mybot):
    # The condition Ready has the same words, above the Events.
    runs = r"\nEvents:(?s:.*)Normal +Running .* discord-gateway-operator +all 2 shards are connected"

    found = person.until(lambda: re.search(runs, person.types("kubectl describe dgw mybot")), "the Event that it runs")

    for words in ("nothing is wrong", "identifies are left", "AllShardsConnected", "Progressing"):
        assert words in found.string


def test_explain_tells_what_a_field_means(person):
    told = " ".join(person.types("kubectl explain dgw.spec.reshard").split())

    assert "When the number of shards changes by itself" in told
    assert "enum: fullestShard, average" in told


def test_the_plugin_tells_of_each_shard_and_what_a_reshard_would_cost(person, mybot):
    status = person.types("kubectl dgw status mybot")
    plan = person.types("kubectl dgw reshard mybot --plan --to 4")

    assert "mybot: Running, 2 of 2 shards ready, 400 guilds" in status
    assert re.search(r"^ +1 +connected +200 .* mybot-e1-1-1 *$", status, re.MULTILINE)
    assert "from 2 to 4 shards (as asked)" in plan
    assert "handed over in 4 ranges" in plan
    assert "reshard" not in person.gateway("mybot")["status"]


def test_restart_replaces_every_pod_without_an_identify(person, mybot):
    before, spent = person.pods(mybot), person.asks_discord("ledger/summary")["identifies"]

    said = person.types("kubectl dgw restart mybot")

    assert "done: all 2 pods are replaced" in said
    person.until_running(mybot)
    assert not set(before.values()) & set(person.pods(mybot).values())
    assert person.asks_discord("ledger/summary")["identifies"] == spent


def test_scale_reshards_while_events_flow(person, mybot, readme_commands):
    scale = readme_commands[4]
    raw = f"kubectl get --raw /apis/discordgateway.dev/v1alpha1/namespaces/{person.bots}/discordgateways/mybot/scale"
    # Kubernetes' rule: without a number at specReplicasPath the scale subresource cannot be read, only written.
    assert ".spec.shards" in person.is_refused(raw)

    person.types(scale)
    person.types("kubectl wait dgw/mybot --for=jsonpath='{.status.shards}'=4 --timeout=5m", timeout_s=360)

    scaled = json.loads(person.types(raw))
    assert (scaled["spec"]["replicas"], scaled["status"]["replicas"]) == (4, 4)
    assert scaled["status"]["selector"] == "discordgateway.dev/gateway=mybot"
    person.until_running(mybot)
    done = person.until(lambda: [one for one in person.events(mybot) if one["reason"] == "ReshardDone"], "its Event")
    assert {one["message"] for one in done} == {"from 2 to 4 shards: done"}
    line = person.types(readme_commands[3])
    assert "0 of them twice" in line


@pytest.mark.parametrize(
    ("question", "answer"),
    [("get secrets", "yes"), ("list secrets", "no"), ("watch secrets", "no"), ("patch discordgateways", "no")],
)
def test_the_operators_account_may_read_a_secret_that_it_knows_and_list_none(person, question, answer):
    account = f"system:serviceaccount:{person.operator}:discord-gateway-operator"

    said = person.cluster.kubectl("auth", "can-i", *question.split(), f"--as={account}", "-n", person.bots, check=False)

    assert said.strip() == answer


def test_deleted_it_leaves_nothing_and_its_sessions_resumable_without_waiting_for_successors(person, mybot):
    """The last of these tests: after it there is no gateway."""
    assert owned(person), "nothing would be left that could be seen to go"
    sessions = [one["session_id"] for one in person.asks_discord("sessions") if one["connected"]]

    person.types("kubectl delete dgw mybot")

    person.until(lambda: not owned(person), "all that was the gateway's to go", ENDS_WITHIN_S)
    after = {one["session_id"]: one["connected"] for one in person.asks_discord("sessions")}
    assert len(sessions) == 4
    # Discord ends a session whose connection is closed by 1000 or 1001; these it still knows.
    assert {one: after.get(one) for one in sessions} == dict.fromkeys(sessions, False)
    with pytest.raises(CommandFailedError, match="NotFound"):
        person.types("kubectl get dgw mybot")


def owned(person):
    """What the operator has made for the gateway and is still there."""
    everything = person.cluster.items(OWNED, namespace=person.bots)
    return [
        f"{one['kind']}/{name}"
        for one in everything
        if (name := one["metadata"]["name"]).startswith("mybot-") and one["metadata"].get("ownerReferences")
    ]
