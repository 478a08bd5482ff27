"""When the disk fails: nothing is lost while the process lives, and no checkpoint claims what is not there."""

import asyncio

import pytest
import structlog.testing

from shardpod.delivery import SinkError
from shardpod.spool import SpoolFullError, StoreError, StoreReplacedError

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def with_events_on_disk(pods, **settings):
    """Three events wait and are on disk; three more come."""
    pod = await pods.make("a").start(**settings)
    await asyncio.sleep(1)
    pods.bot.error = DOWN
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(4)
    assert pod.report.spooled_events == 3
    return pod


@pytest.mark.parametrize(
    "error", [SpoolFullError("no space left on device"), StoreError("disk I/O error")], ids=["full", "broken"]
)
async def test_a_flush_that_fails_is_made_up_for_once_the_disk_is_well(pods, disk, error):
    pod = await with_events_on_disk(pods)
    disk.error = error
    pods.discord.emit(1, 2, 3)
    with structlog.testing.capture_logs() as logs:
        await asyncio.sleep(10)
        failing = pod.report
        disk.error = None
        await asyncio.sleep(2)

    assert (failing.spooled_events, failing.queued_events) == (3, 6)
    assert str(error) in failing.spool_problem
    assert failing.shards[0].safe_seq == 4
    assert (pod.report.spooled_events, pod.report.spool_problem) == (6, None)
    assert pod.shard.safe_seq == 7
    assert len([log for log in logs if "takes no more" in log["event"]]) == 1, "it is told once"
    await pod.crash()
    pods.bot.error = None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)
    pods.assert_delivered()


async def test_a_crash_while_the_disk_is_full_resumes_from_what_is_on_it(pods, disk):
    pod = await with_events_on_disk(pods)
    disk.fill()
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(5)
    await pod.crash()
    disk.error = pods.bot.error = None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)

    assert pods.discord.resumes == [("session-1", 4)]
    pods.assert_delivered()


async def test_a_full_disk_still_takes_checkpoints_and_gives_room_back(pods, disk):
    pod = await with_events_on_disk(pods)
    disk.fill()
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(3)
    pods.bot.error = None
    await pods.settle(pod)
    await asyncio.sleep(1)

    assert pod.report.spooled_events == 0
    await pod.crash()
    await pod.start()
    await asyncio.sleep(1)
    assert pods.discord.resumes == [("session-1", 7)]


async def test_events_delivered_while_their_write_fails_are_neither_written_again_nor_counted(pods, disk):
    pod = await with_events_on_disk(pods)
    disk.takes = 3.0
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(2.6)  # the write is under way
    disk.fill()
    pods.bot.error = None
    await pods.settle(pod)
    disk.takes, disk.error = 0.001, None
    await asyncio.sleep(12)

    assert (pod.report.spooled_events, pod.report.spooled_bytes) == (0, 0)
    await pod.crash()
    await pod.start()
    await asyncio.sleep(1)
    pods.assert_delivered()


async def test_a_store_that_turns_out_corrupt_is_written_anew_from_memory(pods, disk):
    pod = await with_events_on_disk(pods)
    (file,) = pod.worker._spooler.files.values()
    write = file.store.write

    def corrupt(changes):
        """What the real one does: an empty store takes the place of the file."""
        file.store.write = write
        file.store._move_aside("database disk image is malformed")
        file.store._open_database = file.store._connect_fresh()
        raise StoreReplacedError("database disk image is malformed", pod.scratch)

    corrupt.__name__ = "write"
    file.store.write = corrupt
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(6)

    assert pod.report.spooled_events == 6
    assert pod.shard.safe_seq == 7
    await pod.crash()
    pods.bot.error = None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)
    pods.assert_delivered()


async def test_a_file_that_cannot_be_read_at_the_start_costs_what_was_in_it_and_not_the_start(pods):
    pod = await with_events_on_disk(pods)
    await pod.crash()
    (pod.scratch / "shard-3.db").write_bytes(b"no database at all" * 1000)
    pods.bot.error = None
    with structlog.testing.capture_logs() as logs:
        await pod.start()
    await asyncio.sleep(1)

    assert any("moved aside" in log["event"] for log in logs)
    assert pods.discord.identifies == 2
    assert pods.bot.keys[-1] == "session-2:1"


async def test_a_caller_that_is_cancelled_does_not_leave_the_spool_in_doubt(pods, disk):
    """Whoever takes over a shard may be stopped while its backlog is written."""
    pod = await with_events_on_disk(pods)
    disk.takes = 1.0
    pods.discord.emit(1, 2)
    flush = asyncio.create_task(pod.worker._spooler.flush(pod.worker._outstanding(), everything=True))
    await asyncio.sleep(0.5)
    flush.cancel()
    await asyncio.sleep(5)
    (file,) = pod.worker._spooler.files.values()

    assert pod.report.spooled_events == 5
    assert [one.event.seq for one in file.store.events()] == [2, 3, 4, 5, 6], "nothing is there twice"
