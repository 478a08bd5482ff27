"""Rules over several fields: the API server breaks off where model/rules.py does, and nowhere else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_operator.model import ManifestError, parse_manifest

NEEDS_SHARDS = "holds a part of the shards, so spec.shards must say how many there are in all"
BELOW = "must be below spec.shards: shards are counted from 0"


def refused(manifest) -> list[str]:
    """The paths that the models complain of, those of a list's items as that of the list."""
    try:
        parse_manifest(manifest)
    except ManifestError as error:
        return sorted({problem.path.split("[")[0] for problem in error.problems})
    return []


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"sharding": {"firstShardId": 0}}, [("spec.sharding.firstShardId", NEEDS_SHARDS)]),
        ({"sharding": {"lastShardId": 3}}, [("spec.sharding.lastShardId", NEEDS_SHARDS)]),
        ({"shards": 16, "sharding": {"lastShardId": 16}}, [("spec.sharding.lastShardId", BELOW)]),
        ({"shards": 16, "sharding": {"firstShardId": 16}}, [("spec.sharding.firstShardId", BELOW)]),
        (
            {"shards": 16, "sharding": {"firstShardId": 8, "lastShardId": 7}},
            [("spec.sharding.lastShardId", "is before firstShardId; both are part of the range")],
        ),
        ({"shards": 16, "sharding": {"firstShardId": 15, "lastShardId": 15}}, []),
        ({"shards": 16, "sharding": {"lastShardId": 7}, "reshard": {"auto": False}}, []),
        ({"reshard": {"auto": True}}, []),
        (
            {"shards": 16, "sharding": {"lastShardId": 7}, "reshard": {"auto": True}},
            [
                (
                    "spec.reshard.auto",
                    (
                        "must be false where spec.sharding.firstShardId or lastShardId is given: the others hold "
                        "shards as well, and none can decide alone how many there are"
                    ),
                )
            ],
        ),
    ],
)
def test_a_part_of_the_shards_lies_within_their_number(server, spec, problems):
    manifest = server.minimal_with("spec.shards", 1)
    del manifest["spec"]["shards"]
    manifest["spec"] |= spec

    assert server.problems(manifest) == problems
    assert refused(manifest) == [path for path, _ in problems]


@pytest.mark.parametrize(
    ("include", "exclude", "shed", "problems"),
    [
        (["A"], ["B"], ["A"], []),
        ([], ["B"], ["A"], []),
        (
            ["A", "B"],
            ["B"],
            [],
            [
                (
                    "spec.delivery.events.exclude",
                    "excludes an event that is included as well: leave it out in one of the two",
                )
            ],
        ),
        (
            [],
            ["B"],
            ["A", "B"],
            [
                (
                    "spec.delivery.queue.shedFirst",
                    "sheds an event that spec.delivery.events.exclude keeps out: leave it out in one of the two",
                )
            ],
        ),
        (
            ["A"],
            [],
            ["B"],
            [
                (
                    "spec.delivery.queue.shedFirst",
                    "sheds an event that is not among spec.delivery.events.include: add it there, or leave it out here",
                )
            ],
        ),
    ],
)
def test_lists_of_events_do_not_contradict_one_another(server, include, exclude, shed, problems):
    manifest = server.minimal_with("spec.delivery.queue.shedFirst", shed)
    manifest["spec"]["delivery"]["events"] = {"include": include, "exclude": exclude}

    assert server.problems(manifest) == problems
    assert refused(manifest) == [path for path, _ in problems]


@pytest.mark.parametrize(
    ("reshard", "message"),
    [
        ({"abortAfter": "33s"}, "must be longer than 5 times maxSkew and 4 times fenceTimeout together"),
        ({"abortAfter": "5m", "settle": "5m"}, "must be longer than settle"),
    ],
)
def test_a_reshard_is_not_given_up_before_it_can_have_gone_on(server, reshard, message):
    [(path, told)] = server.problems(server.minimal_with("spec.reshard", reshard))

    assert path == "spec.reshard.abortAfter"
    assert told.startswith(message)


def test_what_is_no_duration_is_told_of_at_its_own_place_only(server):
    problems = server.problems(server.minimal_with("spec.reshard", {"maxSkew": "long", "abortAfter": "10s"}))

    assert {path for path, _ in problems} == {"spec.reshard.maxSkew"}


events = st.lists(st.sampled_from("ABC"), max_size=3)
shards = st.integers(0, 4)
short = st.sampled_from(["1s", "2s", "5s"])
long = st.sampled_from(["1s", "9s", "10s", "33s", "34s", "1m"])


def optional(**fields):
    return st.fixed_dictionaries({}, optional=fields)


@settings(max_examples=150, deadline=None)
@given(
    optional(
        shards=st.integers(1, 4),
        sharding=optional(firstShardId=shards, lastShardId=shards),
        reshard=optional(auto=st.booleans(), abortAfter=long, settle=long, maxSkew=short, fenceTimeout=short),
        delivery=optional(events=optional(include=events, exclude=events), queue=optional(shedFirst=events)),
    )
)
def test_the_rules_are_those_of_the_models(server, spec):
    manifest = server.minimal_with("spec.presence", {})
    delivery = manifest["spec"]["delivery"] | spec.pop("delivery", {})
    manifest["spec"] |= spec | {"delivery": delivery}

    assert sorted({path for path, _ in server.problems(manifest)}) == refused(manifest)
