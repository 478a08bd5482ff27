"""Sessions that are silent are asked whether they live, before a range changes hands by their silence."""

import asyncio

import pytest

from shardpod.protocol import ShardState

pytestmark = pytest.mark.looptime


def now():
    return asyncio.get_running_loop().time()


async def test_a_giver_asks_its_silent_session_while_it_is_compared_and_fences_when_it_answers(two, order):
    await two.watched()
    silent = two.old.shards[1].protocol
    silent.hearing.heard_at = now() - 10.0
    await asyncio.sleep(0.1)
    assert (two.old.state, two.old.signs) == ("rehearsing", [1])

    two.say(order(go=True))
    assert two.old.state == "fencing"

    silent.hearing.heard_at = now()
    await asyncio.sleep(0.1)
    assert two.old.state == "fenced"
    assert two.old.signs == [1]


async def test_a_taker_asks_when_it_is_live_and_settles_when_all_have_answered(two, order):
    await two.watched()
    for shard in (0, 2):
        two.new.shards[shard].protocol.hearing.heard_at = now() - 10.0
    two.say(order(go=True))
    two.lease(lasts=5.0)
    await asyncio.sleep(0.5)
    assert (two.new.state, two.new.signs) == ("live", [0, 2])

    two.new.shards[0].protocol.hearing.heard_at = two.new.shards[2].protocol.hearing.heard_at = now()
    await asyncio.sleep(0.2)
    assert two.new.state == "settled"


async def test_one_that_does_not_answer_is_asked_again_after_a_while(two, order):
    await two.watched()
    two.new.shards[0].protocol.hearing.heard_at = now() - 10.0
    two.say(order(go=True))
    two.lease(lasts=60.0)
    await asyncio.sleep(4.5)

    assert two.new.signs == [0, 0, 0]
    assert two.new.state == "live"


async def test_who_was_heard_of_is_not_asked(two, order):
    await two.watched()
    two.say(order(go=True))
    two.lease()
    await asyncio.sleep(0.5)

    assert two.new.state == "settled"
    assert two.old.signs == two.new.signs == []


async def test_a_shard_that_discord_has_refused_is_not_waited_for(two, order):
    await two.watched()
    refused = two.old.shards[1].protocol
    refused.state, refused.hearing.heard_at = ShardState.REFUSED, 0.0
    two.say(order(go=True))

    assert (two.old.state, two.old.signs) == ("fenced", [])


async def test_no_session_is_asked_more_often_than_discord_allows(two, order):
    """120 messages a minute from each, and something else has to find room as well."""
    await two.watched()
    for _ in range(100):
        two.new.handing._life.ask([0], since=now() + 1.0, now=now(), prompt=5.0)
        two.new.shards[0].protocol.hearing.heard_at = now()
        await asyncio.sleep(0.1)

    assert len(two.new.signs) <= 17


async def test_one_that_answered_late_is_asked_again_until_it_answers_promptly(two, order):
    """What comes by it counts as late until then, and would be taken for what the other set had delivered long ago."""
    await two.watched()
    two.new.shards[0].protocol.hearing.silent_since = now() - 6.0
    await asyncio.sleep(3.5)
    assert len(two.new.signs) >= 2

    two.new.shards[0].protocol.hearing.silent_since = None
    two.new.signs.clear()
    await asyncio.sleep(3.5)
    assert two.new.signs == []
