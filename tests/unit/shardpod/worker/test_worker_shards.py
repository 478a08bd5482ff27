"""A worker's shards on a virtual clock, with a Discord, an operator and a bot of a few lines each."""

import asyncio

import pytest

from shardpod.protocol import ShardState
from shardpod.worker import Granted, Wait
from shardpod.worker.shard_runner import CONNECT_AHEAD

pytestmark = pytest.mark.looptime


TOKEN = "MTk4.another-token.zzz"


def waiting(seconds, answer):
    async def respond():
        await asyncio.sleep(seconds)
        return answer

    return respond


def runner_of(rig):
    (shard,) = rig.worker._shards.values()
    return shard.runner


# The way up.


async def test_a_shard_connects_identifies_by_permit_and_delivers(rig):
    rig = await rig().connected(guilds=["1"])
    rig.line.event(2)
    rig.line.event(3)
    await asyncio.sleep(0.1)

    assert rig.line.ops == [2]
    assert rig.operator.sent == [(3, 1)]
    assert rig.bot.delivered == [1, 2, 3]
    assert rig.shard.state is ShardState.CONNECTED
    assert (rig.shard.seq, rig.shard.settled_seq) == (3, 3)
    assert rig.worker.report().identifies == 1
    assert rig.changes >= 3


async def test_a_shard_waits_for_its_turn_before_it_dials(rig):
    rig = rig()
    rig.operator.answers = [Wait(100.0, "the bucket is busy"), Wait(70.0, "the bucket is busy")]
    await rig.worker.start()
    await asyncio.sleep(59)

    assert rig.network.dials == []
    assert rig.shard.problem == "the bucket is busy"
    assert rig.shard.state is ShardState.AWAITING_PERMIT
    assert all(not ready for _, _, ready in rig.operator.asked)
    await asyncio.sleep(2)
    assert len(rig.network.dials) == 1
    assert rig.shard.problem is None


async def test_a_shard_that_dials_after_its_wait_is_reported_as_connecting(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.operator.answers = [Wait(10.0, "the bucket is busy")]
    rig.network.fault = hang
    await rig.worker.start()
    await asyncio.sleep(9)

    assert len(rig.network.dials) == 1
    assert runner_of(rig).reported_state is ShardState.CONNECTING


async def test_a_long_wait_is_asked_about_again_for_turns_move_up(rig):
    rig = rig()
    rig.operator.answers = [Wait(3600.0, "far away")]
    await rig.worker.start()
    await asyncio.sleep(31)

    assert len(rig.operator.asked) == 2
    assert len(rig.network.dials) == 1


async def test_the_socket_is_opened_a_little_ahead_of_the_turn(rig):
    rig = rig()
    rig.operator.answers = [Wait(20.0, "x"), Wait(CONNECT_AHEAD, "x")]
    await rig.worker.start()
    await asyncio.sleep(25)

    assert [at for at, _ in rig.network.dials] == [pytest.approx(20.0 - CONNECT_AHEAD, abs=0.1)]


async def test_a_shard_with_a_session_dials_without_asking(rig):
    rig = await rig().connected()
    asked = len(rig.operator.asked)
    rig.line.listener.closed(None)
    await asyncio.sleep(5)

    assert len(rig.operator.asked) == asked
    assert rig.network.dials[-1][1].startswith("wss://resume/")


async def test_a_refused_permit_is_asked_for_again_when_told(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), Wait(7.0, "the budget is low")]
    await rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(6.5)
    assert rig.line.ops == []
    assert rig.shard.problem == "the budget is low"
    await asyncio.sleep(1)

    assert rig.line.ops == [2]


async def test_a_permit_that_comes_too_late_is_not_used(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(1.5, Granted(71, 1.0))]
    await rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(3)

    assert rig.operator.sent == [(3, 1)], "permit 71 was asked for 1.5 s before it came"
    assert rig.line.ops == [2]


async def test_a_permit_for_a_connection_that_has_gone_is_not_used_on_the_next(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(0.5, Granted(71, 100.0))]
    await rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)
    rig.line.listener.closed(None)
    await asyncio.sleep(5)
    rig.line.hello()
    await asyncio.sleep(1)

    assert rig.operator.sent == [(3, 1)]
    assert rig.network.lines[0].ops == []


async def test_permits_that_are_always_stale_do_not_stop_the_loop(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), *(Granted(number, 0.0) for number in range(100))]
    await rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)

    assert len(rig.operator.asked) < 20, "it asks again and again without a pause"


async def test_hello_in_the_wake_up_that_opened_the_socket_does_not_cancel_the_dial(rig):
    rig = rig()
    rig.network.in_wake_up = True
    await rig.worker.start()
    await asyncio.sleep(1)

    assert rig.network.cancelled == 0
    assert rig.line.ops == [2]
