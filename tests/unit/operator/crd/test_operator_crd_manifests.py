"""What the models take and refuse, the resource definition takes and refuses, as far as a schema can tell."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_operator.model import ManifestError, parse_manifest

ROOT = Path(__file__).parents[4]
MANIFEST_TESTS = ROOT / "tests" / "unit" / "operator"

SINK_URL = "spec.delivery.sink.http.url"

TAKEN_BY_THE_SCHEMA = [
    # A date that never comes, and numbers inside of an expression.
    ("spec.reshard.window", {"cron": "0 0 30 2 *", "duration": "2h"}),
    ("spec.reshard.window", {"cron": "61 * * * *", "duration": "2h"}),
    (SINK_URL, "http://bot:65536/"),
    # A null where there is a default counts as left out.
    ("spec.discord", None),
    # The API server has a schema of its own for the metadata, and the status is not a user's to write.
    ("status", {}),
    ("metadata.uid", "x"),
    ("metadata.labels", "x"),
    ("metadata.labels", {"version": 2}),
    ("metadata.labels", {"a b": "c"}),
]
"""What the models refuse and the resource definition does not tell."""


def other_tests(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, MANIFEST_TESTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of(test: Any) -> list[Any]:
    [mark] = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    return list(mark.args[1])


GENERAL = other_tests("test_operator_manifest")
DELIVERY = other_tests("test_operator_manifest_delivery")
URLS = other_tests("test_operator_manifest_urls")


def refused_by_the_models():
    """The tables of the manifests' own tests: path and value."""
    for path, value, _ in table_of(GENERAL.test_a_mistake_is_answered_with_its_path_and_what_is_allowed):
        yield path, value
    for path, value, *_ in table_of(GENERAL.test_a_mistake_inside_a_list_or_map_is_answered_with_its_place):
        yield path, value
    yield from table_of(GENERAL.test_what_does_not_work_yet_is_refused_when_given)
    for field, value, _ in table_of(GENERAL.test_the_times_of_a_reshard_have_bounds):
        yield f"spec.reshard.{field}", value
    for cron in table_of(GENERAL.test_a_window_begins_on_dates_that_come):
        yield "spec.reshard.window", {"cron": cron, "duration": "2h"}
    for path, value, _ in table_of(DELIVERY.test_a_mistake_is_answered_with_its_path_and_what_is_allowed):
        yield f"spec.{path}", value
    for url, _ in table_of(URLS.test_a_bots_url_that_can_never_work_is_refused_with_the_reason):
        yield SINK_URL, url
    for url, _ in table_of(URLS.test_the_gateways_url_is_a_websocket_url):
        yield "spec.discord.gatewayURL", url


def documents() -> list[Any]:
    """Every DiscordGateway in the repository's documentation and examples."""
    found = []
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*")]:
        if path.suffix not in {".md", ".yaml"}:
            continue
        text = path.read_text()
        blocks = (
            [text]
            if path.suffix == ".yaml"
            else re.findall(r"^( *)```yaml\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
        )
        for block in blocks:
            source = (
                block
                if isinstance(block, str)
                else "\n".join(line.removeprefix(block[0]) for line in block[1].splitlines())
            )
            if "kind: DiscordGateway" in source:
                gateways = [one for one in yaml.safe_load_all(source) if one["kind"] == "DiscordGateway"]
                found += [pytest.param(one, id=str(path.relative_to(ROOT))) for one in gateways]
    return found


@pytest.mark.parametrize("manifest", documents())
def test_every_manifest_of_the_documentation_is_taken(server, manifest):
    assert server.problems(manifest) == []


def test_there_are_manifests_in_the_documentation():
    assert len(documents()) >= 2


def test_every_field_that_works_is_taken(server):
    assert server.problems(yaml.safe_load(GENERAL.EVERYTHING)) == []


@pytest.mark.parametrize("url", table_of(URLS.test_urls_with_a_host_are_taken_as_they_are))
def test_urls_with_a_host_are_taken(server, url):
    assert server.problems(server.minimal_with(SINK_URL, url)) == []


REFUSED = [
    (path, value)
    for path, value in refused_by_the_models()
    if (path, value) not in TAKEN_BY_THE_SCHEMA and not (path.startswith("metadata") and value is GENERAL.REMOVED)
]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_what_the_models_refuse_is_refused(server, path, value):
    assert server.problems(GENERAL.manifest_with(path, value)) != []


@pytest.mark.parametrize(("path", "value"), TAKEN_BY_THE_SCHEMA)
def test_a_little_is_left_to_the_models(server, path, value):
    """So that the list above stays true."""
    manifest = GENERAL.manifest_with(path, value)

    assert server.problems(manifest) == []
    with pytest.raises(ManifestError):
        parse_manifest(manifest)


def test_no_table_was_lost_on_the_way():
    assert len(REFUSED) > 120


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (
            "spec.delivery.timeout",
            "11m",
            "must be a duration with its unit (ms, s, m or h), from 100ms to 10m, such as 10s",
        ),
        (
            "spec.reshard.settle",
            "999999999h",
            "must be a duration with its unit (ms, s, m or h), at most 1h, such as 5s",
        ),
        ("spec.delivery.queue.maxBytes", "1Ki", "must be a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G"),
        ("spec.delivery.queue.maxBytes", 1, "must be a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G"),
        ("spec.delivery.queue.spool.maxBytes", "1Ki", "must be 0, or a number of bytes from 1Mi to 1Ti, such as 2Gi"),
        (
            "spec.discord.gatewayURL",
            "https://gateway.discord.gg",
            (
                "must be a ws:// or wss:// URL with a host and without user name, password or #fragment, such as "
                "wss://gateway.discord.gg/"
            ),
        ),
    ],
)
def test_a_value_out_of_bounds_is_answered_in_the_words_of_the_models(server, path, value, problem):
    assert server.problems(server.minimal_with(path, value)) == [(path, problem)]


edges = [edge + step for edge in (0, 1, 2**16, 2**20, 2**40, 2**53) for step in (-1, 0, 1)]
numbers = st.integers(-2, 2**54) | st.sampled_from(edges)
words = st.text(max_size=8) | st.sampled_from(["", "a", "a-b", "a-", "x.y", "A_1", "A_b", "A B", "_A", "x\n", "A\n"])
durations = st.builds("{}{}".format, st.integers(0, 10**9) | st.integers(0, 99), st.sampled_from(["ms", "s", "h", "d"]))
sizes = st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from(["", "k", "M", "T", "Ki", "Gi", "Ti", "Pi"]))
urls = st.from_regex(r"(http|wss?)s?://[a-z0-9_.\[\]:@-]{0,12}(:[0-9]{0,4})?[/?#a-z%]{0,5}", fullmatch=True)
anything = numbers | words | durations | st.booleans() | st.floats(0.1, 0.9) | st.lists(words, max_size=2)

FIELDS = {
    "metadata.name": words,
    "spec.intents": st.lists(
        st.sampled_from(["Guilds", "GUILDS", "guilds", "Guilds\n", 0, -1, 2**53, 1.5]), max_size=3
    ),
    "spec.shards": numbers,
    "spec.tokenSecretRef.name": words,
    "spec.tokenSecretRef.key": words,
    "spec.sharding.spawnShardDelay": durations,
    "spec.presence.since": numbers,
    "spec.presence.status": st.sampled_from(["online", "away"]),
    "spec.reshard.auto": st.booleans(),
    "spec.reshard.maxSkew": durations,
    "spec.delivery.timeout": durations,
    "spec.delivery.queue.maxBytes": numbers | sizes,
    "spec.delivery.queue.spool.maxBytes": numbers | sizes,
    "spec.delivery.events.include": st.lists(words, max_size=2),
    "spec.delivery.sink.http.url": urls,
    "spec.discord.gatewayURL": urls,
}
fields = st.sampled_from(list(FIELDS)).flatmap(lambda path: st.tuples(st.just(path), FIELDS[path] | anything))


@settings(max_examples=500, deadline=None)
@given(fields)
def test_schema_and_models_agree_on_any_value(server, field):
    manifest = server.minimal_with(*field)
    assert bool(server.problems(manifest)) == is_refused(manifest)


def is_refused(manifest: dict[str, Any]) -> bool:
    try:
        parse_manifest(manifest)
    except ManifestError:
        return True
    return False


def test_whole_numbers_have_the_bounds_of_the_models(server):
    def bounded(schema: dict[str, Any], path: str):
        for name, field in schema.get("properties", {}).items():
            if field.get("type") == "integer":
                yield f"{path}.{name}", field["minimum"], field["maximum"]
            yield from bounded(field, f"{path}.{name}")

    found = list(bounded(server.schema["properties"]["spec"], "spec"))

    assert len(found) > 10
    for path, smallest, largest in found:
        for value in (smallest - 1, smallest, largest, largest + 1):
            manifest = server.minimal_with("spec.shards", 65536)
            manifest = server.with_field(manifest, path, value)
            assert bool(server.problems(manifest)) == is_refused(manifest), (path, value)
            assert is_refused(manifest) == (value not in range(smallest, largest + 1)), (path, value)
