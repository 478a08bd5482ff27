"""Sessions that fail, or are not read, around a handover between two workers, on a virtual clock."""

import asyncio

import pytest

from shardpod.protocol import ShardState

pytestmark = pytest.mark.looptime


async def test_a_session_lost_and_noticed_before_the_go_keeps_the_taker_from_beginning(two, order):
    await two.watched()
    two.new.lost[1] += 1
    await asyncio.sleep(0.1)
    two.say(order(go=True))

    assert two.new.state == "lost"


async def test_what_is_expected_does_not_expire_while_nothing_is_read_for_want_of_room(two, order, windows):
    await two.watched()
    sent = two.send(to_new=4 * windows.tolerance)
    await asyncio.sleep(0.05)
    two.say(order(go=True))
    two.lease(lasts=100.0)
    await asyncio.sleep(0.1)
    two.new.shards[0].runner.reads = False
    await asyncio.sleep(4 * windows.tolerance)
    assert two.new.state == "live"
    two.new.shards[0].runner.reads = True
    await asyncio.sleep(0.2)

    assert (two.old.delivered, two.new.delivered) == ([sent], [])
    assert two.new.state == "settled"


async def test_a_taker_that_reads_nothing_while_it_waits_for_its_lease_never_goes_live(two, order):
    """What waits outside is read late, with the time of then: nothing of that can be aligned."""
    await two.watched()
    two.say(order(go=True))
    two.new.shards[0].runner.reads = False
    await asyncio.sleep(0.1)

    assert two.new.state == "lost"


async def test_a_taker_whose_shard_discord_refuses_is_lost(two):
    await two.live()
    two.new.shards[1].protocol.state = ShardState.REFUSED
    await asyncio.sleep(0.1)

    assert two.new.state == "lost"
