"""What has waited for two seconds is on disk, and the checkpoint moves with it."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.spool import ShardStore

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


def on_disk(pod):
    """The checkpoint and the keys of the events in the file of a pod that is not running."""
    store = ShardStore.open(pod.scratch / "shard-3.db", shard_id=3, max_bytes=1 << 30)
    try:
        return store.load().session, [one.event.key for one in store.events()]
    finally:
        store.close()


async def with_a_bot_that_is_down(pods, **settings):
    """A pod whose READY is acknowledged, and whose bot is down since. No fixture: those know only the real clock."""
    made = await pods.make("a").start(**settings)
    await asyncio.sleep(1)
    assert pods.bot.keys == ["session-1:1"]
    pods.bot.error = DOWN
    return made


async def test_a_bot_that_is_well_costs_no_event_a_way_to_the_disk(pods):
    pod = await pods.make("a").start()
    await asyncio.sleep(1)
    await pods.discord.flow(20)
    report = pod.report
    await pod.crash()

    assert report.spooled_events == 0
    assert on_disk(pod)[1] == []
    pods.assert_delivered()


async def test_the_checkpoint_of_what_was_acknowledged_is_written_within_a_second(pods):
    pod = await with_a_bot_that_is_down(pods)
    pods.bot.error = None
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(1.5)
    await pod.crash()
    session, events = on_disk(pod)

    assert (session.session_id, session.seq, session.resume_gateway_url) == ("session-1", 4, "wss://resume")
    assert (session.identity, session.shard_count, session.released_to) == ("me", 16, None)
    assert events == []


async def test_what_waits_for_two_seconds_is_on_disk_with_the_checkpoint_beside_it(pods):
    pod = await with_a_bot_that_is_down(pods)
    pods.discord.emit(1, 2)
    await asyncio.sleep(2.0)
    pods.discord.emit(1)
    await asyncio.sleep(1.0)
    report = pod.report
    await pod.crash()
    session, events = on_disk(pod)

    assert events == ["session-1:2", "session-1:3"]
    assert session.seq == 3
    assert (report.spooled_events, report.queued_events) == (2, 3)
    assert report.spooled_bytes > 0
    assert (report.shards[0].settled_seq, report.shards[0].safe_seq) == (1, 3)


async def test_what_was_delivered_leaves_the_disk(pods):
    pod = await with_a_bot_that_is_down(pods)
    pods.discord.emit(*range(1, 50))
    await asyncio.sleep(4)
    assert pod.report.spooled_events == 49
    pods.bot.error = None
    await pods.settle(pod)
    await asyncio.sleep(1)
    report = pod.report
    await pod.crash()

    assert (report.spooled_events, report.spooled_bytes) == (0, 0)
    session, events = on_disk(pod)
    assert (session.seq, events) == (50, [])


async def test_an_event_that_is_delivered_while_it_is_written_is_removed_afterwards(pods, disk):
    pod = await with_a_bot_that_is_down(pods)
    pods.discord.emit(1, 2, 3)
    disk.takes = 3.0
    await asyncio.sleep(3)
    pods.bot.error = None
    await pods.settle(pod)
    disk.takes = 0.001
    await asyncio.sleep(12)
    report = pod.report
    await pod.crash()

    assert report.spooled_events == 0
    assert on_disk(pod)[1] == []


async def test_when_nothing_changes_nothing_is_written(pods, disk):
    await with_a_bot_that_is_down(pods)
    pods.discord.emit(1)
    await asyncio.sleep(5)
    before = disk.writes
    await asyncio.sleep(60)

    assert disk.writes == before


async def test_stopping_writes_everything_at_once(pods):
    pod = await with_a_bot_that_is_down(pods)
    pods.discord.emit(1, 2, 3)
    await pod.stop()
    session, events = on_disk(pod)

    assert events == ["session-1:2", "session-1:3", "session-1:4"]
    assert session.seq == 4


async def test_the_spool_takes_no_more_payload_than_it_may_and_goes_on_when_there_is_room(pods):
    pod = await with_a_bot_that_is_down(pods, spool_max_bytes=20_000)
    for _ in range(10):
        pods.discord.emit(1, size=4_000)
    await asyncio.sleep(4)
    full = pod.report
    assert full.spooled_events == 4
    assert full.spooled_bytes <= 20_000
    assert "20000" in full.spool_problem
    assert (full.shards[0].safe_seq, full.queued_events) == (5, 10)
    pods.bot.error = None
    await pods.settle(pod)
    await asyncio.sleep(2)

    assert pod.report.spool_problem is None
    pods.assert_delivered()


async def test_without_a_spool_there_are_checkpoints_all_the_same(pods):
    pod = await with_a_bot_that_is_down(pods, spool_max_bytes=0)
    pods.discord.emit(1)
    await asyncio.sleep(5)
    report = pod.report
    await pod.crash()
    session, events = on_disk(pod)

    assert (session.seq, events) == (1, [])
    assert report.spool_problem is None
