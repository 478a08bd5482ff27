"""A gateway that a person pauses, suspends and lets go on."""

import pytest
from asperson import manifests


@pytest.fixture(scope="module")
def resting(person, bot):
    """Two shards in two pods, at rest."""
    one = manifests.gateway("resting", person.operator, shards=2, sharding={"shardsPerPod": 1})
    try:
        person.applies(manifests.secret("resting", token="token-of-resting"), one)
        person.until_running("resting")
        yield "resting"
    finally:
        person.until_gone("resting")


def spent(person):
    """Identifies and Resumes so far, by Discord's count."""
    summary = person.asks_discord("ledger/summary")
    return summary["identifies"], summary["resumes"]


def test_while_it_is_paused_changed_settings_replace_no_pod(person, resting):
    pods = person.pods(resting)

    said = person.types(f"kubectl dgw pause {resting}")
    person.changes(resting, {"delivery": {"timeout": "9s"}})

    assert said.startswith("resting is paused: no pod is replaced")
    message = person.until_condition(resting, "Paused", "True", "PausedBySpec")
    assert "2 pods wait to be replaced" in message
    assert person.condition(resting, "Ready")["status"] == "True"
    assert "(paused)" in person.types(f"kubectl dgw status {resting}")
    assert person.pods(resting) == pods

    person.types(f"kubectl dgw resume {resting}")
    person.until(lambda: not set(pods) & set(person.pods(resting)), "the pods to be replaced after all")
    person.until_running(resting)


def test_suspended_its_pods_end_and_resumed_no_session_is_lost(person, resting):
    pods, (identifies, resumes) = person.pods(resting), spent(person)

    said = person.types(f"kubectl dgw suspend {resting}")

    assert said.startswith("resting is being suspended: it receives nothing until")
    person.until(lambda: not person.pods(resting), "all pods to end", 60)
    person.until(lambda: person.gateway(resting)["status"]["phase"] == "Suspended", "the phase Suspended")
    assert person.condition(resting, "Ready")["reason"] == "Suspended"

    person.types(f"kubectl dgw resume {resting}")
    person.until_running(resting)

    assert not set(pods) & set(person.pods(resting))
    assert spent(person) == (identifies, resumes + 2)


def test_resumed_before_its_pods_have_ended_it_makes_each_anew_just_once(person, resting):
    deployments = person.deployments(resting)
    person.types(f"kubectl dgw suspend {resting}")
    person.until(lambda: person.gateway(resting)["status"]["phase"] == "Suspended", "the phase Suspended")

    person.types(f"kubectl dgw resume {resting}")
    person.until_running(resting)

    assert person.deployments(resting) == deployments
