"""While the backlog of a shard that is being taken is not here, or not on disk, nobody may go on without it."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.worker.messages import FetchBacklog
from shardpod.worker.shard import Holding

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def with_a_backlog(pods):
    a = await pods.make("a").start(may_release=True)
    await asyncio.sleep(1)
    pods.bot.error = DOWN
    await pods.discord.flow(5)
    return a


async def the_rest_is_taken_after_a_crash(pods, disk, a, b):
    await b.crash()
    disk.error = None
    await b.start(takes_from=["a"])
    await asyncio.sleep(10)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True)


@pytest.mark.parametrize("spool", [2**20, 0])
async def test_a_checkpoint_stays_before_a_backlog_that_is_still_to_come(pods, spool):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"], spool_max_bytes=spool)
    await pods.discord.flow(2)
    assert (b.holding, b.shard.seq > 50) == (Holding.TAKING, True)
    assert (b.shard.settled_seq, b.shard.safe_seq) == (None, None)
    pods.lost = lambda request: False
    await asyncio.sleep(3)

    assert b.holding is Holding.HELD
    assert b.shard.settled_seq == 1, "only READY was acknowledged"
    if not spool:
        assert b.shard.safe_seq == 1
    await pods.all_is_delivered(a, b)
    assert b.shard.settled_seq == b.shard.seq


async def test_a_backlog_that_comes_late_holds_the_checkpoint_until_it_is_acknowledged(pods):
    await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(40, every=0.5)
    assert (b.holding, b.shard.settled_seq) == (Holding.HELD, None), "what came since is delivered without it"
    pods.lost = lambda request: False
    await asyncio.sleep(3)
    assert b.report.queued_events > 100
    assert b.shard.settled_seq is None, "younger events stand before it"
    pods.bot.error = None
    await pods.settle(b)

    assert b.shard.settled_seq == b.shard.seq


async def test_a_backlog_that_never_comes_does_not_hold_the_checkpoint_for_ever(pods):
    await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    b.told(takes_from=[])
    pods.bot.error = None
    await pods.discord.flow(1)
    await pods.settle(b)

    assert b.shard.settled_seq == b.shard.seq


async def test_the_giver_keeps_a_backlog_that_the_successors_disk_does_not_take(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(5)
    assert (a.holding, b.holding) == (Holding.GIVEN, Holding.HELD), "and the session is not deaf meanwhile"
    await the_rest_is_taken_after_a_crash(pods, disk, a, b)


async def test_a_session_that_was_let_go_for_a_while_is_not_stored_before_the_backlog_either(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(3)
    (shard,) = b.worker._shards.values()
    shard.leave_alone()
    b.told(takes_from=["a"])
    await asyncio.sleep(3)
    await the_rest_is_taken_after_a_crash(pods, disk, a, b)


async def test_it_is_confirmed_when_the_disk_has_room_again(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(60)
    assert (a.holding, pods.asked("Confirm")) == (Holding.GIVEN, [])
    disk.error = None
    await asyncio.sleep(3)

    assert a.holding is Holding.GONE
    await pods.all_is_delivered(a, b)


async def test_it_is_confirmed_when_the_bot_has_taken_it_whatever_the_disk_does(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(3)
    assert a.holding is Holding.GIVEN
    pods.bot.error = None
    await pods.settle(b)
    await asyncio.sleep(3)

    assert a.holding is Holding.GONE
    await pods.all_is_delivered(a, b)


async def test_dead_letters_that_are_in_memory_alone_are_not_confirmed(pods, disk):
    a = await pods.make("a").start(may_release=True, max_attempts=2)
    await asyncio.sleep(1)
    pods.bot.rejects = lambda event: SinkError("422", rejected=True) if event.guild_id == "1" else None
    pods.discord.emit(1, 2)
    await asyncio.sleep(10)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"], max_attempts=2)
    await asyncio.sleep(5)
    assert (b.report.dead_letters, a.holding) == (1, Holding.GIVEN)
    disk.error = None
    await asyncio.sleep(3)

    assert (b.report.dead_letters, a.holding) == (1, Holding.GONE)


async def test_a_giver_that_goes_away_is_not_waited_for(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(3)
    b.told(takes_from=[])
    await asyncio.sleep(3)

    assert (b.worker._taking.is_finishing(3), pods.asked("Confirm")) == (False, [])
    assert a.holding is Holding.GIVEN
    await pods.all_is_delivered(b)


async def test_a_fault_that_nobody_foresaw_leaves_no_shard_between_two_pods(pods, monkeypatch):
    a = await with_a_backlog(pods)
    b = pods.make("b")
    await b.start(takes_from=["a"])
    keep, failed = b.worker._taking._letters.keep, []

    async def keep_later(letters):
        if not failed:
            failed.append(letters)
            raise RuntimeError("dictionary changed size during iteration")
        return await keep(letters)

    monkeypatch.setattr(b.worker._taking._letters, "keep", keep_later)
    await pods.discord.flow(5)
    pods.bot.error = None
    await asyncio.sleep(10)

    assert failed
    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True)
