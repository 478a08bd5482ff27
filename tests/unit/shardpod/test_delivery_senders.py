"""Senders on a virtual clock, with a sink that does as it is told."""

import asyncio
from itertools import pairwise
from random import Random

import pytest
import structlog.testing

from shardpod.delivery import Delivery, LaneQueue, SinkError, SinkHealth

pytestmark = pytest.mark.looptime


class FakeSink:
    """Keeps what it was given as (time, seqs, attempt). `answer(events)` returns seconds to take, or raises."""

    def __init__(self, answer=lambda events: 0.01):
        self.answer = answer
        self.calls = []
        self.delivered = []
        self.under_way = 0
        self.most_under_way = 0
        self.closed = False
        self._tasks = set()

    def submit(self, batch, done):
        if isinstance(outcome := self.answer(batch.events), Exception) and not isinstance(outcome, SinkError):
            raise outcome
        task = asyncio.get_running_loop().create_task(self._deliver(batch, outcome, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, batch, outcome, done):
        try:
            await self._take(batch.events, batch.attempt, outcome)
        except SinkError as error:
            done(batch, error)
        except asyncio.CancelledError:
            done(batch, SinkError("closed"))
            raise
        else:
            done(batch, None)

    async def _take(self, events, attempt, outcome):
        loop = asyncio.get_running_loop()
        self.calls.append((loop.time(), [event.seq for event in events], attempt))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(outcome if isinstance(outcome, float) else 0.01)
            if isinstance(outcome, Exception):
                raise outcome
        finally:
            self.under_way -= 1
        self.delivered += [event.seq for event in events]

    async def close(self):
        self.closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Rig:
    def __init__(self, sink, *, senders=4, max_batch_events=1, **bounds):
        self.settled = []
        self.sink = sink
        self.queue = LaneQueue(settled=lambda event, reason: self.settled.append((event.seq, reason)), **bounds)
        self.health = SinkHealth(Random(3))
        self.delivery = Delivery(self.queue, sink, self.health, senders=senders, max_batch_events=max_batch_events)

    def put(self, *events):
        for event in events:
            if self.queue.put(event):
                self.delivery.notify()

    async def drained(self, within=600.0):
        async with asyncio.timeout(within):
            while self.queue.events:  # noqa: ASYNC110 -- on a virtual clock, and the queue knows no events
                await asyncio.sleep(0.05)


@pytest.fixture
async def rig():
    rigs = []

    def make(answer=lambda events: 0.01, **options):
        rigs.append(Rig(FakeSink(answer), **options))
        return rigs[-1]

    yield make
    for made in rigs:
        await made.delivery.close()


def failing_for(lanes, error):
    """Fails events of these guilds; the others take 10 ms."""
    return lambda events: error if any(event.guild_id in lanes for event in events) else 0.01


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


async def test_a_failing_lane_rests_while_the_others_go_on(rig, make_event):
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


async def test_a_lane_that_recovers_delivers_all_it_held_in_order(rig, make_event):
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
async def test_one_event_that_always_fails_does_not_keep_the_bot_down_for_the_others(rig, make_event, error):
    """delivery-formats: "Only when no lane is acknowledged is the bot down"."""
    rig = rig(failing_for({"bad"}, error), senders=4)
    rig.put(make_event(1, guild="bad"))
    await asyncio.sleep(300)
    rig.put(*(make_event(seq, guild=str(seq)) for seq in range(2, 30)))
    await asyncio.sleep(60)

    assert sorted(rig.sink.delivered) == list(range(2, 30))


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


async def test_a_lane_in_trouble_is_told_once_without_the_events_content(rig, make_event):
    rig = rig(failing_for({"bad"}, SinkError("the bot answered 500")), senders=2)
    with structlog.testing.capture_logs() as logs:
        rig.put(make_event(1, guild="bad", raw=b'{"d":"private words"}'))
        for seq in range(2, 100):
            rig.put(make_event(seq, guild=str(seq)))
            await asyncio.sleep(0.5)

    (trouble,) = [log for log in logs if "refusing" in log["event"]]
    assert (trouble["guild_id"], trouble["key"]) == ("bad", "s:1")
    assert "private words" not in str(logs)
