"""The text of a manifest: what is not YAML, not one document or not a gateway, and anything at all in a field."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_operator.model import DiscordGateway, ManifestError, load_manifest, parse_manifest

MINIMAL = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  delivery: {sink: {http: {url: "http://bot:8080/"}}}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the manifest is empty"),
        ("# only a comment\n", "the manifest is empty"),
        ("---\n---\n", "the manifest is empty"),
        ("a: 1\n---\nb: 2\n", "there are 2 documents (separated by ---): leave one DiscordGateway"),
        ("spec: {a: [}\n", "not YAML (line 1, column 12): expected the node content, but found '}'"),
        ("a: 1\n\tb: 2\n", "not YAML (line 2, column 1): found character '\\t' that cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", "not YAML (line 3, column 1): the key a stands twice"),
        ("{1: a}", "not YAML (line 1, column 2): the key 1 is not text"),
        ("a: *b\n", "not YAML (line 1, column 4): found undefined alias 'b'"),
        ("a: !!python/name:os.system\n", "not YAML (line 1, column 4): could not determine a constructor for the tag "),
        ("a: 2024-99-99\n", "not YAML: month must be in 1..12"),
        ("a: \x00", "not YAML: character 4 cannot stand there"),
        ("[" * 500, "not YAML: it is nested too deeply"),
        ("x" * 2_000_000, "too long for a manifest: 2000000 characters"),
        ("just text", 'a manifest is a map with apiVersion, kind, metadata and spec, not the text "just text"'),
        ("[1]", "a manifest is a map with apiVersion, kind, metadata and spec, not a list"),
        ("kind: DiscordGateway", "apiVersion: is missing: discordgateway.dev/v1alpha1"),
        (
            "{apiVersion: v1, kind: Pod, spec: {containers: []}}",
            'apiVersion: must be discordgateway.dev/v1alpha1, not the text "v1"\nkind: must be DiscordGateway, ',
        ),
    ],
)
def test_a_text_that_is_no_manifest_is_answered_in_words(text, message):
    with pytest.raises(ManifestError) as caught:
        load_manifest(text)

    assert str(caught.value).startswith(message)


def test_a_document_may_be_marked_by_its_separator():
    assert load_manifest(f"---{MINIMAL}---\n").metadata.name == "mybot"


def test_anchors_and_aliases_may_be_used():
    text = MINIMAL.replace("tokenSecretRef: {", "tokenSecretRef: &ref {") + "  discord: {caSecretRef: *ref}\n"

    spec = load_manifest(text).spec

    assert spec.discord.ca_secret_ref == spec.token_secret_ref


JARGON = (
    "pydantic",
    "input should",
    "validation error",
    "str type",
    "valid string",
    "nonetype",
    "tuple",
    "dict",
    "regex",
)

FIELDS = [
    "metadata.name",
    "metadata.labels",
    "spec.intents",
    "spec.shards",
    "spec.presence",
    "spec.presence.activities",
    "spec.discord",
    "spec.discord.baseURL",
    "spec.discord.caSecretRef",
    "spec.sharding.spawnShardDelay",
    "spec.reshard",
    "spec.reshard.auto",
    "spec.reshard.percentage",
    "spec.reshard.settle",
    "spec.reshard.window",
    "spec.reshard.window.cron",
    "spec.delivery.queue.maxBytes",
    "spec.delivery.queue.shedFirst",
    "spec.delivery.queue.spool",
    "spec.delivery.queue.spool.maxBytes",
    "spec.delivery.events.exclude",
    "spec.delivery.sink",
    "spec.delivery.sink.http.url",
]  # fmt: skip -- a plain list of paths

YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def manifest_with(path: str, value: object) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(MINIMAL)
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return data


def outcome(data: object) -> DiscordGateway | ManifestError:
    try:
        return parse_manifest(data)
    except ManifestError as error:
        return error


@given(path=st.sampled_from(FIELDS), value=YAML_VALUES)
@example(path="spec.discord.baseURL", value="http://[")
@example(path="metadata.name", value="\ud800")
def test_whatever_stands_in_a_field_the_answer_is_a_gateway_or_plain_words(path, value):
    result = outcome(manifest_with(path, value))

    if isinstance(result, ManifestError):
        said = " ".join(problem.message for problem in result.problems if str(value) not in problem.message)
        assert result.problems
        assert not [term for term in JARGON if term in said.casefold()]
        assert "cannot be used" not in said
