"""A worker that ends in any way and begins again over the same files: nothing is lost, and what repeats has its key."""

import asyncio
from random import Random

import pytest

from shardpod.delivery import SinkError
from shardpod.worker.messages import Neighbours

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)


async def started(pods, name="a", **settings):
    pod = await pods.make(name).start(**settings)
    await asyncio.sleep(1)
    return pod


@pytest.mark.parametrize("how", ["stop", "crash"])
@pytest.mark.parametrize("bot_is_down", [True, False])
async def test_a_restart_resumes_the_session_and_delivers_what_waited(pods, how, bot_is_down):
    pod = await started(pods)
    await pods.discord.flow(3)
    pods.bot.error = DOWN if bot_is_down else None
    await pods.discord.flow(5)
    await getattr(pod, how)()
    pods.discord.emit(1, 2, 3, 1)
    pods.bot.error = None
    await pod.start()
    await asyncio.sleep(1)
    await pods.discord.flow(2)
    await pods.settle(pod)

    assert pods.discord.identifies == 1
    pods.assert_delivered(repeats=how == "crash")


async def test_after_a_crash_no_more_is_repeated_than_what_was_not_on_disk(pods):
    pod = await started(pods)
    await pods.discord.flow(3)
    pods.bot.error = DOWN
    await pods.discord.flow(10)
    safe = pod.shard.safe_seq
    assert pod.shard.seq - safe <= 30, "the checkpoint is at most some three seconds behind"
    await pod.crash()
    pods.bot.error = None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)

    ((session, seq),) = pods.discord.resumes
    assert (session, seq) == ("session-1", safe)
    assert len(pods.bot.keys) == len(set(pods.bot.keys)), "the bot had nothing of what was repeated"
    pods.assert_delivered()


async def test_events_of_a_session_that_is_lost_are_delivered_before_those_of_the_next(pods):
    pod = await started(pods)
    pods.bot.error = DOWN
    pods.discord.emit(1, 2, 1, 2)
    await asyncio.sleep(4)
    await pod.crash()
    pods.discord.accepts_resumes = False
    await pod.start()
    await asyncio.sleep(10)
    pods.discord.emit(1, 2)
    pods.bot.error = None
    await pods.settle(pod)

    assert pods.discord.identifies == 2
    pods.assert_delivered()


async def test_the_age_of_what_waits_goes_on_over_a_restart(pods):
    pod = await started(pods)
    pods.bot.error = DOWN
    pods.discord.emit(1)
    await asyncio.sleep(10)
    await pod.crash()
    await asyncio.sleep(100)
    await pod.start()

    assert pod.report.oldest_age == pytest.approx(110, abs=1)
    assert (pod.report.queued_events, pod.report.spooled_events) == (1, 1)


@pytest.mark.parametrize("settings", [{"identity": "other"}, {"shard_count": 32}])
async def test_a_session_of_another_identity_is_not_resumed_but_its_events_are_delivered(pods, settings):
    pod = await started(pods)
    pods.bot.error = DOWN
    pods.discord.emit(1, 2)
    await asyncio.sleep(4)
    await pod.stop()
    pods.bot.error = None
    await pod.start(**settings)
    await asyncio.sleep(1)
    await pods.settle(pod)

    assert (pods.discord.identifies, pods.discord.resumes) == (2, [])
    pods.assert_delivered()


async def test_what_the_operator_heard_may_be_newer_than_the_file(pods, disk):
    pod = await started(pods)
    await pods.discord.flow(2)
    await asyncio.sleep(1)
    disk.takes = 10.0
    pods.discord.emit(1, 2, 3)
    await asyncio.sleep(1)
    stored, seq = pod.worker._shards[3].to_store(), pod.shard.settled_seq
    await pod.crash()
    disk.takes = 0.001
    newer = type(stored)(stored.session_id, stored.resume_gateway_url, seq, 16, "me")
    pod.neighbours = lambda **_: Neighbours(instance="a", checkpoints={3: newer})
    await pod.start()
    await asyncio.sleep(1)

    assert seq == len(pods.discord.sessions["session-1"]) - 1
    assert pods.discord.resumes == [("session-1", seq)]


async def test_a_pod_without_files_of_its_own_resumes_by_what_the_operator_knows(pods):
    pod = await started(pods)
    await pods.discord.flow(1)
    await pods.settle(pod)
    stored = pod.worker._shards[3].to_store()
    seq = pod.shard.settled_seq
    await pod.crash()
    other = pods.make("b")
    checkpoint = type(stored)(stored.session_id, stored.resume_gateway_url, seq, 16, "me")
    other.neighbours = lambda **_: Neighbours(instance="b", checkpoints={3: checkpoint})
    await other.start()
    await asyncio.sleep(1)

    assert pods.discord.identifies == 1
    assert pods.discord.resumes == [("session-1", seq)]
    pods.assert_delivered()


@pytest.mark.parametrize("seed", range(12))
async def test_over_crashes_at_any_moment_nothing_is_lost_and_every_guild_keeps_its_order(pods, disk, seed):
    random = Random(seed)
    disk.takes = random.choice([0.0, 0.001, 0.3])
    pod = await started(pods)
    for _ in range(6):
        pods.bot.error = random.choice([None, None, DOWN, SinkError("500")])
        await pods.discord.flow(random.uniform(0.1, 6), every=random.choice([0.01, 0.05]))
        await (pod.stop(drain_for=random.choice([0.0, 1.0])) if random.random() < 0.3 else pod.crash())
        if random.random() < 0.5:
            pods.discord.emit(*(random.randint(1, 5) for _ in range(random.randint(0, 20))))
        pods.bot.error = random.choice([None, DOWN])
        await pod.start()
        await asyncio.sleep(random.uniform(0.05, 3))
    pods.bot.error = None
    await asyncio.sleep(40)
    await pods.settle(pod)

    assert pods.discord.identifies == 1
    pods.assert_delivered(repeats=True)
