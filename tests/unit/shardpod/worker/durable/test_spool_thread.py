"""The spool in a thread of its own, in real time: what the tests on the virtual clock leave out."""

import asyncio
import threading

import pytest

from shardpod.delivery import SinkError
from shardpod.spool import store_path
from shardpod.worker.spooler import Spooler

DOWN = SinkError("refused", unreachable=True)


async def connected(rig, until, line_number=0):
    await rig.worker.start()
    await until(lambda: len(rig.network.lines) > line_number)
    rig.line.hello()


async def test_what_waits_at_the_end_is_there_at_the_next_start_and_the_thread_is_gone(rig, until, tmp_path):
    first = rig(scratch=str(tmp_path), identity="me")
    await connected(first, until)
    await until(lambda: first.line.ops == [2])
    first.line.ready(guilds=["1"])
    await until(lambda: first.bot.delivered == [1])
    first.bot.error = DOWN
    for seq in range(2, 502):
        first.line.event(seq)
    await first.stop()
    second = rig(scratch=str(tmp_path), identity="me")
    await connected(second, until)

    assert second.report.spooled_events + len(second.bot.delivered) >= 500
    assert second.line.resume == ("a" * 32, 501)
    second.line.resumed(502)
    second.bot.takes = 0.0
    await until(lambda: sorted(second.bot.delivered) == list(range(2, 503)))  # RESUMED has a lane of its own
    await until(lambda: second.report.spooled_events == 0)
    assert second.shard.guilds == 1
    await second.stop()
    await until(lambda: not any(thread.name.startswith("spool") for thread in threading.enumerate()))


async def test_the_loop_goes_on_while_the_disk_is_slow(rig, until, tmp_path):
    made = rig(scratch=str(tmp_path))
    await connected(made, until)
    (file,) = made.worker._spooler.files.values()
    write, may_go, entered = file.store.write, threading.Event(), threading.Event()

    def slow(changes):
        entered.set()
        may_go.wait(10)
        return write(changes)

    file.store.write = slow
    try:
        await until(lambda: made.line.ops == [2])
        made.line.ready()
        flush = asyncio.create_task(made.worker._spooler.flush(made.worker._outstanding(), everything=True))
        await until(entered.is_set)
        for seq in range(2, 20):
            made.line.event(seq)
        await until(lambda: len(made.bot.delivered) == 19)
        assert not flush.done()
    finally:
        may_go.set()
    assert await flush


@pytest.fixture
async def walked_through(tmp_path):
    """A spooler of three files, and a task that does something with all of them: it waits for the first."""
    loop = asyncio.get_running_loop()
    spooler = Spooler(
        tmp_path, max_bytes=2**20, session_of=lambda _shard: None, letters_dropped={}, now=loop.time, wall=loop.time
    )
    for shard_id in range(3):
        await spooler.open(shard_id)

    async def walk(what):
        walking = asyncio.create_task(getattr(spooler, what)())
        await asyncio.sleep(0)  # it has the lock
        return spooler, walking

    yield walk
    await spooler.close()


@pytest.mark.parametrize("meanwhile", ["dead_letters", "close"])
async def test_a_shard_that_is_handed_over_while_all_files_are_walked_through_disturbs_nobody(
    tmp_path, walked_through, meanwhile
):
    spooler, walking = await walked_through(meanwhile)
    await asyncio.gather(walking, spooler.delete(1))
    await spooler.close()

    assert not walking.cancelled()
    if meanwhile == "dead_letters":
        assert not store_path(tmp_path, 1).exists()
        assert store_path(tmp_path, 0).exists()


@pytest.mark.parametrize("walk", ["dead_letters", "letter_keys"])
async def test_a_shard_that_is_taken_over_while_all_files_are_walked_through_disturbs_nobody(walked_through, walk):
    """A transfer asks for all letters while the next one opens its file."""
    spooler, walking = await walked_through(walk)
    await spooler.open(3)

    assert not await walking
