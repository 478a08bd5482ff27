"""What could not be sent at once is sent only if it still may be: on real sockets, where dialling takes time."""

import asyncio
import contextlib
from random import Random

import pytest

from shardpod.delivery import Delivery, HttpSink, LaneQueue, SinkError, SinkHealth

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PATIENCE = 5.0


def in_guild(*guilds):
    return lambda event: event.guild_id in guilds


class Bot:
    """Notes the seq of every request, and answers while `answers` is set. `accepts` is when a connection is made."""

    def __init__(self):
        self.requests = []
        self.attempts = []
        self.asked = 0
        self.accepts = asyncio.Event()
        self.accepts.set()
        self.answers = True
        self.writers = []
        self._tasks = set()

    async def serve(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _connected(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(headers["Content-Length"]))
                self.requests.append(int(headers["Idempotency-Key"].rpartition(":")[2]))
                self.attempts.append(int(headers["X-Gateway-Attempt"]))
                if self.answers:
                    writer.write(OK)
        writer.close()

    def cut_all(self):
        """Close every connection without an answer."""
        for writer in self.writers:
            writer.close()

    async def close(self):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Side:
    """A queue that is delivered to the bot by HTTP."""

    def __init__(self, bot, make_event):
        self.settled = []
        self.buried = []
        self.queue = LaneQueue(settled=lambda event, reason: self.settled.append((event.seq, reason)))
        self.health = SinkHealth(Random(1))
        sink = HttpSink(f"http://127.0.0.1:{bot.port}/", epoch=2, shard_count=8)
        self.delivery = Delivery(
            self.queue, sink, self.health, senders=4, bury=lambda event, *_: self.buried.append(event.seq)
        )
        self._make_event = make_event

    def put(self, seq, guild="1", **what):
        if self.queue.put(self._make_event(seq, guild=guild, **what)):
            self.delivery.notify()

    def start(self):
        self.queue.start_lanes()
        self.delivery.notify()


@pytest.fixture
async def bot(monkeypatch):
    bot = await Bot().serve()
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_late(*args, **options):
        bot.asked += 1
        await bot.accepts.wait()
        return await connect(*args, **options)

    monkeypatch.setattr(loop, "create_connection", connect_late)
    yield bot
    bot.accepts.set()
    await bot.close()


@pytest.fixture
async def side(bot, make_event):
    side = Side(bot, make_event)
    yield side
    await side.delivery.close()


async def settles(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- what is waited for is spread over two programs
            await asyncio.sleep(0.005)


async def dialling(bot, side, **what):
    """Event 1 waits for its connection."""
    bot.accepts.clear()
    side.put(1, **what)
    await settles(lambda: bot.asked == 1)


async def under_way_on_a_kept_connection(bot, side):
    """Event 1 was answered, and event 2 is under way on the same connection."""
    side.put(1)
    await settles(lambda: side.settled == [(1, None)])
    bot.answers = False
    side.put(2)
    await settles(lambda: bot.requests == [1, 2])


async def test_nothing_is_sent_over_a_connection_that_is_made_when_the_lease_is_over(bot, side):
    lease_over = [False]
    side.delivery.before_sending = lambda: lease_over[0] and side.queue.stop_lanes(in_guild("1"))
    await dialling(bot, side)
    lease_over[0] = True
    bot.accepts.set()
    await settles(lambda: not side.queue.shard(3).in_flight)
    await asyncio.sleep(0.05)

    assert bot.requests == []
    assert (side.settled, side.queue.events) == ([], 1)
    assert not side.queue.has_ready


async def test_what_the_other_set_was_given_while_it_waited_for_a_connection_is_settled_and_not_sent(bot, side):
    await dialling(bot, side)
    side.queue.stop_lanes(in_guild("1"))
    side.queue.discard(in_guild("1"))
    side.start()
    bot.accepts.set()
    await settles(lambda: side.settled)
    side.put(2)
    await settles(lambda: len(side.settled) == 2)

    assert bot.requests == [2]
    assert side.settled == [(1, None), (2, None)]


async def test_what_was_discarded_is_not_sent_again_when_its_kept_connection_closes_without_an_answer(bot, side):
    await under_way_on_a_kept_connection(bot, side)
    side.queue.discard(in_guild("1"))
    bot.cut_all()
    await settles(lambda: len(side.settled) == 2)
    await asyncio.sleep(0.05)

    assert bot.requests == [1, 2]
    assert side.settled == [(1, None), (2, None)]


async def test_what_still_may_be_sent_is_sent_again_when_its_kept_connection_closes_without_an_answer(bot, side):
    await under_way_on_a_kept_connection(bot, side)
    bot.answers = True
    bot.cut_all()
    await settles(lambda: len(side.settled) == 2)

    assert bot.requests == [1, 2, 2]
    assert bot.attempts == [1, 1, 1], "docs/delivery.md: such a repetition is not counted"


async def test_a_shard_that_is_being_given_away_sends_nothing_over_a_late_connection(bot, side):
    await dialling(bot, side)
    side.queue.freeze(3)
    bot.accepts.set()
    await settles(lambda: not side.queue.shard(3).in_flight)
    side.queue.forget(3)

    assert (bot.requests, side.settled) == ([], [])


async def test_what_was_not_sent_counts_neither_against_the_event_nor_against_the_bot(bot, side):
    await dialling(bot, side)
    side.queue.stop_lanes(in_guild("1"))
    bot.accepts.set()
    await settles(lambda: not side.queue.shard(3).in_flight)
    assert (bot.requests, side.health.problem) == ([], None)
    side.start()
    await settles(lambda: side.settled)

    assert (bot.requests, bot.attempts) == ([1], [1])
    assert bot.asked == 1, "the connection was kept"


async def test_closed_while_it_dials_a_sink_sends_nothing(bot, side):
    await dialling(bot, side)
    await side.delivery.close()
    bot.accepts.set()
    await asyncio.sleep(0.05)

    assert (bot.requests, side.settled, side.queue.events) == ([], [], 1)


# With senders alone: what fails after it has become the other set's.


@pytest.mark.looptime
async def test_an_event_that_became_the_other_sets_is_no_dead_letter_here(rig, make_event):
    rig = rig(lambda events: SinkError("422", rejected=True) if events[0].guild_id == "1" else 0.01, max_attempts=1)
    rig.put(make_event(1, guild="1"), make_event(2, guild="2"))
    rig.queue.discard(in_guild("1"))
    await rig.drained(within=1.0)

    assert rig.buried == []
    assert sorted(rig.settled) == [(1, None), (2, None)]


@pytest.mark.looptime
async def test_what_stands_behind_an_event_that_became_the_other_sets_does_not_rest_for_it(rig, make_event):
    rig = rig(lambda events: SinkError("500") if events[0].seq == 1 else 0.01, ordering="shard")
    rig.put(make_event(1, guild="1"), make_event(2, guild="2"))
    rig.queue.discard(in_guild("1"))
    await asyncio.sleep(0.1)

    assert rig.sink.delivered == [2]
    assert rig.sink.calls[-1][2] == 1, "it is the first attempt of this one"
