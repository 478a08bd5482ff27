"""Handing over between two workers, step by step, on a virtual clock."""

import asyncio
from random import Random

import pytest

from shardpod.worker.messages import Busy, FetchTail, Neighbour, TailPart

pytestmark = pytest.mark.looptime


def now():
    return asyncio.get_running_loop().time()


async def test_a_whole_handover_step_by_step(two, order):
    await two.watched()
    before = two.send()
    await asyncio.sleep(0.1)
    two.say(order(go=True))
    assert (two.old.state, two.new.state) == ("fenced", "waiting")
    held = two.send()
    await asyncio.sleep(0.1)
    assert (two.old.delivered, two.new.delivered) == ([before], [])

    two.lease()
    await asyncio.sleep(0.15)
    assert two.new.state == "settled"
    assert two.new.delivered == [held]
    two.say(handed=((0, 2),))
    after = two.send()
    await asyncio.sleep(0.1)

    assert (two.old.delivered, two.new.delivered) == ([before], [held, after])
    assert two.old.states == ["rehearsing", "fenced", None]
    assert two.new.states == ["rehearsing", "rehearsed", "waiting", "live", "settled", None]
    assert two.old.queue.events == two.new.queue.events == 0


async def test_what_is_left_to_the_other_set_is_counted_and_the_count_outlives_the_reshard(two):
    await two.watched()
    two.send()
    two.send()
    assert (two.old.handing.not_ours, two.new.handing.not_ours) == (0, 2)

    two.new.follow(over=True)
    await asyncio.sleep(10.0)
    assert two.new.handing.custody is None
    assert two.new.handing.not_ours == 2


async def test_the_operator_is_told_of_every_step_once(two):
    await two.live()
    await asyncio.sleep(0.3)

    assert two.new.states == ["rehearsing", "rehearsed", "waiting", "live", "settled"]


async def test_a_rehearsal_is_repeated_and_says_what_is_wrong(two, order, windows):
    two.say(order())
    two.new.receive(100)  # nobody else saw it
    await asyncio.sleep(2.0)
    assert two.new.state == "rehearsing"
    assert "1 came to the takers only" in two.new.handing.report().reason

    await asyncio.sleep(windows.history)
    assert two.new.state == "rehearsed"


async def test_without_any_answer_it_is_not_rehearsed(two):
    two.new.counterparts = (Neighbour("other-1", None, 0, 1),)
    await two.watched()
    assert two.new.state == "rehearsing"

    two.new.counterparts = (Neighbour("other-1", "other:80", 0, 0),)  # one giver is missing
    await two.watched()
    assert two.new.state == "rehearsing"
    assert two.new.asked == []


async def test_it_is_settled_only_when_the_bot_has_what_was_kept(two, order):
    two.new.bot.takes = 0.5
    await two.watched()
    two.say(order(go=True))
    kept = two.send()
    await asyncio.sleep(0.1)
    two.lease(lasts=5.0)
    await asyncio.sleep(0.4)
    assert two.new.state == "live"
    assert two.new.delivered == []

    await asyncio.sleep(0.3)
    assert two.new.state == "settled"
    assert two.new.delivered == [kept]


async def test_it_is_not_settled_while_its_checkpoint_cannot_be_stored(two):
    two.new.save_works = False
    await two.live()
    two.lease(lasts=5.0)
    await asyncio.sleep(0.5)
    assert two.new.state == "live"
    assert two.new.saves > 1

    two.new.save_works = True
    await asyncio.sleep(0.2)
    assert two.new.state == "settled"


async def test_the_way_back_is_the_same(two, order):
    await two.watched(back=True, handed=((0, 2),))
    before = two.send()
    await asyncio.sleep(0.1)
    two.say(order(go=True, back=True), handed=((0, 2),))
    held = two.send()
    two.lease(to=two.old)
    await asyncio.sleep(0.2)
    two.say()
    after = two.send()
    await asyncio.sleep(0.1)

    assert (two.new.delivered, two.old.delivered) == ([before], [held, after])


async def test_it_tells_a_peer_only_what_it_asks_for(two):
    assert isinstance(two.old.handing.tail(FetchTail(1, go=False, shard_count=3, shard_ids=(0,))), Busy)
    await two.watched()
    for key in (0, 1, 2):
        two.send(key)
    await asyncio.sleep(0.01)
    part = two.old.handing.tail(FetchTail(1, go=False, shard_count=3, shard_ids=(2,)))
    assert isinstance(part, TailPart)
    assert len(part.tail.fingerprints) == 16

    assert isinstance(two.old.handing.tail(FetchTail(1, go=True, shard_count=3, shard_ids=(2,))), Busy)


@pytest.mark.parametrize("seed", range(12))
async def test_a_stream_with_skew_is_delivered_once_and_in_order_however_the_handover_falls(two, seed, order):
    random = Random(seed)
    two.say(order())
    late = {}

    async def stream():
        for _ in range(300):
            for half in ("to_old", "to_new"):
                # First in, first out (timers of the same time are not), and nothing is later than the largest skew.
                due = max(late.get(half, 0.0) + 0.001, now() + random.choice((0.0, random.uniform(0, 0.9))))
                late[half] = due
            two.send(two.n % 5, **{half: due - now() for half, due in late.items()})
            await asyncio.sleep(0.03)

    streaming = asyncio.create_task(stream())
    await asyncio.sleep(random.uniform(7.0, 8.0))
    assert two.new.state == "rehearsed"
    two.say(order(go=True))
    while two.new.state != "settled":
        await asyncio.sleep(0.05)
        if two.old.state == "fenced":
            two.lease()
        assert two.old.state != "undone"
    two.say(handed=((0, 2),))
    await streaming
    await asyncio.sleep(3.0)

    assert sorted(two.old.delivered + two.new.delivered) == list(range(1, 301))
    for guild in range(5):
        both = [n for n in two.old.delivered + two.new.delivered if n % 5 == guild]
        assert both == sorted(both)
