"""Manifests that the API server refuses, with a message that tells which field and what is allowed.

What each rule says in full: tests/unit/operator/crd. Here it is what a person sees, of a real API server.
"""

import json

import pytest
from asperson import manifests

FIRST_PART, SHARDS_FIRST = {"firstShardId": 0}, {"firstShardId": 4, "lastShardId": 2}


def delivery(**others):
    return {"delivery": {"sink": {"http": {"url": "http://bot:8080/"}}, **others}}


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"intents": ["GuildMesages"]}, "spec.intents[0]", "should match"),
        ({"intents": []}, "spec.intents", "should have at least 1 items"),
        ({"shards": 0}, "spec.shards", "should be greater than or equal to 1"),
        ({"sharding": {"shardsPerPod": "many"}}, "spec.sharding.shardsPerPod", "must be of type integer"),
        ({"sharding": FIRST_PART}, "spec.sharding.firstShardId", "spec.shards must say how many there are in all"),
        ({"shards": 8, "sharding": SHARDS_FIRST}, "spec.sharding.lastShardId", "is before firstShardId"),
        ({"shards": 2, "sharding": {"lastShardId": 2}}, "spec.sharding.lastShardId", "shards are counted from 0"),
        (delivery(timeout="10"), "spec.delivery.timeout", "must be a duration with its unit (ms, s, m or h)"),
        (delivery(queue={"maxBytes": "lots"}), "spec.delivery.queue.maxBytes", "such as 256Mi"),
        ({"delivery": {}}, "spec.delivery.sink", "Required value"),
        ({"delivery": {"sink": {"http": {"url": "bot:8080"}}}}, "spec.delivery.sink.http.url", "such as http://bot:80"),
        ({"reshard": {"basis": "fullest"}}, "spec.reshard.basis", 'supported values: "fullestShard", "average"'),
        ({"reshard": {"abortAfter": "10s"}}, "spec.reshard.abortAfter", "must be longer than 5 times maxSkew"),
        ({"reshard": {"window": {"cron": "nightly", "duration": "2h"}}}, "spec.reshard.window.cron", "five fields"),
        ({"discord": {"compression": "gzip"}}, "spec.discord.compression", '"zstd-stream"'),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("spec.") else "",
)
def test_a_wrong_field_is_refused_and_named_with_what_is_allowed(person, spec, field, words):
    said = applied(person, manifests.gateway("wrong", **spec))

    assert f"{field}: " in said
    assert words in said


def test_a_field_that_does_not_exist_is_refused_by_its_name(person):
    said = applied(person, manifests.gateway("wrong", shrads=4))

    assert 'unknown field "spec.shrads"' in said


def test_a_name_too_long_for_the_pods_is_refused(person):
    assert "metadata.name: Too long: may not be more than 40" in applied(person, manifests.gateway("n" * 41))


def test_all_that_is_wrong_is_told_at_once(person):
    said = applied(person, manifests.gateway("wrong", shards=0, intents=[], sharding={"shardsPerPod": 0}))

    for field in ("spec.shards", "spec.intents", "spec.sharding.shardsPerPod"):
        assert f"{field}: " in said


def applied(person, manifest):
    return person.is_refused("kubectl apply --dry-run=server -f -", stdin=json.dumps(manifest))
