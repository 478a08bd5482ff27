"""URLs in a manifest: those that can never work are refused with the field, what is allowed, and the reason."""

import copy
from typing import Any

import pytest

from gateway_operator.model import ManifestError, parse_manifest

SINK_URL = "spec.delivery.sink.http.url"

ALLOWED = "must be a http:// or https:// URL with a host and without user name, password or #fragment, such as http://bot:8080/"
NO_SCHEME = "it does not begin with http:// or https://"
NO_HOST = "it has no host"
NOT_A_HOST = "its host is neither a name (letters, digits, '-' and '.') nor an address"
NOT_A_PORT = "its port is not a number from 1 to 65535"
NOT_ENCODED = "it holds a space or another character that must be percent-encoded"
PASSWORD = "it holds a user name or password, which would be seen in logs; a secret belongs into a Secret"
FRAGMENT = "it has a #fragment, which is never sent"

MINIMAL: dict[str, Any] = {
    "apiVersion": "discordgateway.dev/v1alpha1",
    "kind": "DiscordGateway",
    "metadata": {"name": "mybot"},
    "spec": {
        "tokenSecretRef": {"name": "mybot", "key": "token"},
        "intents": ["Guilds"],
        "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
    },
}


def manifest_with(path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return data


def problems_of(data: object) -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("bot:8080", NO_SCHEME),
        ("bot", NO_SCHEME),
        ("", NO_SCHEME),
        ("ftp://bot/", NO_SCHEME),
        ("ws://bot/", NO_SCHEME),
        ("unix:///run/bot.sock", NO_SCHEME),
        ("http:bot/", NO_SCHEME),
        ("http:///", NO_HOST),
        ("http://", NO_HOST),
        ("http:///events", NO_HOST),
        ("http://:8080/", NO_HOST),
        ("http://b ot/", NOT_ENCODED),
        ("http://bot/a b", NOT_ENCODED),
        ("http://bot/\r\nX-Evil: 1", NOT_ENCODED),
        ("http://böt/", NOT_ENCODED),
        ("http://bot/é", NOT_ENCODED),
        ("http://b%20ot/", NOT_A_HOST),
        ("http://bot..example/", NOT_A_HOST),
        ("http://-bot/", NOT_A_HOST),
        (f"http://{'b' * 64}/", NOT_A_HOST),
        ("http://bot\\evil/", NOT_A_HOST),
        ("http://[::1", "its host is not complete"),
        ("http://[v1.x]/", NOT_A_HOST),
        ("http://bot:0/", NOT_A_PORT),
        ("http://bot:65536/", NOT_A_PORT),
        ("http://bot:http/", NOT_A_PORT),
        ("http://bot:-1/", NOT_A_PORT),
        ("http://user:password@bot/", PASSWORD),
        ("http://user@bot/", PASSWORD),
        ("http://@bot/", PASSWORD),
        ("http://bot/#events", FRAGMENT),
        ("http://bot/#", FRAGMENT),
    ],
)
def test_a_bots_url_that_can_never_work_is_refused_with_the_reason(url, reason):
    assert problems_of(manifest_with(SINK_URL, url)) == [(SINK_URL, f"{ALLOWED}: {reason}")]


@pytest.mark.parametrize(("value", "described"), [(7, "this value"), ("http://bot/" + "x" * 2048, "this text")])
def test_what_is_no_text_or_too_long_is_no_url(value, described):
    assert problems_of(manifest_with(SINK_URL, value)) == [(SINK_URL, f"{ALLOWED}, not {described}")]


@pytest.mark.parametrize("url", ["http://user:s3cret@bot/", "s3cret", "s3cret://bot/", "http://s3 cret@bot:99999/"])
def test_a_url_that_may_hold_a_secret_is_not_repeated(url):
    [(_, message)] = problems_of(manifest_with(SINK_URL, url))

    assert "cret" not in message.replace("a secret belongs into a Secret", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://bot/",
        "http://bot",
        "http://bot:1",
        "http://bot:65535/",
        "https://[::1]:8080/a?b=c",
        "http://10.0.0.1:1",
        "http://my_bot.bots.svc.cluster.local.:80/events?bot=1",
        "https://xn--bt-fka.example/a%20b",
        "HTTP://Bot/",
    ],
)
def test_urls_with_a_host_are_taken_as_they_are(url):
    assert parse_manifest(manifest_with(SINK_URL, url)).spec.delivery.sink.http.url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://gateway.discord.gg", "it does not begin with ws:// or wss://"),
        ("gateway.discord.gg", "it does not begin with ws:// or wss://"),
        ("wss://", "it has no host"),
    ],
)
def test_the_gateways_url_is_a_websocket_url(url, reason):
    [(path, message)] = problems_of(manifest_with("spec.discord.gatewayURL", url))

    assert path == "spec.discord.gatewayURL"
    assert message.startswith("must be a ws:// or wss:// URL with a host")
    assert message.endswith(f": {reason}")


def test_the_url_of_an_activity_is_for_people_and_may_have_a_fragment():
    activity = {"name": "a stream", "type": 1, "url": "https://video.example/watch#t=10"}

    presence = parse_manifest(manifest_with("spec.presence", {"activities": [activity]})).spec.presence

    assert presence is not None
    assert presence.activities[0].url == "https://video.example/watch#t=10"
