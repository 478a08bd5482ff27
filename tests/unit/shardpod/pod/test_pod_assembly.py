"""An assignment becomes what each worker has to know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardpod.pod.assembly import begin_message, cut_shards, identity_of, neighbours, worker_settings
from shardpod.pod.config import read_config
from shardpod.spool import StoredSession
from shardpod.worker.messages import Neighbour, Neighbours, decode, encode

STORED = StoredSession("s", "wss://r", 30, 16, "i")
CHECKPOINT = {
    "shard_id": 3,
    "seq": 30,
    "shard_count": 16,
    "session_id": "s",
    "resume_gateway_url": "wss://r",
    "identity": "i",
}


# How shards are cut over workers.


@given(
    first=st.integers(0, 500),
    shards=st.integers(1, 300),
    per_worker=st.integers(1, 40),
    max_workers=st.none() | st.integers(1, 20),
)
def test_every_shard_has_one_worker_in_order_and_workers_are_alike(
    make_assignment, first, shards, per_worker, max_workers
):
    cut = cut_shards(
        make_assignment(
            shard_count=1000,
            range={"first_shard_id": first, "last_shard_id": first + shards - 1},
            shards_per_worker=per_worker,
            max_workers=max_workers,
        )
    )
    sizes = [len(one) for one in cut]

    assert [shard for one in cut for shard in one] == list(range(first, first + shards))
    assert max(sizes) - min(sizes) <= 1
    assert max_workers is None or len(cut) <= max_workers
    if max_workers is None or len(cut) < max_workers:
        assert max(sizes) <= per_worker
        assert len(cut) == 1 or (len(cut) - 1) * per_worker < shards, "no worker more than is needed"


def test_no_more_workers_than_allowed_even_if_each_has_more_shards_than_it_should(make_assignment):
    assert cut_shards(make_assignment(shards_per_worker=2, max_workers=3)) == [
        (0, 1, 2, 3, 4, 5),
        (6, 7, 8, 9, 10),
        (11, 12, 13, 14, 15),
    ]


# What a worker is told.


@pytest.fixture
def settings(make_assignment, config):
    def make(assignment=None, *, workers=1, **options):
        return worker_settings(assignment or make_assignment(), config, (3, 4), workers=workers, **options)

    return make


def test_the_bounds_of_the_manifest_are_divided_among_the_workers(make_assignment, settings):
    delivery = {
        "http": {"url": "http://bot.example/", "max_in_flight": 64, "max_batch_events": 20},
        "max_queued_events": 100,
        "max_queued_bytes": 900,
        "spool_max_bytes": 3000,
        "max_attempts": 4,
    }
    one = settings(make_assignment(delivery=delivery), workers=3)

    assert (one.max_queued_events, one.max_queued_bytes, one.spool_max_bytes, one.senders) == (34, 300, 1000, 22)
    assert (one.max_batch_events, one.max_attempts) == (20, 4), "what is not of the pod stays as it is"


@given(workers=st.integers(1, 500))
def test_however_many_workers_there_are_each_can_queue_and_send(make_assignment, workers):
    config = read_config(
        {
            "GATEWAY_POD_NAME": "p",
            "GATEWAY_CONTROL_ADDRESSES": "unix:/s",
            "GATEWAY_CONTROL_SECRET": "c",
            "DISCORD_TOKEN": "t",
        }
    )
    one = worker_settings(make_assignment(), config, (3,), workers=workers)

    assert min(one.max_queued_events, one.max_queued_bytes, one.senders, one.spool_max_bytes) >= 1
    assert 64 <= one.senders * workers < 64 + workers


@pytest.mark.parametrize(
    ("role", "may_release", "stored_only"),
    [("active", False, False), ("active", True, True), ("draining", False, True), ("ending", False, True)],
)
def test_a_worker_of_a_pod_with_a_successor_takes_up_only_what_it_has(
    make_assignment, config, role, may_release, stored_only
):
    message = begin_message(
        make_assignment(role=role), config, (3,), workers=1, neighbours=Neighbours("me", may_release=may_release)
    )

    assert message.settings.stored_only is stored_only


def test_what_a_worker_is_told_survives_the_wire(make_assignment, config):
    discord = {"gateway_url": "wss://g", "compression": "none", "intents": 1, "presence": {"activities": [{"a": 1}]}}
    message = begin_message(
        make_assignment(discord=discord),
        config,
        (3, 4),
        workers=2,
        neighbours=Neighbours("me", (Neighbour("them", "10.0.0.1:80", 0, 3),), {3: STORED}, may_release=True),
    )

    assert decode(encode(message)) == message


# Identity: of what may be resumed.


def test_the_identity_changes_with_token_and_intents_and_with_nothing_else(make_assignment, environ):
    def identity(*, intents=1, **changes):
        discord = {"gateway_url": "wss://g", "compression": "none", "intents": intents}
        return identity_of(
            make_assignment(discord=discord, epoch=changes.pop("epoch", 1)), read_config(environ | changes)
        )

    assert identity() == identity(epoch=9, GATEWAY_POD_NAME="another", GATEWAY_POD_INSTANCE="another.2")
    assert len({identity(), identity(intents=2), identity(DISCORD_TOKEN="other")}) == 3


def test_the_identity_shows_neither_token_nor_intents(make_assignment, config):
    identity = identity_of(make_assignment(), config)

    assert len(identity) == 16
    assert not any(part in identity for part in (*config.token.split("."), str(53608447)))


def test_the_identity_cannot_be_checked_against_a_guessed_token_without_the_secret(make_assignment, environ):
    other = environ | {"GATEWAY_CONTROL_SECRET": "another"}

    assert identity_of(make_assignment(), read_config(environ)) != identity_of(make_assignment(), read_config(other))


# Neighbours.


def test_peers_become_those_that_shards_are_taken_from(make_assignment, config):
    peers = [
        {"pod": "p", "instance": "p.6", "address": "10.0.0.1:80", "range": {"first_shard_id": 0, "last_shard_id": 7}},
        {"pod": "q", "instance": "q.1", "address": None, "range": {"first_shard_id": 8, "last_shard_id": 15}},
    ]

    assert neighbours(make_assignment(peers=peers), config, stopping=False) == Neighbours(
        "mybot-e1-0-15.7", (Neighbour("p.6", "10.0.0.1:80", 0, 7), Neighbour("q.1", None, 8, 15)), may_release=False
    )


@pytest.mark.parametrize("cut_off", [True, False])
def test_workers_are_told_the_operators_checkpoints_and_whether_there_is_an_operator(make_assignment, config, cut_off):
    told = neighbours(make_assignment(checkpoints=[CHECKPOINT]), config, stopping=False, cut_off=cut_off)

    assert (told.checkpoints, told.cut_off) == ({3: STORED}, cut_off)


@pytest.mark.parametrize(
    ("role", "stopping", "may_release"),
    [("active", False, False), ("active", True, True), ("draining", False, True), ("ending", False, False)],
)
def test_shards_may_be_taken_from_a_pod_that_drains_or_stops(make_assignment, config, role, stopping, may_release):
    assert neighbours(make_assignment(role=role), config, stopping=stopping).may_release is may_release
