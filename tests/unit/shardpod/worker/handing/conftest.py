"""Two workers of a reshard that ask each other directly, and what the operator would tell them."""

import asyncio
from math import inf
from random import Random
from types import SimpleNamespace

import pytest

from shardpod.delivery import Delivery, LaneQueue, SinkHealth
from shardpod.handover import HandoverOrder, Orders, Windows
from shardpod.protocol import Event, ShardState
from shardpod.worker.handing import Handing
from shardpod.worker.messages import Lease, Neighbour

WINDOWS = Windows(max_skew=1.0, fence_timeout=0.4)
COUNTS = {1: 2, 2: 3}


def now():
    return asyncio.get_running_loop().time()


def order_of(number=1, *, go=False, back=False):
    """All of the pending set's shards."""
    return HandoverOrder(number, 0, 2, 2 if back else 1, 1 if back else 2, go)


class Bot:
    """Takes each event `takes` seconds after it was sent."""

    def __init__(self):
        self.events = []
        self.takes = 0.01

    def submit(self, batch, done):
        asyncio.get_running_loop().call_later(self.takes, self.take, batch, done)

    def take(self, batch, done):
        self.events += batch.events
        done(batch, None)

    async def close(self):
        pass


class Half:
    """One worker with all shards of its epoch. `peer` answers what it asks; `asking` may delay or fail that."""

    def __init__(self, epoch):
        self.epoch, self.count = epoch, COUNTS[epoch]
        self.bot = Bot()
        self.settled, self.filtered, self.asked, self.saves = [], set(), [], 0
        self.save_works = True
        self.signs = []
        self.states, self.peer, self.asking = [], None, None
        self.counterparts = (Neighbour("other-1", "other:80", 0, COUNTS[3 - epoch] - 1),)
        self.lost = dict.fromkeys(range(self.count), 0)
        self.shards = {
            shard: SimpleNamespace(
                protocol=SimpleNamespace(
                    state=ShardState.CONNECTED, hearing=SimpleNamespace(silent_since=None, heard_at=inf)
                ),
                runner=SimpleNamespace(reads=True, ask_for_a_sign=lambda prompt, shard=shard: self.signs.append(shard)),
                counted=lambda name, shard=shard: self.lost[shard],
            )
            for shard in range(self.count)
        }
        self.queue = LaneQueue(settled=lambda event, reason: self.settled.append((event.seq, reason)))
        self.delivery = Delivery(self.queue, self.bot, SinkHealth(Random(1)), senders=8, bury=lambda *_: None)
        self.handing = Handing(
            self.shards,
            range(self.count),
            self.queue,
            ask=self.ask,
            admit=self.admit,
            is_filtered=lambda event: event.type in self.filtered,
            save=self.save,
            notify=self.delivery.notify,
            on_change=self.on_change,
        )

    async def ask(self, request):
        self.asked.append((round(now(), 3), request.request))
        if self.asking is not None:
            await self.asking()
        return self.peer.handing.tail(request.request)

    def admit(self, event):
        if event.type not in self.filtered:
            self.queue.put_whatever_the_bound(event)

    async def save(self):
        self.saves += 1
        await asyncio.sleep(0.01)
        return self.save_works

    def on_change(self):
        report = self.handing.report()
        self.states.append(None if report is None else report.state)

    def follow(self, order=None, *, handed=(), resuming=False, over=False):
        orders = None if over else Orders(self.epoch, 1, COUNTS[1], 2, COUNTS[2], handed, WINDOWS, order)
        self.handing.follow(orders, self.counterparts, resuming=resuming)

    def receive(self, n, key=0, *, type="TYPING_START"):  # noqa: A002 -- the event's own word
        raw = b'{"d":{"n":%d}}' % n
        event = Event(type, n, str(key << 22), key % self.count, "s", now(), raw)
        if self.handing.custody is None or self.handing.received(event):
            self.queue.put(event)
            self.delivery.notify()

    @property
    def state(self):
        report = self.handing.report()
        return None if report is None else report.state

    @property
    def delivered(self):
        return [event.seq for event in self.bot.events]


class Two:
    def __init__(self):
        self.old, self.new = Half(1), Half(2)
        self.old.peer, self.new.peer = self.new, self.old
        self.n = 0

    @property
    def halves(self):
        return (self.old, self.new)

    def say(self, order=None, *, handed=(), over=False):
        for half in self.halves:
            half.follow(order, handed=handed, over=over)

    def send(self, key=0, *, to_old=0.0, to_new=0.0):
        """One event, which comes to each session after some time."""
        self.n += 1
        for half, late in ((self.old, to_old), (self.new, to_new)):
            if late:
                asyncio.get_running_loop().call_later(late, half.receive, self.n, key)
            else:
                half.receive(self.n, key)
        return self.n

    def lease(self, number=1, *, to=None, lasts=0.8):
        (to or self.new).handing.lease(Lease(number, now() + lasts))

    async def watched(self, *, back=False, handed=()):
        """From the beginning to a rehearsal that agrees, and until enough is remembered for a fence."""
        self.say(order_of(back=back), handed=handed)
        await asyncio.sleep(WINDOWS.history + 0.5)

    async def live(self):
        await self.watched()
        self.say(order_of(go=True))
        await asyncio.sleep(0.1)
        self.lease()
        await asyncio.sleep(0.1)
        return self


@pytest.fixture
async def two():
    two = Two()
    yield two
    for half in two.halves:
        half.handing.close()
        await half.delivery.close()


@pytest.fixture(scope="session")
def order():
    return order_of


@pytest.fixture(scope="session")
def windows():
    return WINDOWS
