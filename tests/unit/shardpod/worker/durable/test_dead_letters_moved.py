"""Dead letters on their way between pods, and between shard sets: none gets lost, and none is kept twice."""

import asyncio

import pytest

from shardpod.delivery import SinkError
from shardpod.handover import HandoverOrder, Orders
from shardpod.protocol import Event
from shardpod.worker.messages import LetterSent, ListDeadLetters, Neighbours, Release, Resumed, SettleDeadLetters

pytestmark = pytest.mark.looptime(noop_cycles=2)

GUILD = str(3 << 22)
"""Of shard 3 of 16."""
OTHER = str(19 << 22)
"""Of shard 3 of 16 as well, and of shard 19 of 32."""


def letter(seq=7, guild=GUILD):
    return LetterSent(Event("T", seq, guild, 0, "other", 0.0, b'{"d":{}}'), "refused", 10, 0.0)


async def pod_of(pods, name="b"):
    pod = await pods.make(name).start()
    await asyncio.sleep(1)
    return pod


async def take_over(pod, *letters):
    return await pod.worker._letters.take_over(letters, 16)


async def listed(pod):
    return sorted(one.key for one in (await pod.worker.list_dead_letters(ListDeadLetters())).letters)


async def test_what_is_taken_over_is_kept_with_the_shard_of_its_guild(pods):
    pod = await pod_of(pods)

    assert await take_over(pod, letter(7), letter(8)) == ("other:7", "other:8")
    assert await listed(pod) == ["other:7", "other:8"]


async def test_one_that_is_taken_over_again_is_kept_once_even_while_the_disk_is_full(pods, disk):
    pod = await pod_of(pods)
    disk.fill()
    for _ in range(5):
        assert await take_over(pod, letter()) == ("other:7",)
        assert not await pod.worker._save()
    assert pod.report.dead_letters == 1
    disk.error = None
    assert await pod.worker._save()

    assert await listed(pod) == ["other:7"]


async def test_one_that_comes_while_it_is_being_written_is_kept_once(pods, disk):
    pod = await pod_of(pods)
    await take_over(pod, letter())
    disk.takes = 0.3
    saving = asyncio.create_task(pod.worker._save())
    await asyncio.sleep(0.1)
    await take_over(pod, letter())
    await saving
    await pod.worker._save()

    assert await listed(pod) == ["other:7"]


async def test_none_is_taken_for_a_shard_that_is_another_pods(pods):
    """It would be deleted where it came from, and with this shard."""
    pod = await pod_of(pods)
    pod.told(may_release=True)
    await pod.worker.transfer(Release(3, "c"))
    assert await take_over(pod, letter()) == ()
    await pod.worker.transfer(Resumed(3, "c"))

    assert await take_over(pod, letter()) == ()


async def test_without_files_none_is_said_to_be_kept(pods):
    pod = await pods.make("b", on_disk=False).start()

    assert await take_over(pod, letter()) == ()


async def test_a_successor_that_crashes_between_two_writes_keeps_each_letter_once(pods, disk, becomes):
    a = await pods.make("a").start(may_release=True, max_attempts=2)
    await asyncio.sleep(1)
    pods.bot.rejects = lambda event: SinkError("422", rejected=True) if event.guild_id == "1" else None
    pods.discord.emit(1, 2, 1)
    await asyncio.sleep(10)
    disk.takes = 0.5
    b = await pods.make("b").start(takes_from=["a"], max_attempts=2)
    (file,) = b.worker._spooler.files.values()
    await becomes(file.store.dead_letters)
    assert file.store.load().session.session_id is None
    await b.crash()
    disk.takes = 0.001
    await b.start(takes_from=["a"], max_attempts=2)
    await asyncio.sleep(10)

    assert await listed(b) == ["session-1:2", "session-1:4"]
    assert a.report.dead_letters == 0


# Replayed while two shard sets live.


def orders(*, handed=(), handover=None):
    return Orders(1, 1, 16, 2, 32, handed, handover=handover)


async def with_letters_of_two_ranges(pods):
    """One of pending shard 3, and one of pending shard 19."""
    pods.bot.rejects = lambda event: SinkError("422", rejected=True) if event.guild_id else None
    pod = await pods.make("a").start(max_attempts=2)
    await asyncio.sleep(1)
    pods.discord.emit(GUILD, OTHER)
    await asyncio.sleep(10)
    assert await listed(pod) == ["session-1:2", "session-1:3"]
    pods.bot.rejects = lambda event: None
    return pod


async def replay(pod, *, discard=False):
    return (await pod.worker.settle_dead_letters(SettleDeadLetters(None, discard=discard))).count


@pytest.mark.parametrize(
    "there",
    [
        orders(handed=((16, 31),)),
        orders(handover=HandoverOrder(1, 16, 31, 1, 2, go=False)),
        orders(handover=HandoverOrder(1, 16, 31, 1, 2, go=True)),
    ],
)
async def test_one_that_is_not_ours_to_deliver_stays_a_dead_letter_and_is_not_counted(pods, there):
    pod = await with_letters_of_two_ranges(pods)
    pod.worker.set_neighbours(Neighbours(orders=there))

    assert await replay(pod) == 1
    await pods.settle(pod)
    assert "session-1:2" in pods.bot.keys
    assert await listed(pod) == ["session-1:3"]


async def test_all_of_our_ranges_are_put_back_and_all_can_be_discarded(pods):
    pod = await with_letters_of_two_ranges(pods)
    pod.worker.set_neighbours(Neighbours(orders=orders(handed=((0, 31),))))
    assert await replay(pod) == 0
    pod.worker.set_neighbours(Neighbours(orders=orders()))
    assert await replay(pod) == 2
    await pods.settle(pod)
    assert {"session-1:2", "session-1:3"} <= set(pods.bot.keys)


async def test_whatever_range_it_belongs_to_a_letter_can_be_discarded(pods):
    pod = await with_letters_of_two_ranges(pods)
    pod.worker.set_neighbours(Neighbours(orders=orders(handed=((0, 31),))))

    assert await replay(pod, discard=True) == 2
    assert await listed(pod) == []


async def test_one_of_a_shard_that_is_being_given_away_stays_and_travels_with_it(pods):
    pod = await with_letters_of_two_ranges(pods)
    pod.told(may_release=True)
    await pod.worker.transfer(Release(3, "b"))

    assert await replay(pod) == 0
    assert await listed(pod) == ["session-1:2", "session-1:3"]
