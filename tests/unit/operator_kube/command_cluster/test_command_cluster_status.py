"""`kubectl dgw status`, and which side a command is about."""

import json

import pytest
import yaml

from gateway_operator.command import main as discord_gateway
from gateway_operator.command.kubectl import main as kubectl_dgw

SUMMARY = "4 of 4 shards ready, 2,000 guilds, 996 of 1,000 identifies left"


# Which side is meant.


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (kubectl_dgw, ["status", "mybot"]),
        (kubectl_dgw, ["-n", "bots", "--context", "other", "status", "mybot"]),
        (kubectl_dgw, ["status", "dgw/mybot"]),
        (discord_gateway, ["status", "mybot", "-n", "bots"]),
        (discord_gateway, ["status", "mybot", "--context", "here"]),
    ],
)
def test_the_plugin_and_the_options_of_a_cluster_mean_a_cluster(cluster, program, arguments, dgw):
    result = dgw(*arguments, program=program)

    assert result.stdout.splitlines()[0] == f"mybot: Running, {SUMMARY}"
    assert cluster.tokens == {"Bearer her-token"}


def test_a_kubeconfig_that_is_named_is_used(cluster, tmp_path, monkeypatch, dgw):
    (tmp_path / "config").rename(tmp_path / "mine")

    assert dgw("status", "mybot", "--kubeconfig", str(tmp_path / "mine"), program=discord_gateway).exit_code == 0


def test_without_them_it_is_about_this_machine(cluster, tmp_path, monkeypatch, dgw):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = dgw("status", "mybot", program=discord_gateway)

    assert result.exit_code == 3
    assert "discord-gateway up FILE" in result.stderr
    assert cluster.tokens == set()


def test_a_state_directory_and_a_cluster_do_not_go_together(cluster, dgw):
    result = dgw("status", "mybot", "-n", "bots", "--state-dir", "/x", program=discord_gateway)

    assert (result.exit_code, cluster.tokens) == (2, set())
    assert "give one of them" in result.stderr


def test_a_file_names_gateway_and_namespace(cluster, tmp_path, dgw):
    cluster.put("fromfile", "there")
    file = tmp_path / "gateway.yaml"
    spec = {"tokenSecretRef": {"name": "a", "key": "b"}, "intents": ["Guilds"]}
    spec["delivery"] = {"sink": {"http": {"url": "http://bot:8080/"}}}
    head = {"apiVersion": "discordgateway.dev/v1alpha1", "kind": "DiscordGateway"}
    file.write_text(yaml.safe_dump({**head, "metadata": {"name": "fromfile", "namespace": "there"}, "spec": spec}))

    assert dgw("status", str(file)).stdout.startswith("fromfile: Running")


# What is shown.


def test_the_rows_are_told_by_the_leader(cluster, dgw):
    result = dgw("status", "mybot")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split() == ["3", "connected", "500", "0", "mybot-e1-0-3"]
    assert result.stderr == ""


def test_json_is_what_the_leader_tells(cluster, dgw):
    assert json.loads(dgw("status", "mybot", "-o", "json").stdout)["shardRows"][0]["pod"] == "mybot-e1-0-3"


@pytest.mark.parametrize(
    "trouble",
    [
        "lacks_permission",
        "lacks_leases",
        "has_no_operator",
        "has_no_leader",
        "has_lost_its_leader",
        "is_led_by_another",
    ],
)
def test_without_the_leader_the_resource_tells_the_summary_and_a_line_why(cluster, trouble, dgw):
    why = getattr(cluster, trouble)()
    result = dgw("status", "mybot")

    assert result.exit_code == 0
    assert result.stdout.strip() == f"mybot: Running, {SUMMARY}"
    assert len(result.stderr.splitlines()) == 1
    assert why in result.stderr


def test_json_without_the_leader_is_what_the_resource_tells(cluster, dgw):
    cluster.lacks_permission()
    found = json.loads(dgw("status", "mybot", "-o", "json").stdout)

    assert (found["name"], found["readyShards"], found["shardRows"]) == ("mybot", 4, [])


def test_an_operator_is_found_by_its_deployment_too(cluster, dgw):
    cluster.leases, cluster.deployments = [("dgw-system", "dgw", {}, "dgw-0_a-run")], [("dgw-system", "dgw")]

    assert "mybot-e1-0-3" in dgw("status", "mybot").stdout


def test_who_may_not_look_everywhere_names_the_operators_namespace(cluster, dgw):
    cluster.forbidden = {"list leases *", "list leases bots"}

    assert "--operator-namespace" in dgw("status", "mybot").stderr
    assert "mybot-e1-0-3" in dgw("status", "mybot", "--operator-namespace", "dgw-system").stdout


def test_a_gateway_that_no_operator_has_seen_says_so(cluster, dgw):
    cluster.put(seen=False)
    cluster.has_no_operator()
    result = dgw("status", "mybot")

    assert result.exit_code == 3
    assert result.stderr.startswith("mybot: no operator has reported on it yet")


def test_a_change_that_the_operator_has_not_seen_yet_is_told_of(cluster, dgw):
    cluster.gateways[("bots", "mybot")]["metadata"]["generation"] = 2

    assert "last change of the resource is not seen" in dgw("status", "mybot").stderr


def test_a_status_of_another_version_says_where_they_differ(cluster, dgw):
    cluster.lacks_permission()
    cluster.gateways[("bots", "mybot")]["status"]["phase"] = "Unheard"
    result = dgw("status", "mybot")

    assert result.exit_code == 2
    assert "(status.phase)" in result.stderr


def test_without_a_name_each_gateway_is_summed_up(cluster, dgw):
    away = {"type": "Degraded", "status": "True", "reason": "Away"}
    away["message"] = "the bot is away: see `kubectl dgw status`"
    cluster.put("other", status={"conditions": [away]})
    cluster.put("young", seen=False)
    cluster.put("third", "elsewhere")

    shown = [line for line in dgw("status").stdout.splitlines() if line]
    assert shown[0] == f"mybot: Running, {SUMMARY}"
    assert shown[1:3] == [f"other: Running, {SUMMARY}", "  the bot is away: see `kubectl dgw status`"]
    assert shown[3].startswith("young: no operator has reported on it yet")
    assert f"elsewhere/third: Running, {SUMMARY}" in dgw("status", "-A").stdout
    assert [one["name"] for one in json.loads(dgw("status", "-o", "json").stdout)["gateways"]] == [
        "mybot",
        "other",
        "young",
    ]


def test_dead_letters_are_told_of_with_a_way_to_find_them(cluster, dgw):
    cluster.gateways[("bots", "mybot")]["status"]["deadLetters"] = 3

    said = "  3 events set aside as the bot kept refusing: see `kubectl dgw dead-letters list`\n"
    assert said in dgw("status").stdout
