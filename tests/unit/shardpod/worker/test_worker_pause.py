"""queue.overflow: pause. A worker whose queue is full reads nothing more, and loses nothing by it."""

import asyncio

import pytest
import structlog.testing

from shardpod.delivery import SinkError
from shardpod.protocol import ShardState

pytestmark = pytest.mark.looptime

DOWN = SinkError("refused", unreachable=True)


async def filled(rig, **settings):
    """A worker whose bot is down and whose queue of ten is full."""
    rig = await rig(overflow="pause", max_queued_events=10, **settings).connected()
    rig.bot.error = DOWN
    for seq in range(2, 12):
        rig.line.event(seq, guild=str(seq))
    return rig


async def test_reading_stops_when_the_queue_is_full_and_goes_on_when_it_has_room(rig):
    with structlog.testing.capture_logs() as logs:
        rig = await filled(rig)
        assert not rig.line.reads
        assert rig.report.paused
        await asyncio.sleep(60)
        assert not rig.line.reads
        rig.bot.error = None
        await asyncio.sleep(10)

    assert rig.line.reads
    assert not rig.report.paused
    assert sorted(rig.bot.delivered) == list(range(1, 12))
    assert rig.report.dropped == {}
    told = [log["event"] for log in logs if "read" in log["event"]]
    assert told == ["the queue is full, nothing more is read from Discord", "the queue has room again, reading goes on"]


async def test_what_was_on_its_way_already_is_kept_over_the_bound(rig):
    rig = await filled(rig)
    for seq in range(12, 15):
        rig.line.event(seq, guild=str(seq))
    assert rig.report.queued_events == 13
    rig.bot.error = None
    await asyncio.sleep(10)

    assert sorted(rig.bot.delivered) == list(range(1, 15))


async def test_all_shards_of_a_worker_stop_reading_together(rig):
    rig = rig(overflow="pause", max_queued_events=10, shard_ids=(0, 1), shard_count=2)
    await rig.worker.start()
    await asyncio.sleep(0.1)
    for number, line in enumerate(rig.network.lines):
        line.hello()
        await asyncio.sleep(0.1)
        line.ready(session_id=str(number) * 32)
    await asyncio.sleep(0.1)
    rig.bot.error = DOWN
    for seq in range(2, 12):
        rig.network.lines[0].event(seq, guild=str(seq))

    assert [line.reads for line in rig.network.lines] == [False, False]


async def test_while_reading_is_paused_heartbeats_go_on_and_silence_makes_no_zombie(rig):
    rig = await filled(rig)
    before = len(rig.line.sent)
    await asyncio.sleep(300)

    beats = [message for _, message in rig.line.sent[before:] if message["op"] == 1]
    assert 6 <= len(beats) <= 8
    assert rig.line.closed_with is None
    assert rig.shard.state is ShardState.CONNECTED


async def test_silence_after_the_pause_is_a_zombie_again(rig):
    rig = await filled(rig)
    await asyncio.sleep(100)
    rig.bot.error = None
    await asyncio.sleep(10)
    assert rig.line.reads
    first = rig.line
    await asyncio.sleep(90)

    assert first.closed_with is not None
    assert rig.line is not first


async def test_a_connection_that_is_connected_while_paused_reads_only_that_far(rig):
    rig = await filled(rig)
    rig.line.listener.closed(None)
    await asyncio.sleep(10)
    assert rig.line.reads, "Hello and RESUMED have to be read"
    rig.line.hello()
    assert rig.line.resume == ("a" * 32, 11)
    rig.line.event(12)
    assert rig.line.reads
    rig.line.resumed(13)
    assert not rig.line.reads
    await asyncio.sleep(200)
    assert rig.line.closed_with is None
    rig.bot.error = None
    await asyncio.sleep(10)

    assert rig.line.reads
    assert sorted(rig.bot.delivered) == list(range(1, 14))


async def test_reading_goes_on_when_room_is_made_by_a_shard_that_went_to_another_pod(rig):
    rig = await filled(rig)
    await asyncio.sleep(1)
    assert rig.worker.report().paused
    await asyncio.sleep(10)
    rig.worker._queue.freeze(3)
    await asyncio.sleep(10)  # what was under way has failed by then
    rig.worker._queue.forget(3)

    assert not rig.worker.report().paused
    assert rig.line.reads
