"""A successor that is lost after it has the session, and before it has the backlog: another one gets both."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.worker.giving import SUCCESSOR_LOST_AFTER
from shardpod.worker.messages import Busy, Confirm, FetchBacklog, Release, Resumed, TakenBack
from shardpod.worker.shard import Holding

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)
LONG = SUCCESSOR_LOST_AFTER + 5


async def given(pods):
    """a's shard is b's, which has still to fetch the backlog."""
    a = await pods.make("a").start(may_release=True)
    await asyncio.sleep(1)
    pods.bot.error = DOWN
    await pods.discord.flow(2)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    assert (a.holding, b.holding) == (Holding.GIVEN, Holding.TAKING)
    return a, b


@pytest.mark.parametrize("restarts", [False, True])
async def test_another_successor_gets_session_and_backlog_once_the_first_is_silent(pods, restarts):
    a, b = await given(pods)
    await b.crash()
    if restarts:
        await a.crash()
        await a.start(may_release=True)
    pods.lost = lambda request: False
    c = await pods.make("c").start(takes_from=["a"])
    await asyncio.sleep(SUCCESSOR_LOST_AFTER - 5)
    assert (a.holding, c.holding) == (Holding.GIVEN, Holding.TAKING)
    assert "given to b" in c.shard.problem
    await asyncio.sleep(10)

    assert (a.holding, c.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, c, repeats=True, flow=0)


async def test_a_giver_that_crashes_remembers_who_the_session_was_given_to_in_the_end(pods):
    a, b = await given(pods)
    await b.crash()
    c = await pods.make("c").start(takes_from=["a"])
    await asyncio.sleep(LONG)
    assert (a.holding, a.worker._shards[3].successor, c.holding) == (Holding.GIVEN, "c", Holding.TAKING)
    await a.crash()
    await a.start(may_release=True)
    pods.lost = lambda request: False
    await asyncio.sleep(5)

    assert (a.holding, c.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, c, repeats=True, flow=0)


async def test_when_the_second_one_does_not_resume_either_the_giver_takes_the_session_back(pods):
    a, b = await given(pods)
    await b.crash()
    await asyncio.sleep(LONG)
    granted = await a.worker.transfer(Release(3, "c"))
    assert (granted.session_id, a.holding) == ("session-1", Holding.OFFERED)
    await asyncio.sleep(6)

    assert a.holding is Holding.HELD
    await pods.all_is_delivered(a, repeats=True, flow=0)


async def test_a_successor_that_is_slow_and_says_something_keeps_the_shard(pods):
    a, b = await given(pods)
    pods.lost = lambda request: False
    pods.latency = 8.0
    for _ in range(5):
        await asyncio.sleep(10)
        if a.holding is Holding.GIVEN:
            assert isinstance(await a.worker.transfer(Release(3, "c")), Busy)
    pods.latency = 0.002
    await asyncio.sleep(40)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, flow=0)


async def test_one_that_waits_for_its_disk_says_that_it_is_there(pods, disk):
    a, b = await given(pods)
    disk.fill()
    pods.lost = lambda request: False
    for _ in range(3):
        await asyncio.sleep(LONG)
        assert b.holding is Holding.HELD
        assert isinstance(await a.worker.transfer(Release(3, "c")), Busy)


@pytest.mark.parametrize("word", [Resumed(3, "b"), FetchBacklog(3, "b", 0), Confirm(3, "b")])
@pytest.mark.parametrize("ended", [False, True])
async def test_whoever_lost_the_shard_is_told_so_and_never_that_there_is_nothing_more(pods, word, ended):
    a, b = await given(pods)
    await b.crash()
    await asyncio.sleep(LONG)
    await a.worker.transfer(Release(3, "c"))
    await a.worker.transfer(Resumed(3, "c"))
    if ended:
        await a.worker.transfer(Confirm(3, "c"))
        assert a.holding is Holding.GONE

    assert isinstance(await a.worker.transfer(word), TakenBack)


async def test_whoever_never_had_it_cannot_say_that_it_is_safe(pods):
    a, _b = await given(pods)

    assert isinstance(await a.worker.transfer(Confirm(3, "c")), Busy)
    assert a.holding is Holding.GIVEN


@pytest.mark.parametrize("cut_off_for", [SUCCESSOR_LOST_AFTER - 4, LONG + 30])  # until the other comes
async def test_one_that_was_only_cut_off_lets_go_of_the_session_and_takes_no_more(pods, cut_off_for):
    """By then it had gone on without the backlog."""
    a, b = await given(pods)
    pods.lost = lambda request: request.to == "b"
    await pods.discord.flow(cut_off_for)
    c = await pods.make("c").start(takes_from=["a"])
    await pods.discord.flow(8)
    assert (a.holding, c.holding) == (Holding.GONE, Holding.HELD)
    b.told(takes_from=["a"], may_release=True)
    pods.lost = lambda request: False
    await pods.discord.flow(3)

    assert b.holding is Holding.GONE
    assert b.permits.asked == 0
    assert b.report.sessions_lost == 1, "a handover must not count on what it saw"
    resumes = len(pods.discord.resumes)
    await pods.discord.flow(10)
    assert len(pods.discord.resumes) == resumes, "only one of them has the session"
    pods.bot.error = None
    await pods.settle(a, b, c)
    assert {key for key, _ in pods.discord.emitted} <= set(pods.bot.keys)


async def test_one_that_began_again_by_its_own_session_lets_go_of_it_as_well(pods):
    a, b = await given(pods)
    pods.lost = lambda request: isinstance(request, Confirm)
    await asyncio.sleep(3)
    assert (a.holding, b.holding) == (Holding.GIVEN, Holding.HELD)
    await b.crash()
    await asyncio.sleep(LONG)
    c = await pods.make("c").start(takes_from=["a"])
    await asyncio.sleep(3)
    pods.lost = lambda request: False
    await b.start(takes_from=["a"])
    b.told(takes_from=["a"], may_release=True)
    await asyncio.sleep(10)

    assert (a.holding, b.holding, c.holding) == (Holding.GONE, Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, c, repeats=True, flow=0)
