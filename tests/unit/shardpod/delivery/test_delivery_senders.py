"""Senders on a virtual clock, with a sink that does as it is told."""

import asyncio
from itertools import pairwise
from random import Random

import pytest

from shardpod.delivery import SinkError

pytestmark = pytest.mark.looptime


async def test_events_of_a_lane_arrive_in_order_and_one_at_a_time(rig, make_event):
    rig = rig(senders=8)
    rig.put(*(make_event(seq, guild="1") for seq in range(1, 51)))
    await rig.drained()

    assert rig.sink.delivered == list(range(1, 51))
    assert rig.sink.most_under_way == 1
    assert rig.delivery.delivered == 50
    assert rig.settled == [(seq, None) for seq in range(1, 51)]


async def test_lanes_run_in_parallel_as_many_as_there_are_senders(rig, make_event):
    rig = rig(lambda events: 1.0, senders=5)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 21)))
    started = asyncio.get_running_loop().time()
    await rig.drained()

    assert rig.sink.most_under_way == 5
    assert asyncio.get_running_loop().time() - started == pytest.approx(4.0, abs=0.1)


async def test_a_burst_wakes_as_many_idle_senders_as_it_has_lanes(rig, make_event):
    rig = rig(lambda events: 1.0, senders=5)
    await asyncio.sleep(10)
    rig.put(*(make_event(seq, guild=str(seq % 4)) for seq in range(1, 9)))
    await rig.drained()

    assert rig.sink.most_under_way == 4


async def test_parallel_lanes_keep_their_order_each_under_random_delays(rig, make_event):
    random = Random(5)
    rig = rig(lambda events: random.uniform(0.001, 0.3), senders=7)
    lane_of = {seq: str(random.randint(1, 10)) for seq in range(1, 301)}
    rig.put(*(make_event(seq, guild=lane_of[seq]) for seq in lane_of))
    await rig.drained()

    assert sorted(rig.sink.delivered) == list(lane_of)
    for lane in set(lane_of.values()):
        in_lane = [seq for seq in rig.sink.delivered if lane_of[seq] == lane]
        assert in_lane == sorted(in_lane)


async def test_events_that_come_while_senders_are_idle_are_sent_at_once(rig, make_event):
    rig = rig()
    for seq in range(1, 6):
        await asyncio.sleep(10)
        rig.put(make_event(seq))
        before = asyncio.get_running_loop().time()
        await rig.drained()
        assert asyncio.get_running_loop().time() - before < 0.1


async def test_a_batch_carries_several_events_at_once(rig, make_event):
    rig = rig(senders=1, max_batch_events=10)
    rig.put(*(make_event(seq, guild=str(seq % 3)) for seq in range(1, 26)))
    await rig.drained()

    assert len(rig.sink.calls) == 3
    assert sorted(rig.sink.delivered) == list(range(1, 26))


# One lane fails.


async def test_a_failing_lane_rests_while_the_others_go_on(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, SinkError("500")), senders=2)
    rig.put(make_event(1, guild="bad"))
    for seq in range(2, 60):
        rig.put(make_event(seq, guild=str(seq)))
        await asyncio.sleep(0.5)

    assert rig.sink.delivered == list(range(2, 60))
    tries = [(at, attempt) for at, seqs, attempt in rig.sink.calls if seqs == [1]]
    assert [attempt for _, attempt in tries] == list(range(1, len(tries) + 1))
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(tries)]
    assert gaps[0] >= 0.25
    assert gaps[3] >= 2.0
    assert not rig.health.down


async def test_a_lane_that_recovers_delivers_all_it_held_in_order(rig, make_event, failing_for):
    bad = {"1"}
    rig = rig(failing_for(bad, SinkError("500")))
    rig.put(*(make_event(seq, guild="1") for seq in range(1, 6)))
    await asyncio.sleep(2)
    assert rig.sink.delivered == []
    bad.clear()
    await rig.drained()

    assert rig.sink.delivered == [1, 2, 3, 4, 5]
    assert [attempt for _, seqs, attempt in rig.sink.calls if seqs == [2]] == [1]


@pytest.mark.parametrize(
    "error",
    [SinkError("500"), SinkError("ended before the answer", unreachable=True), SinkError("503", retry_after=1.0)],
    ids=["refused", "crashed", "retry-after"],
)
async def test_one_event_that_always_fails_keeps_the_bot_down_for_no_other(rig, make_event, failing_for, error):
    """delivery-formats: "Only when no lane is acknowledged is the bot down"."""
    rig = rig(failing_for({"bad"}, error), senders=4)
    rig.put(make_event(1, guild="bad"))
    await asyncio.sleep(300)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(2, 30)))
    await asyncio.sleep(60)

    assert sorted(rig.sink.delivered) == list(range(2, 30))
