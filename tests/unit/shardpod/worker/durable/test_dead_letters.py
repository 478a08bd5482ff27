"""Dead letters: kept over restarts, listed, put back into the queue, and forgotten."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.worker.messages import ListDeadLetters, SettleDeadLetters

pytestmark = pytest.mark.looptime(noop_cycles=2)

DOWN = SinkError("refused", unreachable=True)
REFUSAL = SinkError("the bot answered 422", rejected=True)


def rejects_guild(guild):
    return lambda event: REFUSAL if event.guild_id == guild else None


async def with_dead_letters(pods, *, on_disk=True):
    """Two events of guild 1 are dead, two of guild 2 are delivered."""
    pods.bot.rejects = rejects_guild("1")
    pod = await pods.make("a", on_disk=on_disk).start(max_attempts=2)
    await asyncio.sleep(1)
    pods.discord.emit(1, 2, 1, 2)
    await asyncio.sleep(10)
    assert pod.report.dead_lettered == 2
    return pod


async def listed(pod):
    return (await pod.worker.list_dead_letters(ListDeadLetters())).letters


async def settle(pod, keys=None, *, discard):
    return (await pod.worker.settle_dead_letters(SettleDeadLetters(keys, discard))).count


async def test_a_dead_letter_is_listed_with_its_reason_and_without_its_payload(pods):
    pod = await with_dead_letters(pods)
    first, second = await listed(pod)

    assert (first.key, second.key) == ("session-1:2", "session-1:4")
    assert (first.problem, first.attempts, first.type) == ("the bot answered 422", 2, "MESSAGE_CREATE")
    assert (first.shard_id, first.guild_id) == (3, "1")
    assert 1.7e9 < first.died_at <= second.died_at < 1.7e9 + 20
    assert first.bytes > 20


async def test_dead_letters_hold_up_no_checkpoint_and_survive_a_crash(pods):
    pod = await with_dead_letters(pods)
    assert (pod.report.dead_letters, pod.shard.settled_seq) == (2, 5)
    before = await listed(pod)
    await pod.crash()
    await pod.start()
    await asyncio.sleep(1)

    assert await listed(pod) == before
    assert pod.report.dead_letters == 2
    assert pods.discord.resumes == [("session-1", 5)]


async def test_one_that_has_to_make_room_for_a_newer_one_is_counted_as_dropped(pods, monkeypatch):
    monkeypatch.setattr("shardpod.spool.transaction.MAX_DEAD_LETTERS", 1)
    pod = await with_dead_letters(pods)
    await asyncio.sleep(5)

    assert [one.key for one in await listed(pod)] == ["session-1:4"]
    assert pod.report.dropped["dead_letters_full"] == {"MESSAGE_CREATE": 1}


async def test_what_is_put_back_is_delivered_and_no_longer_listed(pods):
    pod = await with_dead_letters(pods)
    pods.bot.rejects = lambda event: None
    assert await settle(pod, discard=False) == 2
    await pods.settle(pod)

    assert await listed(pod) == ()
    assert pod.report.dead_letters == 0
    assert pod.shard.settled_seq == 5
    assert sorted(pods.bot.keys) == [f"session-1:{seq}" for seq in range(1, 6)]


async def test_only_the_named_ones_are_put_back(pods):
    pod = await with_dead_letters(pods)
    pods.bot.rejects = lambda event: None
    assert await settle(pod, ("session-1:4", "session-1:77"), discard=False) == 1
    await pods.settle(pod)

    assert [letter.key for letter in await listed(pod)] == ["session-1:2"]
    assert "session-1:4" in pods.bot.keys


async def test_what_is_discarded_is_gone_for_good(pods):
    pod = await with_dead_letters(pods)
    assert await settle(pod, ("session-1:2",), discard=True) == 1
    await pod.crash()
    await pod.start()
    await asyncio.sleep(1)

    assert [letter.key for letter in await listed(pod)] == ["session-1:4"]
    assert "session-1:2" not in pods.bot.keys


async def test_one_that_is_refused_again_is_a_dead_letter_again(pods):
    pod = await with_dead_letters(pods)
    assert await settle(pod, ("session-1:2",), discard=False) == 1
    await asyncio.sleep(10)

    assert sorted(letter.key for letter in await listed(pod)) == ["session-1:2", "session-1:4"]
    assert pod.report.dead_letters == 2


async def test_one_that_was_put_back_while_the_bot_is_down_survives_a_crash_and_waits_as_a_new_one(pods):
    pod = await with_dead_letters(pods)
    pods.bot.error = DOWN
    assert await settle(pod, discard=False) == 2
    assert pod.report.oldest_age < 1, "it waits since it was put back"
    assert pod.report.spooled_events == 2
    await pod.crash()
    pods.bot.error = None
    pods.bot.rejects = lambda event: None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)

    assert await listed(pod) == ()
    assert set(pods.bot.keys) == {f"session-1:{seq}" for seq in range(1, 6)}


async def test_one_that_was_put_back_does_not_hide_younger_events_from_the_spool(pods):
    """Else a checkpoint would pass an event that is nowhere but in memory."""
    pod = await with_dead_letters(pods)
    pods.bot.error = DOWN
    pods.discord.emit(3)
    await settle(pod, discard=False)
    pods.discord.emit(3, 3)
    await asyncio.sleep(4)
    await pod.crash()
    pods.discord.accepts_resumes = False  # so that only the disk can give them back
    pods.bot.error = None
    pods.bot.rejects = lambda event: None
    await pod.start()
    await asyncio.sleep(1)
    await pods.settle(pod)

    assert set(pods.bot.keys) >= {f"session-1:{seq}" for seq in range(1, 9)}


async def test_one_that_was_put_back_moves_the_local_checkpoint_neither_back_nor_too_far(pods):
    pod = await with_dead_letters(pods)
    pods.bot.error = DOWN
    await settle(pod, discard=False)
    assert pod.shard.safe_seq == 5
    pods.discord.emit(3)
    assert pod.shard.safe_seq == 5
    await asyncio.sleep(4)

    assert pod.shard.safe_seq == 6


async def test_one_that_is_written_behind_younger_events_does_not_hold_their_checkpoint_back(pods):
    pod = await with_dead_letters(pods)
    pods.bot.error = DOWN
    pods.discord.emit(3, 3)
    await settle(pod, discard=False)

    assert pod.report.spooled_events == 4
    assert pod.shard.safe_seq == 7


async def test_dead_letters_of_a_full_disk_are_kept_in_memory_until_it_takes_them(pods, disk):
    pods.bot.rejects = rejects_guild("1")
    pod = await pods.make("a").start(max_attempts=2)
    await asyncio.sleep(1)
    disk.fill()
    pods.discord.emit(1)
    await asyncio.sleep(10)
    assert (pod.report.dead_letters, pod.shard.settled_seq) == (1, 2)
    disk.error = None
    await asyncio.sleep(1)

    assert [letter.key for letter in await listed(pod)] == ["session-1:2"]


async def test_without_files_dead_letters_are_counted_and_nothing_can_be_listed(pods):
    pod = await with_dead_letters(pods, on_disk=False)

    assert await listed(pod) == ()
    assert await settle(pod, discard=False) == 0
    assert pod.report.dead_letters == 0
