"""Takeover: without an operator two pods could resume one session in turn; who loses it twice at once lets it go."""

import asyncio

import pytest

from shardpod.worker.messages import Neighbours

pytestmark = pytest.mark.looptime


async def lose_and_resume(rig, seq):
    """Discord ends the connection; the shard resumes, if it wants to."""
    dials = len(rig.network.lines)
    rig.line.listener.closed(None)
    await asyncio.sleep(6)
    if len(rig.network.lines) > dials:
        rig.line.hello()
        await asyncio.sleep(0.1)
        rig.line.say(0, {}, s=seq, t="RESUMED")
        await asyncio.sleep(0.1)


async def test_cut_off_a_session_that_is_lost_twice_soon_after_it_was_resumed_is_let_go_until_there_is_an_operator(rig):
    rig = await rig().connected()
    await asyncio.sleep(60)
    rig.worker.set_neighbours(Neighbours(cut_off=True))
    await lose_and_resume(rig, 2)  # after a minute: that happens
    await lose_and_resume(rig, 3)
    await lose_and_resume(rig, 4)
    dials = len(rig.network.lines)
    await asyncio.sleep(300)
    assert len(rig.network.lines) == dials, "nothing more is dialled"

    rig.worker.set_neighbours(Neighbours(cut_off=False))
    await asyncio.sleep(1)
    rig.line.hello()
    await asyncio.sleep(0.1)
    silent_for = (
        asyncio.get_running_loop().time() - next(iter(rig.worker._shards.values())).protocol.hearing.silent_since
    )
    assert silent_for > 300, "what is replayed may be as old as that"

    assert len(rig.network.lines) == dials + 1
    assert rig.line.ops == [6], "the session is what it was"


async def test_with_an_operator_a_session_is_resumed_however_often_it_is_lost(rig):
    rig = await rig().connected()
    for seq in range(2, 8):
        dials = len(rig.network.lines)
        await lose_and_resume(rig, seq)
        assert len(rig.network.lines) > dials
