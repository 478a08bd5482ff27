"""How events wait, are sent and are given up, as a manifest says it; and how shards are spread over processes."""

import copy
from typing import Any

import pytest

from gateway_operator.core.assignment import _delivery
from gateway_operator.model import ManifestError, Spec, parse_manifest
from shardpod.contract import DeliverySettings, HttpSinkSettings

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

SPOOL_BYTES = "must be 0, or a number of bytes from 1Mi to 1Ti, such as 2Gi"


def manifest_with(**fields: object) -> dict[str, Any]:
    """MINIMAL with fields of spec set, their path's dots written as `__`."""
    data = copy.deepcopy(MINIMAL)
    for path, value in fields.items():
        *parents, last = path.split("__")
        place = data["spec"]
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return data


def spec_with(**fields: object) -> Spec:
    return parse_manifest(manifest_with(**fields)).spec


def problems_with(**fields: object) -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest_with(**fields))
    return [(problem.path.removeprefix("spec."), problem.message) for problem in caught.value.problems]


def test_left_out_fields_have_the_defaults_of_the_documentation():
    spec = spec_with()

    assert (spec.sharding.shards_per_worker, spec.sharding.max_workers) == (8, None)
    assert spec.delivery.max_attempts == 10
    assert (spec.delivery.sink.http.max_in_flight, spec.delivery.sink.http.compression) == (64, "none")
    assert (spec.delivery.queue.shed_first, spec.delivery.queue.spool.max_bytes) == ((), 2 * 2**30)


def test_all_of_them_can_be_set():
    spec = spec_with(
        sharding={"shardsPerWorker": 4, "maxWorkers": 2},
        delivery__maxAttempts=3,
        delivery__sink__http={"url": "http://bot/", "compression": "gzip", "maxInFlight": 8},
        delivery__queue={"overflow": "pause", "shedFirst": ["TYPING_START"], "spool": {"maxBytes": "64Mi"}},
    )

    assert (spec.sharding.shards_per_worker, spec.sharding.max_workers) == (4, 2)
    assert spec.delivery.max_attempts == 3
    assert (spec.delivery.sink.http.max_in_flight, spec.delivery.sink.http.compression) == (8, "gzip")
    queue = spec.delivery.queue
    assert (queue.overflow, queue.shed_first, queue.spool.max_bytes) == ("pause", ("TYPING_START",), 64 * 2**20)


@pytest.mark.parametrize(("given", "size"), [(0, 0), ("0", 0), ("1Mi", 2**20), ("1Ti", 2**40)])
def test_the_spool_is_as_large_as_said_or_not_there(given, size):
    assert spec_with(delivery__queue__spool__maxBytes=given).delivery.queue.spool.max_bytes == size


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sharding.shardsPerWorker", 0, "must be a whole number from 1 to 1024, not 0"),
        ("sharding.shardsPerWorker", 1025, "must be a whole number from 1 to 1024, not 1025"),
        ("sharding.maxWorkers", 0, "must be a whole number from 1 to 256, not 0"),
        ("sharding.maxWorkers", 257, "must be a whole number from 1 to 256, not 257"),
        ("sharding.maxWorkers", None, "has no value: give it one, or leave the field out"),
        ("delivery.maxAttempts", 0, "must be a whole number from 1 to 1000, not 0"),
        ("delivery.maxAttempts", 1001, "must be a whole number from 1 to 1000, not 1001"),
        ("delivery.sink.http.maxInFlight", 0, "must be a whole number from 1 to 1024, not 0"),
        ("delivery.sink.http.maxInFlight", 1025, "must be a whole number from 1 to 1024, not 1025"),
        ("delivery.sink.http.compression", "zstd", 'must be none or gzip, not the text "zstd"'),
        ("delivery.sink.http.compression", True, "must be none or gzip, not true"),
        ("delivery.queue.overflow", "drop", 'must be dropOldest, dropNewest or pause, not the text "drop"'),
        ("delivery.queue.shedFirst", "TYPING_START", "must be a list, not this text"),
        ("delivery.queue.spool", "2Gi", "must be a map, not this text"),
        ("delivery.queue.spool.maxBytes", "1023Ki", f'{SPOOL_BYTES}, not the text "1023Ki"'),
        ("delivery.queue.spool.maxBytes", "2Ti", f'{SPOOL_BYTES}, not the text "2Ti"'),
        ("delivery.queue.spool.maxBytes", -1, f"{SPOOL_BYTES}, not -1"),
        ("delivery.queue.spool.maxBytes", False, f"{SPOOL_BYTES}, not false"),
        ("delivery.queue.spool.maxByte", 1, "unknown field; did you mean maxBytes?"),
    ],
)
def test_a_mistake_is_answered_with_its_path_and_what_is_allowed(path, value, message):
    assert problems_with(**{path.replace(".", "__"): value}) == [(path, message)]


def test_a_type_to_shed_is_named_as_discord_sends_it():
    assert problems_with(delivery__queue__shedFirst=["TYPING_START", "presence"]) == [
        (
            "delivery.queue.shedFirst[1]",
            'must be the name of an event as Discord sends it, such as MESSAGE_CREATE, not the text "presence"',
        )
    ]


def test_a_type_that_is_excluded_cannot_be_shed_first():
    assert problems_with(
        delivery__events={"exclude": ["TYPING_START"]}, delivery__queue__shedFirst=["PRESENCE_UPDATE", "TYPING_START"]
    ) == [
        (
            "delivery.queue.shedFirst[1]",
            "TYPING_START is excluded by spec.delivery.events.exclude: leave it out in one of the two",
        )
    ]


def test_a_type_that_is_not_included_cannot_be_shed_first():
    assert problems_with(
        delivery__events={"include": ["MESSAGE_CREATE"]}, delivery__queue__shedFirst=["MESSAGE_CREATE", "TYPING_START"]
    ) == [
        (
            "delivery.queue.shedFirst[1]",
            "TYPING_START is not among spec.delivery.events.include: add it there, or leave it out here",
        )
    ]


@pytest.mark.parametrize("overflow", ["dropOldest", "dropNewest", "pause"])
def test_types_may_be_shed_first_with_every_overflow_policy(overflow):
    queue = spec_with(delivery__queue={"overflow": overflow, "shedFirst": ["TYPING_START"]}).delivery.queue

    assert (queue.overflow, queue.shed_first) == (overflow, ("TYPING_START",))


def test_pods_are_told_every_setting_of_delivery():
    delivery = spec_with(
        delivery={
            "sink": {
                "http": {"url": "http://bot/", "batch": {"maxEvents": 7}, "maxInFlight": 8, "compression": "gzip"},
            },
            "ordering": "none",
            "timeout": "1500ms",
            "maxAttempts": 3,
            "queue": {
                "maxEvents": 5,
                "maxBytes": "1Mi",
                "overflow": "pause",
                "shedFirst": ["MESSAGE_CREATE"],
                "spool": {"maxBytes": "2Mi"},
            },
            "events": {"include": ["MESSAGE_CREATE"], "exclude": ["TYPING_START"]},
        }
    ).delivery

    assert _delivery(delivery).model_dump() == {
        "http": {"url": "http://bot/", "max_batch_events": 7, "max_in_flight": 8, "compression": "gzip"},
        "ordering": "none",
        "timeout": 1.5,
        "max_attempts": 3,
        "max_queued_events": 5,
        "max_queued_bytes": 2**20,
        "overflow": "pause",
        "shed_first": ("MESSAGE_CREATE",),
        "spool_max_bytes": 2 * 2**20,
        "include": ("MESSAGE_CREATE",),
        "exclude": ("TYPING_START",),
    }


def test_what_a_manifest_leaves_out_is_told_as_the_contract_has_it_too():
    """Or a pod of an older operator would behave unlike the documentation."""
    assert _delivery(spec_with().delivery) == DeliverySettings(http=HttpSinkSettings(url="http://bot:8080/"))
