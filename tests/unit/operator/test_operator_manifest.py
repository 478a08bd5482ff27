"""Manifests as users write them: what is understood, and what every mistake is answered with."""

import copy
from typing import Any

import pytest

from gateway_operator.model import ManifestError, load_manifest, parse_manifest

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

EVERYTHING = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot, namespace: bots, labels: {app.kubernetes.io/part-of: mybot}, annotations: {note: "a b c"}}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds, GUILD_MESSAGES, 4096]
  presence: {status: dnd, activities: [{name: the shards, type: 3}]}
  discord:
    baseURL: http://rest-proxy:9000/api/v10
    authorizationSecretRef: {name: rest-proxy, key: secret}
    gatewayURL: wss://gateway.example/
    caSecretRef: {name: ca, key: ca.crt}
    compression: zlib-stream
  shards: 32
  sharding: {shardsPerPod: 8, spawnShardDelay: 1500ms, maxConcurrency: 4, firstShardId: 8, lastShardId: 23}
  reshard:
    {auto: false, percentage: 70, basis: average, useOptimalLargeBotSharding: false, identifyReserve: 250,
     abortAfter: 1h, settle: 0s, drainDelay: 500ms, maxSkew: 100ms, fenceTimeout: 30s, voice: wait,
     window: {cron: "0 3 * * 1-5", duration: 90m}}
  delivery:
    sink:
      http: {url: "https://bot.example/events", authorizationSecretRef: {name: bot, key: s}, batch: {maxEvents: 50}}
    ordering: shard
    timeout: 5m
    queue: {maxEvents: 5000, maxBytes: 1G, overflow: dropNewest}
    events: {include: [MESSAGE_CREATE], exclude: [TYPING_START]}
"""

NOT_A_NAME = "must be at most 40 lower-case letters, digits and hyphens, no hyphen first or last"

REMOVED = object()


def manifest_with(path: str, value: object) -> dict[str, Any]:
    """MINIMAL with one field set, or taken out."""
    data = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place.setdefault(name, {})
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return data


def problems_of(data: object) -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_the_smallest_manifest_has_the_defaults_of_the_documentation():
    spec = parse_manifest(MINIMAL).spec

    assert spec.shards is None
    assert spec.presence is None
    assert spec.discord.base_url == "https://discord.com/api/v10"
    assert spec.discord.compression == "zstd-stream"
    assert spec.sharding.shards_per_pod == 16
    assert spec.sharding.spawn_shard_delay == 0
    assert spec.reshard.identify_reserve == 100
    assert spec.delivery.ordering == "guild"
    assert spec.delivery.timeout == 10
    assert spec.delivery.sink.http.batch.max_events == 1
    assert (spec.delivery.queue.max_events, spec.delivery.queue.max_bytes) == (100_000, 256 * 2**20)
    assert spec.delivery.queue.overflow == "dropOldest"
    assert spec.delivery.events.include == spec.delivery.events.exclude == ()


def test_a_gateway_reshards_by_itself_unless_a_person_decides():
    assert parse_manifest(MINIMAL).spec.reshards_by_itself
    assert not parse_manifest(manifest_with("spec.reshard", {"auto": False})).spec.reshards_by_itself
    assert not parse_manifest(manifest_with("spec.shards", 8)).spec.reshards_by_itself


def test_the_defaults_of_a_reshard_are_those_of_the_documentation():
    reshard = parse_manifest(MINIMAL).spec.reshard

    assert (reshard.auto, reshard.percentage, reshard.basis) == (True, 80, "fullestShard")
    assert reshard.use_optimal_large_bot_sharding
    assert (reshard.abort_after, reshard.settle, reshard.drain_delay) == (1800, 5, 30)
    assert (reshard.max_skew, reshard.fence_timeout, reshard.voice) == (5, 2, "rejoin")
    assert not reshard.events
    assert reshard.window is None


def test_every_field_that_works_is_understood():
    gateway = load_manifest(EVERYTHING)

    spec = gateway.spec
    assert (gateway.metadata.name, gateway.metadata.namespace) == ("mybot", "bots")
    assert spec.intents_value == 1 | 512 | 4096
    assert spec.sharding.spawn_shard_delay == 1.5
    assert (spec.sharding.first_shard_id, spec.sharding.last_shard_id) == (8, 23)
    assert (spec.reshard.percentage, spec.reshard.basis) == (70, "average")
    assert (spec.reshard.settle, spec.reshard.max_skew, spec.reshard.fence_timeout) == (0, 0.1, 30)
    assert spec.reshard.window is not None
    assert (spec.reshard.window.cron, spec.reshard.window.duration) == ("0 3 * * 1-5", 5400)
    assert spec.delivery.timeout == 300
    assert spec.delivery.queue.max_bytes == 10**9
    assert spec.delivery.events.include == ("MESSAGE_CREATE",)
    assert spec.discord.gateway_url == "wss://gateway.example/"
    assert spec.discord.ca_secret_ref is not None
    assert spec.discord.ca_secret_ref.key == "ca.crt"


def test_a_presence_is_sent_with_the_null_that_discord_wants():
    presence = load_manifest(EVERYTHING).spec.presence

    assert presence is not None
    assert presence.payload() == {
        "since": None,
        "activities": [{"name": "the shards", "type": 3}],
        "status": "dnd",
        "afk": False,
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        # Missing, empty, unknown.
        ("metadata", REMOVED, "is missing"),
        ("metadata.name", REMOVED, "is missing"),
        ("spec.tokenSecretRef", REMOVED, "is missing"),
        ("spec.intents", REMOVED, "is missing"),
        ("spec.delivery", REMOVED, "is missing"),
        ("spec.delivery.sink.http.url", REMOVED, "is missing"),
        ("spec.shards", None, "has no value: give it one, or leave the field out"),
        ("spec.discord", None, "has no value: give it one, or leave the field out"),
        ("spec.delivery.events.include", None, "has no value: give it one, or leave the field out"),
        ("spec.intentss", [], "unknown field; did you mean intents?"),
        ("spec.sharding.shards_per_pod", 8, "unknown field; did you mean shardsPerPod?"),
        ("spec.discord.baseUrl", "https://x", "unknown field; did you mean baseURL?"),
        ("spec.shardsPerPod", 8, "unknown field; it belongs under spec.sharding"),
        ("spec.delivery.sink.http.maxEvents", 8, "unknown field; it belongs under spec.delivery.sink.http.batch"),
        ("spec.zebra", 8, "unknown field"),
        ("status", {}, "unknown field"),
        ("metadata.uid", "x", "unknown field"),
        # Whole numbers.
        ("spec.shards", 0, "must be a whole number from 1 to 65536, not 0"),
        ("spec.shards", "32", 'must be a whole number from 1 to 65536, not the text "32"'),
        ("spec.shards", 1.5, "must be a whole number from 1 to 65536, not 1.5"),
        ("spec.shards", True, "must be a whole number from 1 to 65536, not true"),
        ("spec.shards", [1], "must be a whole number from 1 to 65536, not a list"),
        ("spec.sharding.shardsPerPod", 0, "must be a whole number from 1 to 1024, not 0"),
        ("spec.sharding.maxConcurrency", -1, "must be a whole number from 1 to 1024, not -1"),
        ("spec.reshard.identifyReserve", -1, "must be a whole number from 0 to 100000, not -1"),
        ("spec.delivery.queue.maxEvents", 0, "must be a whole number from 1 to 100000000, not 0"),
        # Choices.
        ("spec.discord.compression", "zstd", 'must be zstd-stream, zlib-stream or none, not the text "zstd"'),
        ("spec.delivery.ordering", "channel", 'must be guild, shard or none, not the text "channel"'),
        ("spec.presence.status", "away", 'must be online, dnd, idle or invisible, not the text "away"'),
        ("spec.presence.afk", "no", 'must be true or false, not the text "no"'),
        ("spec.reshard.auto", 0, "must be true or false, not 0"),
        ("spec.reshard.basis", "fullest", 'must be fullestShard or average, not the text "fullest"'),
        ("spec.reshard.voice", "leave", 'must be rejoin or wait, not the text "leave"'),
        ("spec.reshard.percentage", 0, "must be a whole number from 1 to 100, not 0"),
        ("spec.reshard.percentage", 101, "must be a whole number from 1 to 100, not 101"),
        # Durations, quantities.
        (
            "spec.delivery.timeout",
            10,
            "must be a duration with its unit (ms, s, m or h), from 100ms to 10m, such as 10s, not 10",
        ),
        (
            "spec.delivery.timeout",
            "1d",
            'must be a duration with its unit (ms, s, m or h), from 100ms to 10m, such as 10s, not the text "1d"',
        ),
        (
            "spec.sharding.spawnShardDelay",
            "-1s",
            'must be a duration with its unit (ms, s, m or h), at most 10m, such as 1500ms, not the text "-1s"',
        ),
        (
            "spec.delivery.queue.maxBytes",
            "256MB",
            'must be a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G, not the text "256MB"',
        ),
        ("spec.delivery.queue.maxBytes", 1, "must be a number of bytes from 64Ki to 1Ti, such as 256Mi or 1G, not 1"),
        # Maps and lists.
        ("spec", [], "must be a map, not a list"),
        ("spec.delivery.queue", 5, "must be a map, not this value"),
        ("spec.intents", "Guilds", "must be a list, not this text"),
        ("spec.intents", {"Guilds": True}, "must be a list, not a map"),
        ("spec.intents", [], "has too few items: at least 1 is needed"),
        ("spec.intents", ["Guilds"] * 65, "has too many items: at most 64 are allowed"),
        ("metadata.labels", "x", "must be a map, not this text"),
        # Text.
        (
            "metadata.name",
            "My Bot",
            f'{NOT_A_NAME}, not the text "My Bot"',
        ),
        (
            "metadata.name",
            7,
            f"{NOT_A_NAME}, not 7",
        ),
        (
            "metadata.name",
            "a" * 41,
            f'{NOT_A_NAME}, not the text "{"a" * 41}"',
        ),
    ],
)
def test_a_mistake_is_answered_with_its_path_and_what_is_allowed(path, value, message):
    assert problems_of(manifest_with(path, value)) == [(path, message)]


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        (
            "spec.delivery.events.include",
            ["MESSAGE_CREATE", "message_update"],
            "spec.delivery.events.include[1]",
            'must be the name of an event as Discord sends it, such as MESSAGE_CREATE, not the text "message_update"',
        ),
        (
            "spec.intents",
            ["Guilds", "GuildMesages"],
            "spec.intents[1]",
            '"GuildMesages" is no intent; did you mean GuildMessages?',
        ),
        (
            "spec.intents",
            [True],
            "spec.intents[0]",
            "must be the name of an intent, such as GuildMessages, or a number, not true",
        ),
        (
            "spec.intents",
            [-1],
            "spec.intents[0]",
            "must be the name of an intent, such as GuildMessages, or a number, not -1",
        ),
        (
            "spec.presence.activities",
            [{"name": "a"}, {"name": "b", "kind": 3}],
            "spec.presence.activities[1].kind",
            "unknown field",
        ),
        (
            "metadata.labels",
            {"version": 2},
            "metadata.labels.version",
            "must be text of at most 63 letters, digits, '-', '_' and '.' (numbers and true/false in quotes), not 2",
        ),
        (
            "metadata.labels",
            {"a b": "c"},
            "metadata.labels.a b",
            'must be a name such as app.kubernetes.io/part-of, not the text "a b"',
        ),
    ],
)
def test_a_mistake_inside_a_list_or_map_is_answered_with_its_place(path, value, place, message):
    assert problems_of(manifest_with(path, value)) == [(place, message)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.delivery.sink.websocket", {}),
        ("spec.delivery.sink.nats", {}),
        ("spec.delivery.sink.redis", {}),
        ("spec.delivery.suppressUnchangedEdits", False),
        ("spec.commands", {"enabled": True}),
        ("spec.handlers", {"module": "mybot"}),
    ],
)
def test_what_does_not_work_yet_is_refused_when_given(path, value):
    assert problems_of(manifest_with(path, value)) == [(path, "not supported yet: leave it out")]


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("abortAfter", "0s", "from 1s to 24h, such as 30m"),
        ("abortAfter", "25h", "from 1s to 24h, such as 30m"),
        ("settle", "61m", "at most 1h, such as 5s"),
        ("drainDelay", "2h", "at most 1h, such as 30s"),
        ("maxSkew", "99ms", "from 100ms to 60s, such as 5s"),
        ("maxSkew", "61s", "from 100ms to 60s, such as 5s"),
        ("fenceTimeout", "99ms", "from 100ms to 30s, such as 2s"),
        ("fenceTimeout", "31s", "from 100ms to 30s, such as 2s"),
    ],
)
def test_the_times_of_a_reshard_have_bounds(field, value, allowed):
    message = f'must be a duration with its unit (ms, s, m or h), {allowed}, not the text "{value}"'
    assert problems_of(manifest_with(f"spec.reshard.{field}", value)) == [(f"spec.reshard.{field}", message)]


@pytest.mark.parametrize("cron", ["", "daily", "@daily", "0 3 * *", "0 0 3 * * *", "61 * * * *", "0 0 30 2 *", 3])
def test_a_window_begins_on_dates_that_come(cron):
    [(path, message)] = problems_of(manifest_with("spec.reshard.window", {"cron": cron, "duration": "2h"}))

    assert path == "spec.reshard.window.cron"
    assert message.startswith('must be a cron expression of five fields, in UTC, such as "0 3 * * 1-5", not ')


def test_a_window_has_a_duration():
    window = {"cron": "0 3 * * *"}

    assert problems_of(manifest_with("spec.reshard.window", window)) == [("spec.reshard.window.duration", "is missing")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.tokenSecretRef", "MTk4.secret.token"),
        ("spec.tokenSecretRef.name", "MTk4.secret.token"),
        ("spec.tokenSecretRef.key", "MTk4 secret token"),
        ("spec.delivery.sink.http.authorizationSecretRef", ["secret"]),
        ("spec.delivery.queue", "secret"),
    ],
)
def test_a_secret_written_in_the_wrong_place_is_not_repeated(path, value):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest_with(path, value))

    text = str(caught.value)
    assert "secret token" not in text
    assert "MTk4" not in text
    assert '"secret"' not in text


def test_all_problems_are_told_at_once_one_line_each():
    data = manifest_with("spec.shards", 0)
    data["spec"]["handlers"] = {}
    data["metadata"]["name"] = "x_y"

    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)

    assert str(caught.value).splitlines() == [
        f'metadata.name: {NOT_A_NAME}, not the text "x_y"',
        "spec.shards: must be a whole number from 1 to 65536, not 0",
        "spec.handlers: not supported yet: leave it out",
    ]


def test_a_problem_says_what_is_allowed_apart_from_what_was_wrong():
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest_with("spec.shards", 0))

    [problem] = caught.value.problems
    assert problem.allowed == "a whole number from 1 to 65536"
