"""`kubectl dgw reshard`."""

import pytest

from gateway_operator.command.cluster import reshard as cluster_reshard
from gateway_operator.core.reshard_order import ReshardPreview

RESHARD = {
    "phase": "HandingOver",
    "reason": "as asked",
    "from": 4,
    "to": 8,
    "ranges": 2,
    "startedAt": "2026-03-01T00:00:00Z",
    "progress": "1 of 2 ranges handed over",
    "message": "all of it",
}


def test_a_reshard_scales_and_is_followed_until_it_is_done(cluster, dgw):
    eight = {"shards": 8, "active": {"epoch": 2, "shardCount": 8, "ranges": [], "ready": 8}}
    cluster.steps = [{"observedGeneration": 1}, {"reshard": RESHARD}, eight]
    result = dgw("reshard", "mybot", "--to", "8")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "resharding from 4 to 8 shards",
        "HandingOver: 1 of 2 ranges handed over",
        "done: 8 shards deliver everything, 8 connected",
    ]
    assert cluster.patched == [("scale", {"spec": {"replicas": 8}})]


def test_a_number_that_is_refused_changes_nothing(cluster, dgw):
    cluster.shown = ReshardPreview(
        shards=4, to=900, message="as asked", why_not_now="it takes 1,080 identifies", refused=True
    )
    result = dgw("reshard", "mybot", "--to", "900")

    assert (result.exit_code, result.stderr, cluster.patched) == (2, "it takes 1,080 identifies\n", [])


def test_with_wait_what_stands_in_the_way_now_is_only_said(cluster, dgw):
    cluster.shown = ReshardPreview(
        shards=4, to=8, message="as asked", why_not_now="it takes 14 identifies", refused=True
    )
    result = dgw("reshard", "mybot", "--to", "8", "--wait", "--no-follow")

    assert result.stdout.splitlines() == ["not now: it takes 14 identifies", "resharding from 4 to 8 shards"]
    assert len(cluster.patched) == 1


def test_a_number_that_can_never_be_is_refused_with_wait_as_well(cluster, dgw):
    cluster.shown = ReshardPreview(shards=4, to=1, message="as asked", why_not_now="too few", refused=True, never=True)
    result = dgw("reshard", "mybot", "--to", "1", "--wait")

    assert (result.exit_code, result.stderr, cluster.patched) == (2, "too few\n", [])


def test_what_the_resource_asks_for_already_is_begun_by_an_annotation(cluster, dgw):
    eight = {"shards": 8, "active": {"epoch": 2, "shardCount": 8, "ranges": [], "ready": 8}}
    cluster.put(shards=8)
    cluster.steps = [{"reshard": RESHARD}, eight]
    result = dgw("reshard", "mybot", "--to", "8")

    assert result.stdout.splitlines()[-1] == "done: 8 shards deliver everything, 8 connected"
    given = [body["metadata"]["annotations"]["discordgateway.dev/reshard"] for _, body in cluster.patched]
    assert given == ["begin", None]


def test_while_it_is_paused_nothing_is_begun_again(cluster, dgw):
    cluster.put(shards=8)["metadata"]["annotations"] = {"discordgateway.dev/reshard": "pause"}
    result = dgw("reshard", "mybot", "--to", "8")

    assert (result.exit_code, result.stderr, cluster.patched) == (2, "it is paused: --resume first\n", [])


def test_who_may_not_ask_the_operator_can_reshard_nevertheless(cluster, dgw):
    cluster.lacks_permission()
    result = dgw("reshard", "mybot", "--to", "8", "--no-follow")

    assert result.exit_code == 0
    assert 'not checked beforehand: you ("jane") may not get pods/proxy' in result.stderr


def test_who_may_not_scale_patches_the_resource(cluster, dgw):
    cluster.forbidden = {"patch discordgateways/scale"}
    dgw("reshard", "mybot", "--to", "8", "--no-follow")

    assert cluster.patched == [("", {"spec": {"shards": 8}})]


def test_who_may_do_neither_is_told_what_is_missing(cluster, dgw):
    cluster.forbidden = {"patch discordgateways/scale", "patch discordgateways"}
    result = dgw("reshard", "mybot", "--to", "8")

    assert (result.exit_code, cluster.patched) == (2, [])
    assert 'you ("jane") may not patch discordgateways.discordgateway.dev in namespace bots' in result.stderr


def test_a_new_number_takes_back_that_the_former_was_given_up(cluster, dgw):
    cluster.gateways[("bots", "mybot")]["metadata"]["annotations"] = {"discordgateway.dev/reshard": "abort"}
    dgw("reshard", "mybot", "--to", "8", "--no-follow")

    annotations = {"annotations": {"discordgateway.dev/reshard": None}}
    assert cluster.patched == [("", {"metadata": annotations, "spec": {"shards": 8}})]


def test_the_plan_changes_nothing(cluster, dgw):
    result = dgw("reshard", "mybot", "--plan", "--to", "8")

    assert result.stdout.splitlines()[0] == "from 4 to 8 shards (as asked)"
    assert cluster.patched == []


def test_the_plan_of_what_is_refused_is_exit_code_2(cluster, dgw):
    cluster.shown = ReshardPreview(shards=4, to=8, message="as asked", why_not_now="too few", refused=True)
    result = dgw("reshard", "mybot", "--plan", "--to", "8")

    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1] == "refused: too few"


def test_the_plan_needs_the_operator(cluster, dgw):
    cluster.has_no_operator()
    result = dgw("reshard", "--plan")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "only the operator knows what it would cost: no operator was found" in result.stderr


@pytest.mark.parametrize(("shards", "spec"), [(8, {"spec": {"shards": 4}}), (None, {}), (16, {})])
def test_to_give_up_puts_the_former_number_back_where_the_resource_asks_for_the_new_one(cluster, shards, spec, dgw):
    cluster.put(status={"reshard": RESHARD}, shards=shards)
    cluster.steps = [{"reshard": {**RESHARD, "phase": "Aborting", "progress": "1 range to give back"}}, {}]
    result = dgw("reshard", "mybot", "--abort")

    assert cluster.patched == [
        ("", {"metadata": {"annotations": {"discordgateway.dev/reshard": "abort"}}, **spec}),
        ("", {"metadata": {"annotations": {"discordgateway.dev/reshard": None}}}),
    ]
    assert result.stdout.splitlines()[-2:] == [
        "Aborting: 1 range to give back",
        "given up: 4 shards deliver everything, as before",
    ]


def test_to_give_up_again_is_a_change_of_the_annotation(cluster, monkeypatch, dgw):
    monkeypatch.setattr(cluster_reshard, "HEEDED", 0.0)
    found = cluster.put(status={"reshard": RESHARD})
    found["metadata"]["annotations"] = {"discordgateway.dev/reshard": "abort"}
    dgw("reshard", "mybot", "--abort", "--no-follow")

    given = [body["metadata"]["annotations"]["discordgateway.dev/reshard"] for _, body in cluster.patched]
    assert given == [None, "abort"]


def test_a_reshard_of_what_a_person_holds_comes_later(cluster, dgw):
    cluster.put(paused=True)
    result = dgw("reshard", "mybot", "--to", "8")

    assert result.stdout.splitlines()[-1] == "spec.paused is true: it goes on after `kubectl dgw resume mybot`"


@pytest.mark.parametrize(
    ("reshard", "option", "words"),
    [
        ({}, "--abort", "no reshard is under way"),
        ({"reshard": {**RESHARD, "phase": "Draining"}}, "--abort", "nothing can be given up any more"),
        ({"reshard": {**RESHARD, "phase": "Aborting"}}, "--pause", "is being given up"),
    ],
)
def test_an_order_that_comes_too_late_or_early_changes_nothing(cluster, reshard, option, words, dgw):
    cluster.put(status=reshard)
    result = dgw("reshard", "mybot", option)

    assert (result.exit_code, cluster.patched) == (2, [])
    assert words in result.stderr


@pytest.mark.parametrize(("option", "value"), [("--pause", "pause"), ("--resume", None)])
def test_to_pause_and_to_resume_is_an_annotation(cluster, option, value, dgw):
    result = dgw("reshard", "mybot", option)

    assert result.exit_code == 0
    assert cluster.patched == [("", {"metadata": {"annotations": {"discordgateway.dev/reshard": value}}})]


def test_of_several_gateways_one_has_to_be_named(cluster, dgw):
    cluster.put("other")
    result = dgw("reshard", "--to", "8")

    assert (result.exit_code, cluster.patched) == (2, [])
    assert "name one of them: mybot, other" in result.stderr
