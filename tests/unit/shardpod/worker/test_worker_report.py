"""Several workers' reports as one."""

import msgspec

from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport
from shardpod.worker.report import counts_only, merged


def shard(shard_id):
    return ShardReport(
        shard_id=shard_id,
        state=ShardState.CONNECTED,
        guilds=1,
        unavailable_guilds=0,
        all_guilds_loaded=True,
        latency=0.1,
        session_id="s",
        resume_gateway_url="wss://r",
        seq=1,
        settled_seq=1,
        close_code=None,
        problem=None,
    )


def numbered(factor):
    """A report in which every number differs from all others, so that a mix-up shows."""
    numbers = {
        field.name: (index + 1) * factor
        for index, field in enumerate(msgspec.structs.fields(WorkerReport))
        if field.type in (int, float)
    }
    return WorkerReport(**numbers)


def test_no_report_merges_to_an_empty_one():
    assert merged([]) == WorkerReport()


def test_one_report_merges_to_itself():
    report = WorkerReport(
        shards=(shard(1),),
        received={"A": 1},
        dropped={"queue_full": {"A": 2}},
        sink_up=False,
        sink_problem="refused",
        spool_problem="full",
        paused=True,
    )

    assert merged([report]) == report
    assert merged([numbered(3)]) == numbered(3)


def test_every_number_is_summed_but_the_age_of_the_oldest():
    one, other, both = numbered(1), numbered(100), merged([numbered(1), numbered(100)])

    for field in msgspec.structs.fields(WorkerReport):
        if field.type is int:
            total = getattr(one, field.name) + getattr(other, field.name)
            assert getattr(both, field.name) == total, field.name
    assert both.oldest_age == other.oldest_age


def test_shards_come_in_order_whatever_worker_holds_them():
    both = merged([WorkerReport(shards=(shard(4), shard(9))), WorkerReport(shards=(shard(1), shard(7)))])

    assert [one.shard_id for one in both.shards] == [1, 4, 7, 9]


def test_counts_by_type_and_by_reason_are_added_up():
    both = merged(
        [
            WorkerReport(received={"A": 1, "B": 2}, dropped={"shed": {"T": 1}}),
            WorkerReport(received={"B": 3}, dropped={"shed": {"T": 2, "P": 1}, "queue_full": {"A": 5}}),
        ]
    )

    assert both.received == {"A": 1, "B": 5}
    assert both.dropped == {"shed": {"T": 3, "P": 1}, "queue_full": {"A": 5}}


def test_of_what_is_a_state_the_worst_is_told():
    well = WorkerReport()
    ill = WorkerReport(sink_up=False, sink_problem="refused", spool_problem="full", paused=True)
    for both in (merged([well, ill]), merged([ill, well])):
        assert (both.sink_up, both.sink_problem) == (False, "refused")
        assert (both.spool_problem, both.paused) == ("full", True)


def test_of_a_worker_that_has_ended_only_its_counts_go_on():
    ended = counts_only(
        WorkerReport(
            shards=(shard(1),),
            queued_events=5,
            spooled_events=4,
            dead_letters=3,
            sink_up=False,
            received={"A": 7},
            delivered=6,
            dropped={"shed": {"A": 1}},
            dead_lettered=2,
            transfers=1,
        )
    )

    assert ended == WorkerReport(
        received={"A": 7}, delivered=6, dropped={"shed": {"A": 1}}, dead_lettered=2, transfers=1
    )
