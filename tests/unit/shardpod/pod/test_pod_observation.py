"""What a pod tells of itself: the operator's report, and the words of /readyz."""

import pytest

from shardpod.contract import from_pod
from shardpod.pod.observation import RECONNECT_GRACE, explain_not_ready, explain_reconnecting, observe
from shardpod.protocol import ShardState


@pytest.fixture(scope="module")
def assignment_of(make_assignment):
    """Of shards 0 to `shards` - 1."""
    return lambda shards: make_assignment(term=5, n=6, range={"first_shard_id": 0, "last_shard_id": shards - 1})


@pytest.fixture(scope="module")
def assignment(assignment_of):
    return assignment_of(2)


def observed(assignment, worker_report, *, stopping=False):
    return observe(
        pod="mybot-e1-0-1", assignment=assignment, report=worker_report, stopping=stopping, http_address="127.0.0.1:1"
    )


# Readiness in words.


def test_a_pod_without_an_assignment_waits_for_it():
    assert explain_not_ready(None, None, stopping=False) == "waiting for the operator's assignment"


def test_a_pod_whose_shards_are_all_connected_is_ready(assignment, report):
    assert explain_not_ready(assignment, report(), stopping=False) is None


def test_a_stopping_pod_says_so(assignment, report):
    assert explain_not_ready(assignment, report(), stopping=True) == "stopping"


def test_what_keeps_a_pod_from_being_ready_is_told_shard_by_shard(assignment_of, shard, report):
    waiting = report(
        shard(0),
        shard(1, ShardState.AWAITING_PERMIT, problem="the identify budget is low"),
        shard(2, ShardState.RESUMING),
    )

    assert explain_not_ready(assignment_of(3), waiting, stopping=False) == (
        "1 of 3 shards connected; shard 1 is awaiting permit (the identify budget is low); shard 2 is resuming"
    )


def test_many_shards_that_wait_are_counted_not_listed(assignment_of, shard, report):
    waiting = report(*(shard(number, ShardState.CONNECTING) for number in range(50)))
    words = explain_not_ready(assignment_of(50), waiting, stopping=False)

    assert words.startswith("0 of 50 shards connected; ")
    assert words.endswith("and 47 more")


HELD_OR_GIVEN = (ShardState.CONNECTED, ShardState.RELEASED)


@pytest.mark.parametrize("state", [state for state in ShardState if state not in HELD_OR_GIVEN])
def test_one_shard_that_is_not_connected_is_enough(assignment, state, shard, report):
    words = explain_not_ready(assignment, report(shard(0), shard(1, state)), stopping=False)

    assert f"shard 1 is {state.replace('_', ' ')}" in words


def test_shards_without_a_worker_are_counted(assignment_of, shard, report):
    words = "2 of 5 shards have a worker, the others are being started"

    assert explain_not_ready(assignment_of(5), report(shard(0), shard(3)), stopping=False) == words


def test_shards_that_have_been_given_to_a_successor_do_not_make_a_pod_not_ready(assignment, shard, report):
    message = observed(assignment, report(shard(0), shard(1, ShardState.RELEASED, session_id=None, backlog=3)))

    assert (message.ready, explain_reconnecting(message)) == (True, None)
    assert (message.shards[1].state, message.shards[1].backlog) == ("released", 3)


def test_a_shard_that_waits_for_its_transfer_says_of_whom(assignment, shard, report):
    waiting = shard(1, ShardState.AWAITING_TRANSFER, session_id=None, problem="mybot-e1-0-1.6 does not answer")

    assert explain_not_ready(assignment, report(shard(0), waiting), stopping=False) == (
        "1 of 2 shards connected; shard 1 is awaiting transfer (mybot-e1-0-1.6 does not answer)"
    )


@pytest.mark.parametrize("state", [ShardState.DISCONNECTED, ShardState.CONNECTING, ShardState.RESUMING])
def test_a_pod_stays_ready_while_a_shard_reconnects_with_its_session_and_says_which(assignment, state, shard, report):
    message = observed(assignment, report(shard(0), shard(1, state, connected_ago=RECONNECT_GRACE, problem="op 7")))

    assert (message.ready, message.why_not_ready) == (True, None)
    assert message.shards[1].state == state.value
    assert explain_reconnecting(message) == f"reconnecting: shard 1 is {state} (op 7)"
    assert explain_reconnecting(observed(assignment, report())) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"connected_ago": RECONNECT_GRACE + 0.1},
        {"connected_ago": None},
        {"connected_ago": 1.0, "session_id": None},
        {"connected_ago": 1.0, "state": ShardState.REFUSED},
    ],
)
def test_a_shard_that_is_away_for_long_or_lost_its_session_makes_its_pod_not_ready(
    assignment_of, changes, shard, report
):
    away = shard(1, **{"state": ShardState.RESUMING, **changes})
    returning = shard(2, ShardState.RESUMING, connected_ago=1.0)
    words = explain_not_ready(assignment_of(3), report(shard(0), away, returning), stopping=False)

    assert words.startswith("1 of 3 shards connected; shard 1 is ")
    assert words.endswith("shard 2 is resuming")


def test_an_assignment_that_cannot_be_carried_out_keeps_a_pod_from_being_ready(assignment):
    message = observe(
        pod="p", assignment=assignment, report=None, stopping=False, http_address=None, problem="ValueError: no port"
    )

    assert not message.ready
    assert message.why_not_ready == "the assignment cannot be carried out: ValueError: no port"


# The report.


def test_before_its_assignment_a_pod_reports_only_its_name():
    message = observed(None, None)

    assert (message.pod, message.term, message.n, message.ready) == ("mybot-e1-0-1", 0, 0, False)
    assert message.shards == ()


def test_the_report_tells_all_and_survives_the_wire(assignment, report):
    message = observed(assignment, report())

    assert from_pod.validate_json(message.model_dump_json()) == message
    assert (message.term, message.n, message.epoch, message.shard_count) == (5, 6, 1, 16)
    assert message.ready
    assert (message.counters.received, message.counters.delivered, message.counters.dropped) == (
        6,
        2,
        {"queue_full": 7},
    )
    assert (message.queue.events, message.queue.bytes, message.queue.oldest_age, message.queue.events_longest) == (
        3,
        300,
        1.5,
        5,
    )
    first = message.shards[0]
    assert (first.seq, first.acknowledged_seq, first.state) == (12, 9, "connected")


def test_spool_dead_letters_transfers_and_gaps_are_reported(assignment, shard, report):
    worker_report = report(shard(0, gap=2.5), shard(1), spool_problem="the disk is full")
    message = observe(
        pod="p", assignment=assignment, report=worker_report, stopping=False, http_address=None, worker_restarts=3
    )

    assert (message.spool.events, message.spool.bytes, message.spool.problem) == (2, 200, "the disk is full")
    assert (message.dead_letters, message.counters.dead_lettered) == (4, 8)
    assert (message.counters.transfers, message.counters.worker_restarts) == (6, 3)
    assert [one.gap for one in message.shards] == [2.5, None]


@pytest.mark.parametrize("known", [True, False])
def test_the_instance_is_told_before_and_after_its_assignment(assignment, report, known):
    message = observe(
        pod="p",
        instance="p.7",
        assignment=assignment if known else None,
        report=report() if known else None,
        stopping=True,
        http_address="127.0.0.1:1",
    )

    assert (message.instance, message.stopping, message.http_address) == ("p.7", True, "127.0.0.1:1")


@pytest.mark.parametrize("state", list(ShardState))
def test_every_state_of_the_protocol_is_one_of_the_contract(assignment, state, shard, report):
    assert observed(assignment, report(shard(0, state))).shards[0].state == state.value


def test_one_checkpoint_names_what_is_settled_and_one_what_is_safe_on_disk_and_none_what_was_received(
    assignment, shard, report
):
    message = observe(
        pod="p",
        identity="of-token-and-intents",
        assignment=assignment,
        report=report(shard(0, seq=12, safe_seq=11, settled_seq=9), shard(1)),
        stopping=False,
        http_address=None,
    )
    one = message.shards[0]
    checkpoint = one.checkpoint_remote

    assert (checkpoint.session_id, checkpoint.seq, checkpoint.resume_gateway_url) == ("s", 9, "wss://resume")
    assert (checkpoint.shard_id, checkpoint.shard_count, checkpoint.identity) == (0, 16, "of-token-and-intents")
    assert one.checkpoint_local == checkpoint.model_copy(update={"seq": 11})
    assert one.seq == 12


@pytest.mark.parametrize("missing", ["session_id", "settled_seq", "resume_gateway_url"])
def test_without_a_whole_session_there_is_no_checkpoint(assignment, missing, shard, report):
    assert observed(assignment, report(shard(0, **{missing: None}))).shards[0].checkpoint_remote is None


def test_what_is_safe_on_disk_alone_is_no_checkpoint_for_others(assignment, shard, report):
    one = observed(assignment, report(shard(0, settled_seq=None, safe_seq=5))).shards[0]

    assert (one.checkpoint_remote, one.checkpoint_local.seq) == (None, 5)
