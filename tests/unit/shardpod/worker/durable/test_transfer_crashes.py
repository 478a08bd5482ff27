"""A pod dies in the middle of a transfer, and begins again over its files: nothing is lost, and the transfer ends."""

import asyncio
from random import Random

import pytest

from shardpod.delivery import SinkError
from shardpod.worker.messages import Confirm, FetchBacklog, Release, Resumed
from shardpod.worker.shard import Holding

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def with_a_backlog(pods):
    a = await pods.make("a").start(may_release=True)
    await asyncio.sleep(1)
    await pods.discord.flow(1)
    pods.bot.error = DOWN
    await pods.discord.flow(5)
    return a


@pytest.mark.parametrize("kind", [Release, Resumed, FetchBacklog, Confirm])
@pytest.mark.parametrize("away", [0.5, 8.0])
async def test_the_giver_dies_before_it_can_answer(pods, kind, away):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, kind)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    await a.crash()
    pods.lost = lambda request: False
    await pods.discord.flow(away)
    await a.start(may_release=True)
    await pods.discord.flow(10)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


@pytest.mark.parametrize("kind", [Release, Resumed, FetchBacklog, Confirm])
async def test_the_giver_dies_after_it_did_what_it_was_asked_for(pods, kind):
    a = await with_a_backlog(pods)
    pods.answer_lost = lambda request: isinstance(request, kind)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    await a.crash()
    pods.answer_lost = lambda request: False
    await pods.discord.flow(1)
    await a.start(may_release=True, stored_only=True)
    await pods.discord.flow(10)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


@pytest.mark.parametrize("how", ["crash", "stop"])
@pytest.mark.parametrize("kind", [Release, Resumed, FetchBacklog, Confirm])
@pytest.mark.parametrize("away", [0.5, 8.0])
async def test_the_taker_dies_and_begins_again(pods, kind, how, away):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, kind)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(1)
    await getattr(b, how)()
    pods.lost = lambda request: False
    await pods.discord.flow(away)
    await b.start(takes_from=["a"])
    await pods.discord.flow(15)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


@pytest.mark.parametrize("waits_for", [FetchBacklog, Confirm])
async def test_both_die_at_the_same_time(pods, waits_for):
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, waits_for)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(3)
    await a.crash()
    await b.crash()
    pods.lost = lambda request: False
    await pods.discord.flow(1)
    await b.start(takes_from=["a"])
    await a.start(may_release=True)
    await pods.discord.flow(15)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


async def test_a_taker_that_began_again_by_its_own_session_tells_the_giver_that_all_is_safe(pods):
    """Else the giver would wait with its copy for ever, and the operator for the giver."""
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, Confirm)
    b = await pods.make("b").start(takes_from=["a"])
    await asyncio.sleep(2)
    await b.crash()
    pods.lost = lambda request: False
    await b.start(takes_from=["a"])
    await asyncio.sleep(1)
    assert (a.holding, b.holding) == (Holding.GIVEN, Holding.HELD)
    await asyncio.sleep(6)

    assert a.holding is Holding.GONE
    assert pods.asked("Release") == ["Released"]
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


async def test_a_taker_that_dies_before_the_backlog_is_on_disk_fetches_it_again(pods, disk):
    a = await with_a_backlog(pods)
    b = pods.make("b")
    pods.lost = lambda request: isinstance(request, FetchBacklog) and request.start > 0
    for number in range(3000):
        pods.discord.emit(number % 5 + 1)
    await b.start(takes_from=["a"])
    await asyncio.sleep(3)
    await b.crash()
    pods.lost = lambda request: False
    await b.start(takes_from=["a"])
    await asyncio.sleep(5)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)


async def test_a_taker_that_went_on_without_the_backlog_and_dies_still_fetches_it(pods):
    """The giver was away for so long that what came since was delivered first: its events are late, not lost."""
    a = await with_a_backlog(pods)
    pods.lost = lambda request: isinstance(request, FetchBacklog)
    b = await pods.make("b").start(takes_from=["a"])
    await pods.discord.flow(40)
    assert b.holding is Holding.HELD
    await b.crash()
    pods.lost = lambda request: False
    pods.bot.error = None
    await b.start(takes_from=["a"])
    await asyncio.sleep(20)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    assert {key for key, _ in pods.discord.emitted} <= set(pods.bot.keys)


@pytest.mark.parametrize("seed", range(10))
async def test_whoever_dies_and_whatever_is_lost_nothing_of_any_guild_is_lost_or_out_of_order(pods, disk, seed):
    random = Random(seed)
    disk.takes = random.choice([0.0, 0.001, 0.2])
    a, b = await with_a_backlog(pods), pods.make("b")
    flowing = asyncio.create_task(pods.discord.flow(30, every=0.05))
    await b.start(takes_from=["a"])
    for _ in range(random.randint(1, 4)):
        rate = random.choice([0.0, 0.2, 0.6])
        setattr(pods, random.choice(["lost", "answer_lost"]), lambda request, rate=rate: random.random() < rate)
        pods.latency = random.choice([0.002, 0.2, 1.0])
        pods.bot.error = random.choice([None, DOWN])
        await asyncio.sleep(random.choice([0.01, 0.1, 0.5, 2.0, 6.0]) * random.random())
        pod, how = random.choice([(a, {"may_release": True, "stored_only": True}), (b, {"takes_from": ["a"]})])
        await pod.crash()
        await asyncio.sleep(random.choice([0.1, 4.0]))
        await pod.start(**how)
    pods.latency = 0.002
    pods.lost = pods.answer_lost = lambda request: False
    await flowing
    await asyncio.sleep(15)

    assert (a.holding, b.holding) == (Holding.GONE, Holding.HELD)
    await pods.all_is_delivered(a, b, repeats=True, wait=20)
