"""What `kubectl dgw` says when a cluster does not do what it is asked."""

import pytest


def test_one_that_is_not_there_is_told_which_are(cluster, dgw):
    result = dgw("status", "mybto")

    assert result.exit_code == 3
    assert result.stderr == "there is no DiscordGateway mybto in namespace bots: there is mybot\n"


@pytest.mark.parametrize("arguments", [["status"], ["status", "mybot"], ["restart", "mybot"], ["pause"]])
def test_a_cluster_that_does_not_know_the_resource_needs_the_chart(cluster, arguments, dgw):
    cluster.installed = False
    result = dgw(*arguments)

    assert result.exit_code == 3
    assert "install the chart first, `helm install" in result.stderr


def test_what_is_forbidden_is_said_with_verb_and_user_and_how_to_check(cluster, dgw):
    cluster.forbidden = {"get discordgateways"}
    result = dgw("status", "mybot")

    assert result.exit_code == 2
    assert result.stderr == (
        'you ("jane") may not get discordgateways.discordgateway.dev in namespace bots: ask for a role that allows it '
        "(`kubectl auth can-i get discordgateways.discordgateway.dev -n bots` checks)\n"
    )


def test_an_api_server_that_is_away_is_named(tmp_path, kubeconfig, dgw):
    result = dgw("status", "--kubeconfig", str(kubeconfig(tmp_path / "config", 9)))

    assert result.exit_code == 1
    assert result.stderr.startswith("the API server http://127.0.0.1:9 cannot be reached: ")
    assert "kubectl config current-context" in result.stderr


def test_without_a_kubeconfig_the_place_looked_at_is_named(tmp_path, monkeypatch, dgw):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = dgw("status")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"no kubeconfig: looked for {tmp_path / 'none'}; name it with --kubeconfig")


@pytest.mark.parametrize("text", ["", "[]", "a: {", "current-context: x", "contexts: 3", "\x00"])
def test_a_kubeconfig_that_is_none_is_one_line(tmp_path, text, dgw):
    (tmp_path / "config").write_text(text)
    result = dgw("status", "--kubeconfig", str(tmp_path / "config"))

    assert result.exit_code == 2
    assert f"the kubeconfig {tmp_path / 'config'} cannot be used" in result.stderr


def test_a_context_that_is_not_there_is_named(cluster, dgw):
    result = dgw("status", "--context", "thre")

    assert result.exit_code == 2
    assert "thre" in result.stderr
    assert "kubectl config get-contexts" in result.stderr


def test_the_words_of_an_admission_webhook_are_shown(cluster, dgw):
    cluster.denied = 'admission webhook "freeze.example" denied the request: no changes on Fridays'
    result = dgw("pause", "mybot")

    assert (result.exit_code, cluster.patched) == (2, [])
    assert result.stderr.endswith("in namespace bots: " + cluster.denied + "\n")
