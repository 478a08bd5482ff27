"""What a gateway is to run with: its spec, and the Secrets that this names, or what is wrong with them."""

import base64

import pytest

from gateway_operator.kube.api import SECRET
from gateway_operator.kube.settings import NotUsableError, Secrets, Settings, discord_api, parse, read_secrets

SPEC = {
    "tokenSecretRef": {"name": "mybot", "key": "token"},
    "intents": ["Guilds"],
    "delivery": {
        "sink": {"http": {"url": "http://bot:8080/", "authorizationSecretRef": {"name": "mybot", "key": "s"}}}
    },
    "discord": {
        "authorizationSecretRef": {"name": "proxy", "key": "p"},
        "caSecretRef": {"name": "ca", "key": "ca.crt"},
    },
}
RESOURCE = {"metadata": {"name": "mybot", "namespace": "bots", "uid": "u", "labels": {}}}


@pytest.fixture
def secret(cluster):
    def put(name, **data):
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        cluster.put(SECRET, {"metadata": {"namespace": "bots", "name": name}, "data": encoded})

    return put


@pytest.fixture
def all_there(secret):
    secret("mybot", token=b" abc\n", s=b"Bearer x")
    secret("proxy", p=b"key")
    secret("ca", **{"ca.crt": b"PEM\nof lines"})


async def test_each_secret_is_read_once_and_lines_are_trimmed(cluster, all_there):
    assert await read_secrets(cluster, parse(RESOURCE, SPEC)) == Secrets("abc", "Bearer x", "key", "PEM\nof lines")


async def test_what_is_not_named_is_not_needed(cluster, secret):
    secret("mybot", token=b"abc")
    spec = SPEC | {"delivery": {"sink": {"http": {"url": "http://bot/"}}}, "discord": {}}

    assert await read_secrets(cluster, parse(RESOURCE, spec)) == Secrets("abc")


async def test_a_missing_secret_is_told_with_the_command_that_makes_it(cluster, secret):
    with pytest.raises(
        NotUsableError, match="kubectl -n bots create secret generic mybot --from-literal=token="
    ) as told:
        await read_secrets(cluster, parse(RESOURCE, SPEC))

    assert told.value.reason == "SecretMissing"


async def test_a_missing_key_is_told_with_those_that_are_there_and_no_value(cluster, secret):
    secret("mybot", other=b"hidden", s=b"x")
    with pytest.raises(
        NotUsableError, match=r"spec\.tokenSecretRef: Secret mybot has no key token; it has other, s"
    ) as told:
        await read_secrets(cluster, parse(RESOURCE, SPEC))

    assert told.value.reason == "SecretKeyMissing"
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize("value", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"a\x00b"])
async def test_a_token_that_no_header_can_carry_is_told_and_not_shown(cluster, all_there, secret, value):
    secret("mybot", token=value, s=b"x")
    with pytest.raises(NotUsableError, match=r"spec\.tokenSecretRef: key token of Secret mybot") as told:
        await read_secrets(cluster, parse(RESOURCE, SPEC))

    assert told.value.reason == "SecretNotUsable"
    assert "lines" not in str(told.value)


def test_a_wrong_spec_is_told_by_its_field():
    with pytest.raises(NotUsableError, match="intents") as told:
        parse(RESOURCE, SPEC | {"intents": ["Nonsense"]})

    assert told.value.reason == "InvalidSpec"


@pytest.mark.parametrize("ca", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "ü"])
def test_a_ca_that_cannot_be_read_is_told(ca):
    settings = Settings(parse(RESOURCE, SPEC), SPEC, Secrets("abc", ca=ca), "")
    with pytest.raises(NotUsableError, match="caSecretRef") as told:
        discord_api(settings)

    assert told.value.reason == "CANotUsable"


def test_a_proxys_secret_takes_the_place_of_the_token():
    spec = SPEC | {"discord": {"authorizationSecretRef": {"name": "proxy", "key": "p"}}}
    by_proxy = discord_api(Settings(parse(RESOURCE, spec), spec, Secrets("abc", rest_authorization="key"), ""))
    itself = discord_api(Settings(parse(RESOURCE, spec), spec, Secrets("abc"), ""))

    assert (by_proxy._headers["Authorization"], itself._headers["Authorization"]) == ("key", "Bot abc")


# Digests, and logs.


@pytest.mark.parametrize("changed", [Secrets("other"), Secrets("t", "s"), Secrets("t", ca="c"), Secrets("t", "c")])
def test_the_digest_changes_with_all_that_pods_are_started_with(changed):
    assert changed.digest("key") != Secrets("t").digest("key")
    assert Secrets("t", "c").digest("key") != Secrets("t", ca="c").digest("key")


def test_the_digest_tells_nothing_to_who_does_not_have_the_key_and_leaves_the_proxys_secret_out():
    assert Secrets("t").digest("key") != Secrets("t").digest("another")
    assert Secrets("t", rest_authorization="r").digest("key") == Secrets("t").digest("key")


def test_no_secret_is_shown():
    secrets = Secrets("t0ken", "s1nk", "r3st", "c4")

    assert not any(one in repr(secrets) for one in ("t0ken", "s1nk", "r3st", "c4"))
    assert secrets.all() == ("t0ken", "s1nk", "r3st")
