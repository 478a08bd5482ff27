"""Rules over several fields, and the bounds that all of them have."""

import copy
from typing import Any

import pytest

from gateway_operator.model import DiscordGateway, ManifestError, parse_manifest

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


def problems_of(data: object) -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("shards", "first", "last", "problems"),
    [
        (
            None,
            0,
            None,
            ["firstShardId: holds a part of the shards, so spec.shards must say how many there are in all"],
        ),
        (None, None, 3, ["lastShardId: holds a part of the shards, so spec.shards must say how many there are in all"]),
        (16, 0, 16, ["lastShardId: must be a whole number from 0 to 15 (spec.shards is 16), not 16"]),
        (16, 16, None, ["firstShardId: must be a whole number from 0 to 15 (spec.shards is 16), not 16"]),
        (16, 8, 7, ["lastShardId: is 7, before firstShardId, which is 8; both are part of the range"]),
    ],
)
def test_a_part_of_the_shards_lies_within_their_number(shards, first, last, problems):
    data = copy.deepcopy(MINIMAL)
    given_fields = {"firstShardId": first, "lastShardId": last}
    data["spec"]["sharding"] = {name: value for name, value in given_fields.items() if value is not None}
    if shards is not None:
        data["spec"]["shards"] = shards

    assert [f"{path}: {message}" for path, message in problems_of(data)] == [
        f"spec.sharding.{problem}" for problem in problems
    ]


@pytest.mark.parametrize(("first", "last"), [(0, 15), (15, 15), (None, 0), (15, None)])
def test_the_first_and_the_last_shard_are_both_part_of_the_range(first, last):
    data = copy.deepcopy(MINIMAL)
    data["spec"]["shards"] = 16
    given_fields = {"firstShardId": first, "lastShardId": last}
    data["spec"]["sharding"] = {name: value for name, value in given_fields.items() if value is not None}

    assert parse_manifest(data).spec.sharding.last_shard_id == last


def part(*, auto: bool | None) -> dict[str, Any]:
    data = copy.deepcopy(MINIMAL)
    data["spec"] |= {"shards": 16, "sharding": {"lastShardId": 7}}
    if auto is not None:
        data["spec"]["reshard"] = {"auto": auto}
    return data


def test_who_holds_a_part_of_the_shards_is_not_resharded_by_itself():
    assert problems_of(part(auto=True)) == [
        (
            "spec.reshard.auto",
            (
                "must be false where spec.sharding.firstShardId or lastShardId is given: the others hold shards as "
                "well, and none can decide alone how many there are"
            ),
        )
    ]


@pytest.mark.parametrize("auto", [None, False])
def test_left_out_it_is_taken_for_false_there(auto):
    assert not parse_manifest(part(auto=auto)).spec.reshards_by_itself


def test_an_event_is_not_included_and_excluded_at_once():
    data = copy.deepcopy(MINIMAL)
    data["spec"]["delivery"]["events"] = {"include": ["MESSAGE_CREATE"], "exclude": ["TYPING_START", "MESSAGE_CREATE"]}

    assert problems_of(data) == [
        ("spec.delivery.events.exclude[1]", "MESSAGE_CREATE is included as well: leave one of the two out")
    ]


def test_every_list_map_and_string_is_bounded():
    """Or the API server would refuse the rules of the resource definition for their cost."""

    def unbounded(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [found for index, part in enumerate(schema) for found in unbounded(part, f"{path}[{index}]")]
        if not isinstance(schema, dict):
            return []
        bound = {"string": "maxLength", "array": "maxItems"}.get(str(schema.get("type")))
        if isinstance(schema.get("additionalProperties"), dict):
            bound = "maxProperties"
        told_apart = "enum" in schema or "const" in schema
        here = [path] if bound and bound not in schema and not told_apart else []
        return here + [found for key, part in schema.items() for found in unbounded(part, f"{path}.{key}")]

    assert unbounded(DiscordGateway.model_json_schema(), "schema") == []


@pytest.mark.parametrize(
    ("reshard", "problem"),
    [
        ({"abortAfter": "33s"}, "must be longer than 33s, for which both shard sets are compared"),
        ({"abortAfter": "9s", "maxSkew": "1s", "fenceTimeout": "1s"}, "must be longer than 9s, for which both"),
        ({"abortAfter": "5m", "settle": "5m"}, "must be longer than settle, as each reshard of several pods"),
    ],
)
def test_a_reshard_is_not_to_be_given_up_before_it_can_have_gone_on(reshard, problem):
    data = copy.deepcopy(MINIMAL)
    data["spec"]["reshard"] = reshard

    [(path, message)] = problems_of(data)
    assert path == "spec.reshard.abortAfter"
    assert message.startswith(problem)


@pytest.mark.parametrize(
    "reshard", [{"abortAfter": "34s"}, {"abortAfter": "10s", "maxSkew": "1s", "fenceTimeout": "1s"}]
)
def test_a_reshard_may_be_given_up_soon_after_it_could_have_gone_on(reshard):
    data = copy.deepcopy(MINIMAL)
    data["spec"]["reshard"] = reshard

    parse_manifest(data)
