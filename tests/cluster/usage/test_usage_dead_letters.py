"""A bot that refuses some events: a person looks at them, deletes one, mends the bot and has the others come."""

import json
from collections import Counter
from pathlib import Path

import pytest
from asperson import manifests, picky_bot

SCRIPT = Path(picky_bot.__file__).read_text()
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}


def bot_pod(image):
    container = {
        "name": "bot",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["python", "-c", SCRIPT],
        "securityContext": {**SECURITY, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "readinessProbe": {"httpGet": {"path": "/told", "port": 8080}, "periodSeconds": 1},
    }
    labels = {"app": "picky-bot"}
    service = {"selector": labels, "ports": [{"port": 8080}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "picky-bot"}, "spec": service},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "picky-bot", "labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
    ]


@pytest.fixture(scope="module")
def picky(person, image):
    """Two shards in two pods, whose bot refuses three events."""
    delivery = {"sink": {"http": {"url": "http://picky-bot:8080/"}}, "maxAttempts": 2}
    one = manifests.gateway("picky", person.operator, shards=2, sharding={"shardsPerPod": 1}, delivery=delivery)
    try:
        person.applies(*bot_pod(image), manifests.secret("picky", token="token-of-picky"), one)
        person.until_running("picky")
        wanted = picky_bot.REFUSED
        person.until(lambda: person.gateway("picky")["status"].get("deadLetters") == wanted, "all to be set aside")
        yield "picky"
    finally:
        person.until_gone("picky")
        person.cluster.kubectl("delete", "service,pod", "picky-bot", "--ignore-not-found", namespace=person.bots)


@pytest.fixture
def asks_bot(person):
    def ask(path):
        url = f"/api/v1/namespaces/{person.bots}/pods/picky-bot:8080/proxy/{path}"
        return json.loads(person.cluster.kubectl("get", "--raw", url))

    return ask


def test_they_are_listed_with_what_the_bot_said(person, picky, asks_bot):
    assert f"{picky_bot.REFUSED} events set aside as the bot kept refusing" in person.types(
        f"kubectl dgw status {picky}"
    )

    letters = json.loads(person.types(f"kubectl dgw dead-letters list {picky} -o json"))["deadLetters"]

    assert {one["key"] for one in letters} == set(asks_bot("told")["refused"])
    assert {one["type"] for one in letters} == {"MESSAGE_CREATE"}
    assert all("422" in one["problem"] and one["attempts"] == 2 for one in letters)
    assert "MESSAGE_CREATE" in person.types(f"kubectl dgw dead-letters list {picky}")


def test_what_is_documented_as_the_permission_is_needed_and_enough(person, picky):
    def may(*rules):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "mender"}}
        person.applies(role | {"rules": list(rules)})

    def rule(group, resource, *verbs):
        return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}

    looks = [rule("discordgateway.dev", "discordgateways", "get", "list")]
    may(*looks)
    token = given_an_account(person, "mender")
    command = f"kubectl dgw dead-letters list {picky} --context {token}"

    assert f"may not create pods/exec in namespace {person.bots}" in person.is_refused(command)

    may(*looks, rule("", "pods/exec", "create", "get"))

    assert "MESSAGE_CREATE" in person.types(command)


def given_an_account(person, name):
    """The name of a context by which `name` is bound to the Role of its name, and may see the operator's rows."""
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": person.bots}
    person.applies({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    person.types(f"kubectl create rolebinding {name} --role={name} --serviceaccount={person.bots}:{name}")
    sees = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]},
    ]
    person.cluster.apply(
        [
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": sees},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [subject],
            },
        ],
        namespace=person.operator,
    )
    person.types(f"kubectl config set-credentials {name} --token=$(kubectl create token {name})")
    person.types(
        f"kubectl config set-context {name} --user={name} --namespace={person.bots} "
        "--cluster=$(kubectl config view --minify -o jsonpath='{.contexts[0].context.cluster}')"
    )
    return f"{name} --operator-namespace {person.operator}"


def test_one_is_deleted_and_the_others_come_once_the_bot_is_mended(person, picky, asks_bot):
    deleted, *others = asks_bot("told")["refused"]

    assert person.types(f"kubectl dgw dead-letters discard {picky} --key {deleted}") == "1 dead letter deleted\n"
    asks_bot("mend")
    assert person.types(f"kubectl dgw dead-letters replay {picky} --all") == "2 dead letters queued for delivery\n"

    person.until(lambda: set(others) <= set(asks_bot("told")["taken"]), "the two to come")
    taken = Counter(asks_bot("told")["taken"])
    assert [taken[key] for key in (deleted, *others)] == [0, 1, 1]
    assert set(taken.values()) == {1}
    nothing = "no dead letters: the bot took every event\n"
    person.until(lambda: person.types(f"kubectl dgw dead-letters list {picky}") == nothing, "none to be left")
