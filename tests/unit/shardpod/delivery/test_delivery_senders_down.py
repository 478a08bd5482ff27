"""Senders while the bot is down, and at the end, on a virtual clock."""

import asyncio
from itertools import pairwise

import pytest
import structlog.testing

from shardpod.delivery import SinkError

pytestmark = pytest.mark.looptime


# The bot is down.


async def test_while_the_bot_is_down_one_probe_at_a_time_asks_for_it_with_growing_pauses(rig, make_event):
    rig = rig(lambda events: SinkError("refused", unreachable=True), senders=16)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 101)))
    await asyncio.sleep(0.02)
    rig.sink.most_under_way = rig.sink.under_way
    first_wave = len(rig.sink.calls)
    await asyncio.sleep(60)

    assert rig.health.down
    assert first_wave <= 16
    assert rig.sink.most_under_way == 1
    probes = [at for at, _, _ in rig.sink.calls[first_wave:]]
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert gaps[0] < 0.5
    assert all(2.5 <= gap <= 5.1 for gap in gaps[8:])
    assert rig.queue.events == 100


async def test_a_probe_asks_first_what_may_be_sent(rig, make_event):
    """A process that stood still may find its probe due before it knows that its leave to deliver is over."""
    rig = rig(lambda events: SinkError("refused", unreachable=True))
    rig.put(*(make_event(seq, guild=str(seq)) for seq in (1, 2)))
    await asyncio.sleep(0.05)
    assert rig.health.down
    rig.delivery.before_sending = lambda: rig.queue.stop_lanes(lambda _: True)
    tried = len(rig.sink.calls)
    await asyncio.sleep(60)

    assert len(rig.sink.calls) == tried


async def test_when_the_bot_is_back_all_drains_in_order_and_once(rig, make_event):
    down = [True]
    rig = rig(lambda events: SinkError("refused", unreachable=True) if down[0] else 0.01, senders=8)
    lane_of = {seq: str(seq % 13) for seq in range(1, 401)}
    with structlog.testing.capture_logs() as logs:
        rig.put(*(make_event(seq, guild=lane_of[seq]) for seq in lane_of))
        await asyncio.sleep(120)
        assert rig.sink.delivered == []
        down[0] = False
        await rig.drained(within=10)

    assert sorted(rig.sink.delivered) == list(lane_of)
    for lane in set(lane_of.values()):
        in_lane = [seq for seq in rig.sink.delivered if lane_of[seq] == lane]
        assert in_lane == sorted(in_lane)
    assert [log["event"] for log in logs] == ["the bot is down, events are held", "the bot is back"]
    assert rig.sink.most_under_way > 4, "all senders work again"


async def test_a_bot_that_restarts_in_a_second_has_its_events_soon_after(rig, make_event):
    down = [True]
    rig = rig(lambda events: SinkError("refused", unreachable=True) if down[0] else 0.01, senders=64)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 201)))
    await asyncio.sleep(1.0)
    down[0] = False
    await rig.drained(within=2.0)

    assert len(rig.sink.delivered) == 200


async def test_a_bot_that_refuses_everything_without_a_word_counts_as_down(rig, make_event):
    rig = rig(lambda events: SinkError("500"), senders=4)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(1, 41)))
    await asyncio.sleep(5)

    assert rig.health.down


async def test_when_nothing_waits_for_a_bot_that_is_down_it_counts_as_up_until_the_next_event(rig, make_event):
    """What waited may have become another pod's: then no probe would be sent, and a reshard would wait for ever."""
    rig = rig(lambda events: SinkError("refused", unreachable=True))
    rig.put(*(make_event(seq, guild="1") for seq in (1, 2)))
    await asyncio.sleep(0.05)
    assert rig.health.down

    await asyncio.sleep(1.0)
    rig.queue.discard(lambda _: True)
    rig.delivery.notify()
    await asyncio.sleep(10.0)
    assert not rig.health.down
    assert rig.queue.events == 0

    rig.put(make_event(3, guild="1"))
    await asyncio.sleep(0.05)
    assert rig.health.down


async def test_retry_after_is_obeyed(rig, make_event):
    errors = [SinkError("429", retry_after=20.0)]
    rig = rig(lambda events: errors.pop() if errors else 0.01, senders=4)
    rig.put(make_event(1, guild="1"))
    await rig.drained()

    (first, _, _), (second, _, attempt) = rig.sink.calls
    assert 20.0 <= second - first < 21.0
    assert attempt == 2


async def test_events_put_while_the_bot_is_down_and_all_senders_wait_are_delivered_when_it_is_back(rig, make_event):
    down = [True]
    rig = rig(lambda events: SinkError("refused", unreachable=True) if down[0] else 0.01, senders=3, max_events=1)
    rig.put(make_event(1, guild="1"))
    await asyncio.sleep(30)
    down[0] = False
    rig.put(make_event(2, guild="2"))
    await rig.drained(within=10)

    assert rig.sink.delivered[-1] == 2


# The end, and what nobody expects.


async def test_close_keeps_what_is_under_way_in_the_queue(rig, make_event):
    rig = rig(lambda events: 100.0)
    rig.put(make_event(1), make_event(2))
    await asyncio.sleep(1)
    await rig.delivery.close()

    assert rig.sink.closed
    assert rig.queue.events == 2
    assert rig.settled == []


async def test_an_unexpected_exception_of_the_sink_loses_neither_the_event_nor_the_sender(rig, make_event):
    errors = [UnicodeError("label too long"), RuntimeError("bug")]
    rig = rig(lambda events: errors.pop() if errors else 0.01, senders=1)
    with structlog.testing.capture_logs() as logs:
        rig.put(make_event(1), make_event(2))
        await rig.drained(within=60)

    assert rig.sink.delivered == [1, 2]
    assert any(log["log_level"] == "error" and log.get("exc_info") for log in logs), "a bug is not hidden"


async def test_a_lane_in_trouble_is_told_once_without_the_events_content(rig, make_event, failing_for):
    rig = rig(failing_for({"bad"}, SinkError("the bot answered 500")), senders=2)
    with structlog.testing.capture_logs() as logs:
        rig.put(make_event(1, guild="bad", raw=b'{"d":"private words"}'))
        for seq in range(2, 100):
            rig.put(make_event(seq, guild=str(seq)))
            await asyncio.sleep(0.5)

    (trouble,) = [log for log in logs if "refusing" in log["event"]]
    assert (trouble["guild_id"], trouble["key"]) == ("bad", "s:1")
    assert "private words" not in str(logs)
