"""Transfers in which an answer is lost, a side is slow, or a pod dies: one of the two always has the shard."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.protocol import ShardState
from shardpod.worker.messages import Confirm, Failed, FetchBacklog, Release, Resumed
from shardpod.worker.shard import Holding
from shardpod.worker.taking import TAKEOVER_AFTER

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def giver(pods, **settings):
    pod = await pods.make("a").start(may_release=True, **settings)
    await asyncio.sleep(1)
    return pod


async def with_a_backlog(pods):
    """A giver whose bot is down, with events on disk and events in memory alone."""
    a = await giver(pods)
    await pods.discord.flow(1)
    pods.bot.error = DOWN
    await pods.discord.flow(5)
    return a


@pytest.mark.parametrize("lost", ["lost", "answer_lost"])
@pytest.mark.parametrize("kind", [Release, Resumed, FetchBacklog, Confirm])
@pytest.mark.parametrize("seconds", [1, 20])
async def test_a_request_or_an_answer_that_is_lost_for_some_time(pods, kind, lost, seconds):
    a = await with_a_backlog(pods)
    setattr(pods, lost, lambda request: isinstance(request, kind))
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(seconds)
    setattr(pods, lost, lambda request: False)
    await asyncio.sleep(10)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b)


async def test_a_successor_that_goes_silent_before_it_resumed_loses_the_offer(pods):
    a = await with_a_backlog(pods)
    pods.discord.resume_takes = 1000.0
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(1)
    assert a.holding is Holding.OFFERED
    await b.crash()
    pods.discord.resume_takes = 0.0
    await asyncio.sleep(6)

    assert (a.holding, a.shard.state) == (Holding.HELD, ShardState.CONNECTED)
    await pods.all_is_delivered(a)


async def test_a_resume_that_takes_too_long_ends_with_the_giver_and_is_tried_again(pods):
    a = await with_a_backlog(pods)
    pods.discord.resume_takes = 4.9
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(7)
    assert b.holding is Holding.TAKING
    pods.discord.resume_takes = 0.0
    await pods.discord.flow(20)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b)


async def test_resumed_that_comes_too_late_is_answered_with_taken_back_and_loses_nothing(pods):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, Resumed)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(8)
    assert a.holding is Holding.HELD, "it heard nothing, and goes on"
    pods.lost = lambda request: False
    await pods.discord.flow(8)

    assert "TakenBack" in pods.asked("Resumed")
    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b)


async def test_a_slow_disk_at_the_giver_delays_the_session_and_nothing_else(pods, disk):
    a = await with_a_backlog(pods)
    disk.takes = 2.0
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(30)
    disk.takes = 0.001
    await asyncio.sleep(20)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b)


async def test_full_disks_on_both_sides_stop_no_session_and_the_giver_keeps_its_copy(pods, disk):
    a = await with_a_backlog(pods)
    disk.fill()
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(5)

    assert (a.holding, b.holding) == (Holding.GIVEN, Holding.HELD)
    disk.error = None
    await pods.all_is_delivered(a, b)
    assert a.holding is Holding.GONE


async def test_the_takers_socket_breaks_while_it_waits_for_the_answer(pods):
    a = await with_a_backlog(pods)
    pods.latency = 1.0
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(1.5)
    assert a.holding is Holding.OFFERED
    b.worker._shards[3].runner._connection.end(1006)
    pods.latency = 0.002
    await asyncio.sleep(15)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b)


async def test_a_peer_that_vanishes_from_the_operators_list_before_its_backlog_came_is_not_told_to_forget_it(
    pods, disk
):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    disk.takes = 1.5
    b.told(takes_from=[])
    await asyncio.sleep(0.5)
    b.told(takes_from=["a"])
    await asyncio.sleep(10)

    assert pods.asked("Confirm") == []
    assert a.holding is Holding.GIVEN
    assert a.shard.backlog > 0, "it still has what nobody else has, and says so"


async def test_a_confirmation_while_requests_are_under_way_waits(pods):
    a = await giver(pods)
    pods.bot.takes = 1.0
    pods.discord.emit(1, 2)
    await asyncio.sleep(0.1)
    await a.worker.transfer(Release(3, "b"))

    assert type(await a.worker.transfer(Confirm(3, "b"))).__name__ == "Busy"
    await asyncio.sleep(2)
    assert type(await a.worker.transfer(Confirm(3, "b"))).__name__ == "Yours"
    assert a.report.queued_events == 0


async def test_a_shard_is_given_to_one_successor_at_a_time(pods):
    a = await giver(pods)
    await a.worker.transfer(Release(3, "b"))
    refused = await a.worker.transfer(Release(3, "c"))
    await asyncio.sleep(6)
    granted = await a.worker.transfer(Release(3, "c"))

    assert "given to b" in refused.reason
    assert (granted.session_id, granted.seq) == ("session-1", 2)  # READY, and RESUMED when it was taken back


async def test_shards_being_taken_are_nothing_to_a_peer_that_speaks_of_an_earlier_transfer(pods):
    """It would make the backlog of another pod disappear."""
    await giver(pods)
    b = await pods.make("b").start(takes_from=["gone"], may_release=False)
    b.worker._giving.may_release = True
    for request in (Resumed(3, "c"), FetchBacklog(3, "c", 0), Confirm(3, "c")):
        assert type(await b.worker.transfer(request)).__name__ == "Nothing"
    assert b.holding is Holding.TAKING


async def test_a_giver_whose_worker_does_not_run_is_waited_for_no_longer_than_one_that_is_not_there(pods):
    """Its pod answers in its place, and what arrives here meanwhile is in no bound."""
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(1)
    pods.stands_in = lambda request: Failed("its worker does not run")
    await a.crash()
    await pods.discord.flow(TAKEOVER_AFTER - 5)
    assert b.holding is Holding.TAKING
    await pods.discord.flow(10)

    assert b.holding is Holding.HELD
