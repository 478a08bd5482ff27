"""What a worker counts, drops and drains, and how it ends, on a virtual clock."""

import asyncio

import pytest
import structlog.testing

from shardpod.delivery import SinkError
from shardpod.protocol import CLOSE_RESUMABLE
from shardpod.worker import Wait

pytestmark = pytest.mark.looptime

TOKEN = "MTk4.the-bots-token.zzz"


def now():
    return asyncio.get_running_loop().time()


async def test_filtered_events_are_counted_not_delivered_and_move_the_checkpoint(rig):
    rig = await rig(exclude=frozenset({"TYPING_START"})).connected()
    rig.line.event(2, t="TYPING_START")
    rig.line.event(3)
    rig.line.event(4, t="TYPING_START")
    await asyncio.sleep(0.1)

    report = rig.worker.report()
    assert rig.bot.delivered == [1, 3]
    assert report.filtered == 2
    assert report.received == {"READY": 1, "TYPING_START": 2, "MESSAGE_CREATE": 1}
    assert report.shards[0].settled_seq == 4


async def test_with_include_only_those_types_are_delivered_unless_excluded(rig):
    rig = await rig(include=frozenset({"A", "B"}), exclude=frozenset({"B"})).connected()
    for seq, t in enumerate(("A", "B", "C"), 2):
        rig.line.event(seq, t=t)
    await asyncio.sleep(0.1)

    assert rig.bot.delivered == [2]
    assert rig.worker.report().filtered == 3


async def test_dropped_events_are_counted_by_reason_and_type_and_told_once(rig):
    rig = await rig(max_queued_events=5).connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    with structlog.testing.capture_logs() as logs:
        for seq in range(2, 52):
            rig.line.event(seq, guild=str(seq))
        await asyncio.sleep(1)
        dropping = rig.worker.report()
        rig.bot.error = None
        await asyncio.sleep(10)
        rig.worker.report()

    told = [log["event"] for log in logs if "dropped" in log["event"]]
    assert told == ["events are being dropped", "events are no longer dropped"]
    assert sum(dropping.dropped["queue_full"].values()) == 45
    assert set(dropping.dropped["queue_full"]) == {"MESSAGE_CREATE"}
    report = rig.worker.report()
    assert report.delivered + sum(report.dropped["queue_full"].values()) == 51
    assert report.shards[0].settled_seq == 51, "what was dropped on purpose is not asked for again"


async def test_an_overflow_by_bytes_is_told_once_as_well(rig):
    rig = await rig(max_queued_bytes=30_000).connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    with structlog.testing.capture_logs() as logs:
        for seq in range(2, 200):
            rig.line.event(seq, guild=str(seq))
            await asyncio.sleep(0.1)
            rig.worker.report()

    told = [log["event"] for log in logs if "dropped" in log["event"]]
    assert told == ["events are being dropped"]


async def test_the_checkpoint_stays_behind_what_the_bot_has_not_acknowledged(rig):
    rig = await rig().connected()
    rig.bot.error = SinkError("500")
    rig.line.event(2)
    rig.line.event(3)
    await asyncio.sleep(1)

    assert (rig.shard.seq, rig.shard.settled_seq) == (3, 1)
    report = rig.worker.report()
    assert report.queued_events == 2
    assert report.oldest_age >= 1
    assert report.sink_problem == "500"


async def test_while_a_new_session_has_had_no_event_there_is_no_checkpoint_of_the_old(rig):
    rig = await rig().connected()
    rig.line.listener.closed(4009)

    assert (rig.shard.session_id, rig.shard.settled_seq) == (None, None)


# The end.


async def test_stop_closes_every_shard_resumably_and_drains_the_queue(rig):
    rig = rig(shard_ids=(0, 1, 2), shard_count=3)
    await rig.worker.start()
    await asyncio.sleep(0.1)
    for number, line in enumerate(rig.network.lines):
        line.hello()
        await asyncio.sleep(0.1)
        line.ready(session_id=str(number) * 32)
        for seq in range(2, 30):
            line.event(seq)
    before = now()
    await rig.worker.stop(drain_for=20)

    assert [line.closed_with for line in rig.network.lines] == [CLOSE_RESUMABLE] * 3
    assert len(rig.bot.delivered) == 3 * 29
    assert rig.bot.closed
    assert now() - before < 5
    assert [shard.settled_seq for shard in rig.worker.report().shards] == [29, 29, 29]


async def test_stop_gives_up_draining_in_time_and_says_what_is_left(rig):
    rig = await rig().connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    for seq in range(2, 12):
        rig.line.event(seq)
    before = now()
    with structlog.testing.capture_logs() as logs:
        await rig.worker.stop(drain_for=20)

    assert now() - before == pytest.approx(20, abs=0.1)
    assert [log["events"] for log in logs if "not acknowledged" in log["event"]] == [10]
    assert rig.shard.settled_seq == 1


async def test_stop_before_anything_came_ends_at_once_and_for_good(rig):
    rig = rig()
    rig.operator.answers = [Wait(1000.0, "far away")]
    await rig.worker.start()
    await asyncio.sleep(1)
    await rig.worker.stop(drain_for=20)
    await asyncio.sleep(5000)

    assert rig.network.dials == []
    assert now() < 5002


async def test_stop_while_dialling_cancels_the_dial(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.network.fault = hang
    await rig.worker.start()
    await asyncio.sleep(1)
    await rig.worker.stop(drain_for=1)
    await asyncio.sleep(1)

    assert rig.network.cancelled == 1
    assert rig.network.lines == []


async def test_no_log_line_of_a_whole_life_shows_the_token(rig):
    with structlog.testing.capture_logs() as logs:
        rig = await rig().connected()
        rig.line.say(9, d=False)
        await asyncio.sleep(10)
        rig.line.hello()
        await asyncio.sleep(1)
        rig.line.listener.closed(4004)
        await rig.worker.stop(drain_for=1)

    assert logs
    assert TOKEN not in str(logs)
    assert TOKEN not in repr(rig.worker.report())
