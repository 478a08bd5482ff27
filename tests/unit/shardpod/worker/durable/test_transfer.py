"""A shard goes from one pod to another: no identify, no event lost or doubled, and every guild in its order."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.protocol import ShardState
from shardpod.worker.messages import ListDeadLetters
from shardpod.worker.shard import Holding

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def giver(pods, **settings):
    pod = await pods.make("a").start(may_release=True, **settings)
    await asyncio.sleep(1)
    return pod


async def taken(pods, **settings):
    """A pod that takes over from "a", started."""
    return await pods.make("b").start(takes_from=["a"], **settings)


async def test_a_shard_moves_without_an_identify_while_events_flow(pods, becomes):
    a = await giver(pods)
    flowing = asyncio.create_task(pods.discord.flow(10))
    await asyncio.sleep(3)
    b = await taken(pods)
    await flowing
    await pods.settle(a, b)

    pods.assert_delivered()
    assert pods.discord.identifies == 1
    assert len(pods.discord.resumes) == 1
    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    assert (a.shard.state, b.shard.state) == (ShardState.RELEASED, ShardState.CONNECTED)
    assert b.report.transfers == 1
    assert b.shard.gap < 0.1
    assert b.shard.guilds == 3, "a Resume does not list the guilds again"
    assert not list(a.scratch.glob("shard-*"))


async def test_a_backlog_comes_first_and_every_guild_keeps_its_order(pods):
    a = await giver(pods)
    await pods.discord.flow(2)
    pods.bot.error = DOWN
    await pods.discord.flow(8)
    flowing = asyncio.create_task(pods.discord.flow(5))
    b = await taken(pods)
    await asyncio.sleep(2)
    assert a.holding is Holding.GONE, "a backlog is handed over while the bot is down"
    assert a.report.queued_events == 0
    await flowing
    pods.bot.error = None
    await pods.settle(a, b)

    pods.assert_delivered()


async def test_several_thousand_events_move_in_parts(pods):
    a = await giver(pods, max_queued_events=100_000)
    pods.bot.error = DOWN
    for number in range(9_000):
        pods.discord.emit(number % 50)
    await asyncio.sleep(3)
    b = await taken(pods)
    await asyncio.sleep(3)
    assert pods.asked("FetchBacklog") == ["Backlog"] * 5
    assert (a.report.queued_events, a.holding) == (0, Holding.GONE)
    assert b.report.queued_events == 9_001  # and RESUMED
    assert b.report.spooled_events >= 9_000
    pods.bot.error = None
    await pods.settle(b)

    pods.assert_delivered()


async def test_large_events_move_in_parts_of_a_bounded_size(pods):
    a = await giver(pods)
    pods.bot.error = DOWN
    for _ in range(8):
        pods.discord.emit(1, size=400_000)
    b = await taken(pods)
    await asyncio.sleep(3)
    assert pods.asked("FetchBacklog") == ["Backlog"] * 4
    pods.bot.error = None
    await pods.settle(a, b)

    pods.assert_delivered()


async def test_what_is_under_way_at_the_giver_is_waited_for_and_not_sent_twice(pods):
    a = await giver(pods)
    pods.bot.takes = 3.0
    pods.discord.emit(1, 2, 3, 1, 2, 3)
    await asyncio.sleep(0.1)
    b = await taken(pods)
    await asyncio.sleep(1)
    pods.discord.emit(1, 2, 3)
    assert a.holding is Holding.GIVEN
    await asyncio.sleep(5)
    pods.bot.takes = 0.005
    await pods.settle(a, b)

    assert "Busy" in pods.asked("FetchBacklog")
    pods.assert_delivered()


async def test_what_fails_at_the_giver_while_it_is_under_way_is_handed_over(pods):
    a = await giver(pods)
    pods.bot.takes = 1.0
    pods.discord.emit(1, 2, 3, 1)
    await asyncio.sleep(0.1)
    pods.bot.error = SinkError("500")
    b = await taken(pods)
    await asyncio.sleep(3)
    pods.bot.error, pods.bot.takes = None, 0.005
    await pods.settle(a, b)

    pods.assert_delivered()


async def test_dead_letters_travel_along(pods):
    a = await giver(pods, max_attempts=2)
    pods.bot.rejects = lambda event: SinkError("422", rejected=True) if event.guild_id == "1" else None
    pods.discord.emit(1, 2, 1)
    await asyncio.sleep(10)
    before = (await a.worker.list_dead_letters(ListDeadLetters())).letters
    b = await taken(pods, max_attempts=2)
    await asyncio.sleep(2)
    after = (await b.worker.list_dead_letters(ListDeadLetters())).letters

    assert len(before) == 2
    assert [(one.key, one.problem, one.attempts) for one in after] == [
        (one.key, one.problem, one.attempts) for one in before
    ]
    assert (a.report.dead_letters, b.report.dead_letters) == (0, 2)


async def test_one_that_dies_after_the_release_travels_along_as_well(pods):
    a = await giver(pods, max_attempts=1)
    pods.bot.takes = 1.0
    pods.bot.rejects = lambda event: SinkError("422", rejected=True) if event.guild_id == "1" else None
    pods.discord.emit(1)
    await asyncio.sleep(0.5)
    b = await taken(pods, max_attempts=1)
    await asyncio.sleep(5)

    assert a.report.dead_lettered == 1
    assert [one.key for one in (await b.worker.list_dead_letters(ListDeadLetters())).letters] == ["session-1:2"]


async def test_a_giver_without_a_session_is_asked_for_nothing_more_than_its_backlog(pods, becomes):
    """Its session was lost, and it waits for a permit: the taker identifies instead."""
    a = await giver(pods)
    pods.bot.error = DOWN
    pods.discord.emit(1, 2)
    a.permits.grants = False
    pods.discord.holder.end(4007)
    await asyncio.sleep(1)
    assert (a.shard.session_id, a.shard.state) == (None, ShardState.AWAITING_PERMIT)
    b = await taken(pods)
    await asyncio.sleep(3)
    pods.discord.emit(1, 2)
    pods.bot.error = None
    await pods.settle(b)

    assert (pods.discord.identifies, pods.discord.resumes) == (2, [])
    assert a.holding is Holding.GONE
    assert b.shard.session_id == "session-2"
    pods.assert_delivered()


async def test_a_session_of_another_identity_is_not_resumed_and_its_backlog_is_taken(pods):
    a = await giver(pods, identity="old")
    pods.bot.error = DOWN
    pods.discord.emit(1, 2)
    b = await taken(pods, identity="new")
    await asyncio.sleep(2)
    pods.discord.emit(1, 2)
    pods.bot.error = None
    await pods.settle(b)

    assert (pods.discord.identifies, pods.discord.resumes) == (2, [])
    assert a.holding is Holding.GONE
    pods.assert_delivered()


async def test_when_discord_no_longer_knows_the_session_the_taker_identifies_and_delivers_the_backlog(pods):
    a = await giver(pods)
    pods.bot.error = DOWN
    pods.discord.emit(1, 2)
    pods.discord.accepts_resumes = False
    b = await taken(pods)
    await asyncio.sleep(10)
    pods.discord.emit(1, 2)
    pods.bot.error = None
    await pods.settle(b)

    assert pods.discord.identifies == 2
    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    assert b.report.sessions_lost == 1
    pods.assert_delivered()


async def test_a_peer_that_has_nothing_of_the_shard_leaves_it_to_a_permit(pods):
    await pods.make("a").start(shard_ids=(7,), may_release=True)
    b = await taken(pods)
    await asyncio.sleep(2)

    assert pods.asked("Release") == ["Nothing"]
    assert b.shard.state is ShardState.CONNECTED


async def test_a_pod_that_may_not_release_keeps_its_shard_and_the_other_says_why_it_waits(pods):
    a = await pods.make("a").start()
    await asyncio.sleep(1)
    b = await taken(pods)
    await pods.discord.flow(5)

    assert set(pods.asked("Release")) == {"Busy"}
    assert (a.shard.state, b.shard.state) == (ShardState.CONNECTED, ShardState.AWAITING_TRANSFER)
    assert "waiting for its session from a" in b.shard.problem
    a.told(may_release=True)
    await asyncio.sleep(2)
    assert b.shard.state is ShardState.CONNECTED
    assert b.shard.problem is None
    pods.assert_delivered()


async def test_a_shard_can_be_handed_on_again_and_come_back(pods):
    a = await giver(pods)
    flowing = asyncio.create_task(pods.discord.flow(20))
    b = await taken(pods)
    await asyncio.sleep(5)
    b.told(may_release=True)
    c = await pods.make("c").start(takes_from=["a", "b"])
    await asyncio.sleep(5)
    await a.stop()
    c.told(may_release=True)
    await a.start(takes_from=["b", "c"])
    await flowing
    await pods.settle(a, b, c)

    assert [pod.holding for pod in (a, b, c)] == [Holding.HELD, Holding.GONE, Holding.GONE]
    assert pods.discord.identifies == 1
    pods.assert_delivered()
