"""The status as it is written into the resource: right by its schema, and dated where it changed."""

from datetime import UTC, datetime

import jsonschema
import pytest

from gateway_operator.core.status_model import (
    Phase,
    RangeStatus,
    RolloutStatus,
    SessionStartLimitStatus,
    ShardSetStatus,
)
from gateway_operator.kube.status_body import MAX_MESSAGE, MAX_TEXT, status_body

SELECTOR = "discordgateway.dev/gateway=mybot"
MORNING, NOON = "2026-01-02T08:00:00Z", "2026-01-02T12:00:00Z"


def body_of(status, *, previous=None, now=NOON, generation=3):
    return status_body(status, generation=generation, previous=previous, now=now, selector=SELECTOR)


def since(body):
    return {one["type"]: one["lastTransitionTime"] for one in body["conditions"]}


@pytest.fixture
def check(status_schema):
    """As the API server: a status with an unknown field would lose it, and a wrong one is refused."""

    def unknown(schema, value, path="status"):
        if isinstance(value, dict) and "properties" in schema:
            for name, part in value.items():
                assert name in schema["properties"], f"{path}.{name}"
                unknown(schema["properties"][name], part, f"{path}.{name}")
        elif isinstance(value, list):
            for item in value:
                unknown(schema["items"], item, f"{path}[]")

    def run(body):
        jsonschema.validate(body, status_schema, format_checker=jsonschema.FormatChecker())
        unknown(status_schema, body)

    return run


def test_a_calm_gateway_is_right_by_the_schema(check, status_of):
    body = body_of(status_of())

    check(body)
    assert (body["phase"], body["shards"], body["readyShards"]) == ("Running", 16, 16)
    assert body["observedGeneration"] == 3
    assert body["selector"] == SELECTOR
    assert not {"name", "shardRows", "pods", "pending", "reshard"} & body.keys()


def test_a_gateway_in_the_middle_of_everything_is_right_by_the_schema(check, status_of, reshard_of):
    half = ShardSetStatus(epoch=2, shard_count=32, ranges=(RangeStatus(first_shard_id=0, last_shard_id=31),), ready=3)
    status = status_of(
        phase=Phase.DEGRADED,
        pending=half,
        reshard=reshard_of("HandingOver", handed=1, eta=datetime(2026, 1, 2, 9, tzinfo=UTC), waiting_for="the bot"),
        session_start_limit=SessionStartLimitStatus(
            total=1000, remaining=3, reset_at=datetime(2026, 1, 3, tzinfo=UTC), max_concurrency=1
        ),
        rollout=RolloutStatus(restarts=1, pods=2, replaced=1, leaving=1),
        dead_letters=4,
        Degraded=(True, "BotUnreachable", "the bot takes no events"),
    )

    body = body_of(status)

    check(body)
    assert body["reshard"]["from"] == 16
    assert body["reshard"]["startedAt"] == "2026-01-02T00:00:00Z"


def test_a_gateway_of_which_nothing_is_known_is_right_by_the_schema(check, status_of):
    check(body_of(status_of(phase=Phase.PENDING, active=None, shards=0, ready_shards=0, recommended_shards=None)))


def test_a_condition_keeps_its_date_while_its_status_is_the_same(status_of):
    before = body_of(status_of(), now=MORNING)

    after = body_of(
        status_of(
            Degraded=(True, "BotUnreachable", "the bot takes no events"), Ready=(True, "Another", "another reason")
        ),
        previous=before,
    )

    assert since(before) == dict.fromkeys(since(before), MORNING)
    assert since(after) == {**since(before), "Degraded": NOON}


def test_a_new_generation_dates_no_condition_anew(status_of):
    before = body_of(status_of(), now=MORNING, generation=3)
    after = body_of(status_of(), previous=before, generation=4)

    assert since(after) == since(before)
    assert {one["observedGeneration"] for one in after["conditions"]} == {4}


def test_the_same_status_gives_the_same_body(status_of):
    before = body_of(status_of(), now=MORNING)

    assert body_of(status_of(), previous=before) == before


@pytest.mark.parametrize("previous", [{}, {"conditions": None}, {"conditions": ["Ready", {"type": "Ready"}]}])
def test_a_status_of_another_shape_counts_for_nothing(status_of, previous):
    assert set(since(body_of(status_of(), previous=previous)).values()) == {NOON}


def test_texts_that_are_too_long_are_cut_and_do_not_lose_the_rest(check, status_of, reshard_of):
    long = "x" * 100_000
    status = status_of(
        reshard=reshard_of("HandingOver", message=long, waiting_for=long), Degraded=(True, "PodFailing", long)
    )

    body = body_of(status)

    check(body)
    [degraded] = [one for one in body["conditions"] if one["type"] == "Degraded"]
    assert len(degraded["message"]) == MAX_MESSAGE
    assert len(body["reshard"]["message"]) == len(body["reshard"]["waitingFor"]) == MAX_TEXT
    assert body["reshard"]["message"].endswith("…")
