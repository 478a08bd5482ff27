"""`kubectl dgw restart`, pause, suspend and resume."""

from datetime import UTC, datetime

import pytest


def test_a_restart_is_followed_until_all_pods_are_replaced(cluster, dgw):
    rollout = cluster.gateways["bots", "mybot"]["status"]["rollout"]
    cluster.steps = [
        {"rollout": rollout},
        {"rollout": {**rollout, "replaced": 1, "leaving": 1}},
        {"rollout": rollout},
    ]
    result = dgw("restart", "mybot")

    assert result.stdout.splitlines() == [
        "waiting for the operator",
        "1 of 2 pods are replaced, 1 old still there",
        "done: all 2 pods are replaced, 4 shards connected",
    ]
    ((_, body),) = cluster.patched
    at = datetime.fromisoformat(body["metadata"]["annotations"]["discordgateway.dev/restart"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_at_the_deadline_the_way_to_look_is_that_of_a_cluster(cluster, dgw):
    cluster.put(status={"rollout": {"restarts": 0, "pods": 2, "replaced": 1, "leaving": 0}})
    result = dgw("restart", "mybot", "--timeout", "1")

    assert result.exit_code == 1
    assert "(1 of 2 pods are replaced): nothing is wrong" in result.stderr
    assert "see `kubectl dgw status -o wide`" in result.stderr


def test_a_restart_that_nobody_begins_ends_with_exit_code_1(cluster, dgw):
    result = dgw("restart", "mybot")

    assert result.exit_code == 1
    assert result.stderr.startswith("it was asked for, and not begun: does an operator run?")


@pytest.mark.parametrize("switch", ["paused", "suspend"])
def test_a_restart_of_what_a_person_holds_comes_later(cluster, switch, dgw):
    cluster.put(**{switch: True})
    result = dgw("restart", "mybot")

    assert result.stdout == f"spec.{switch} is true: the pods are replaced after `kubectl dgw resume mybot`\n"
    assert len(cluster.patched) == 1


def test_without_waiting_a_restart_is_only_asked_for(cluster, dgw):
    assert "see `kubectl dgw status`" in dgw("restart", "--no-wait").stdout
    assert len(cluster.patched) == 1


def test_only_if_changed_is_what_a_cluster_does_anyway(cluster, dgw):
    result = dgw("restart", "mybot", "--if-changed")

    assert (result.exit_code, cluster.patched) == (2, [])
    assert "by itself" in result.stderr


@pytest.mark.parametrize(
    ("switch", "spec"),
    [("pause", {"paused": True}), ("suspend", {"suspend": True}), ("resume", {"paused": None, "suspend": None})],
)
def test_the_switches_are_fields_of_the_spec(cluster, switch, spec, dgw):
    result = dgw(switch, "mybot")

    assert (result.exit_code, cluster.patched) == (0, [("", {"spec": spec})])
    assert result.stdout.startswith("mybot ")


def test_a_field_that_an_older_definition_lacks_does_not_vanish_in_silence(cluster, dgw):
    cluster.forbidden = {"paused"}
    result = dgw("pause", "mybot")

    assert result.exit_code == 2
    assert 'unknown field "spec.paused"' in result.stderr
