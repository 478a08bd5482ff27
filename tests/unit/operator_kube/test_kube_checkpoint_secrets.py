"""Sessions in Secrets: what is written is read back, and what is spoiled costs no more than itself."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from gateway_operator.core.world import PodSpec, ShardSet
from gateway_operator.kube.checkpoint_secrets import (
    KEY,
    MAX_CHECKPOINT_BYTES,
    by_range,
    checkpoint_secret,
    read_checkpoints,
)
from gateway_operator.kube.names import read_range
from shardpod.contract import Checkpoint, ShardRange

MAX_SECRET_BYTES = 1024 * 1024
"""API reference, Secret: data."""


def checkpoint(shard_id=0, shard_count=16, session="s" * 32, **fields):
    return Checkpoint(
        shard_id=shard_id,
        shard_count=shard_count,
        session_id=session,
        seq=7,
        resume_gateway_url="wss://gateway-us-east1-b.discord.gg",
        **fields,
    )


def secret_with(text):
    return {
        "metadata": {"name": "mybot-checkpoints-e1-0-15"},
        "data": {KEY: base64.b64encode(text.encode()).decode()},
    }


checkpoints = st.builds(
    Checkpoint,
    shard_id=st.integers(0, 15),
    shard_count=st.just(16),
    session_id=st.text(max_size=40),
    seq=st.integers(0, 2**53),
    resume_gateway_url=st.text(max_size=40),
    identity=st.text("0123456789abcdef", max_size=64),
    guilds=st.integers(0, 10**6),
)


@trying(deadline=None)
@given(st.lists(checkpoints, unique_by=lambda one: one.shard_id))
def test_what_is_written_is_read_back(owner, pod, given_checkpoints):
    written = checkpoint_secret(owner, pod, given_checkpoints)

    read = read_checkpoints(written.secret)

    assert not written.left_out
    assert sorted(read.checkpoints, key=lambda one: one.shard_id) == sorted(
        given_checkpoints, key=lambda one: one.shard_id
    )
    assert not read.problems


def test_the_order_in_which_they_came_changes_nothing(owner, pod):
    one, other = checkpoint(0), checkpoint(1)

    assert checkpoint_secret(owner, pod, [one, other]) == checkpoint_secret(owner, pod, [other, one])


def test_a_secret_is_found_by_its_range(owner, pod):
    secret = checkpoint_secret(owner, pod, []).secret

    assert secret["metadata"]["name"] == "mybot-checkpoints-e1-0-15"
    assert read_range(secret) == pod


def test_the_largest_pod_with_the_longest_sessions_fits_into_a_secret(owner):
    held = ShardRange(first_shard_id=0, last_shard_id=1023)
    spare = MAX_CHECKPOINT_BYTES - len(json.dumps(checkpoint(1023, 1024).model_dump(), separators=(",", ":")))
    longest = [checkpoint(shard_id, 1024, session="s" * (32 + spare)) for shard_id in range(1024)]

    written = checkpoint_secret(owner, PodSpec("mybot-e1-0-1023", 1, held), longest)

    assert not written.left_out
    assert len(base64.b64decode(written.secret["data"][KEY])) <= MAX_SECRET_BYTES


def test_a_session_that_is_no_session_of_discords_is_left_out_and_told(owner, pod):
    written = checkpoint_secret(owner, pod, [checkpoint(0), checkpoint(1, session="s" * 2000)])

    assert written.left_out == (1,)
    assert [one.shard_id for one in read_checkpoints(written.secret).checkpoints] == [0]


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"metadata": {"name": "x"}, "data": None},
        {"metadata": {"name": "x"}, "data": {KEY: "no base64!"}},
        secret_with("no json"),
        secret_with("[" * 100_000),
        secret_with("{}"),
        secret_with("7"),
    ],
)
def test_a_secret_that_cannot_be_read_gives_nothing_but_the_reason(secret):
    read = read_checkpoints(secret)

    assert read.checkpoints == ()
    [problem] = read.problems
    assert "sessions are not known" in problem


def test_one_entry_that_is_spoiled_spoils_no_other():
    good = checkpoint(3).model_dump()
    secret = secret_with(json.dumps([good, {**good, "seq": "secret-session"}, "secret-session", None]))

    read = read_checkpoints(secret)

    assert read.checkpoints == (checkpoint(3),)
    assert [problem.split(";")[0] for problem in read.problems] == [
        f"mybot-checkpoints-e1-0-15: {KEY}[1] cannot be used (seq)",
        f"mybot-checkpoints-e1-0-15: {KEY}[2] cannot be used (all of it)",
        f"mybot-checkpoints-e1-0-15: {KEY}[3] cannot be used (all of it)",
    ]
    assert "secret-session" not in "".join(read.problems)


def test_each_live_set_has_its_ranges_and_each_session_its_place():
    def ranges(*pairs):
        return tuple(ShardRange(first_shard_id=first, last_shard_id=last) for first, last in pairs)

    active, pending = ShardSet(1, 4, ranges((0, 1), (2, 3))), ShardSet(2, 8, ranges((0, 7)))
    known = {(one.shard_id, one.shard_count): one for one in (checkpoint(0, 4), checkpoint(3, 4), checkpoint(3, 8))}
    known[5, 16] = checkpoint(5, 16)

    placed = {pod.name: kept for pod, kept in by_range("mybot", [active, pending], known).items()}

    assert placed == {
        "mybot-e1-0-1": [checkpoint(0, 4)],
        "mybot-e1-2-3": [checkpoint(3, 4)],
        "mybot-e2-0-7": [checkpoint(3, 8)],
    }
