"""One side of a reshard: a worker's custody and its queue, with the effects carried out as the worker does it."""

import msgspec
import pytest

from shardpod.delivery import LaneQueue
from shardpod.handover import (
    Custody,
    HandoverOrder,
    Orders,
    Seen,
    Verdict,
    Windows,
    fingerprint,
)
from shardpod.protocol import Event
from shardpod.worker.handing import carry_out

WINDOWS = Windows(max_skew=5.0, fence_timeout=2.0)
PLENTY = 1 << 30
FENCED_AT = 100.0
LEASE = 110.0


def event_of(n, *, key=0, at=0.0, shard=None, type="TYPING_START", count=4, session="s", initial=False):  # noqa: A002 -- the event's own word
    """Event number n of the guild with this key, as the session of a set of `count` shards receives it."""
    guild = None if key is None else str(key << 22)
    raw = b'{"t":"%b","s":%d,"op":0,"d":{"n":%d,"id":"%d"}}' % (type.encode(), n, n, n)
    shard = (key or 0) % count if shard is None else shard
    return Event(type, n, guild, shard, session, at, raw, initial=initial)


class Side:
    """`delivered` are the numbers that the bot acknowledged, in order; it takes what waits at `deliver`."""

    def __init__(self, orders, shard_ids=None, *, now=0.0, resuming=False, **bounds):
        self.settled = []
        self.delivered = []
        self.contents = {}
        self.count = orders.shard_count
        self.queue = LaneQueue(settled=lambda event, reason: self.settled.append((event.seq, reason)), **bounds)
        shards = range(self.count) if shard_ids is None else shard_ids
        self.custody = Custody(shards, orders, self.queue, now=now, resuming=resuming)
        self.carry_out()
        self.tick(now)

    def receive(self, n, *, since=None, **what):
        """`since`: the event is replayed, and would have come at any time from then on."""
        event = event_of(n, **{"count": self.count, **what})
        verdict = self.custody.received(event, since)
        self.carry_out()
        if verdict is Verdict.OURS:
            self.queue.put(event)
            return verdict
        self.queue.skip(event)
        if verdict is Verdict.HELD:
            self.queue.hold(event)
        return verdict

    def deliver(self):
        """The bot takes all that it is offered; returns the numbers of what it took now."""
        taken = []
        while (batch := self.queue.take(1, PLENTY)) is not None:
            taken += [event.seq for event in batch.events]
            self.contents |= {event.seq: event.content for event in batch.events}
            self.queue.acknowledge(batch)
        self.delivered += taken
        return taken

    def follow(self, now, **changes):
        self.custody.follow(msgspec.structs.replace(self.custody.orders, **changes), now)
        self.carry_out()
        if self.custody.orders.handover is not None:
            self.tick(now)

    def tick(self, now, *, connected=True, heard_at=None):
        """`heard_at`: when the session that is silent for longest was heard of; a moment ago by default."""
        self.custody.tick(now, connected=connected, heard_at=now if heard_at is None else heard_at)
        self.carry_out()

    def lease(self, number, until, now):
        self.custody.lease(number, until, now)
        self.carry_out()

    def activate(self, number, theirs, fenced_at, now):
        self.custody.activate(number, theirs, fenced_at, now)
        self.carry_out()

    def all_of(self, number, now, *, go):
        return self.custody.tail(number, lambda _: True, now, go=go)

    @property
    def state(self):
        report = self.custody.report()
        return None if report is None else report.state

    @property
    def reason(self):
        return self.custody.report().reason

    @property
    def settled_seq(self):
        return {shard: self.queue.shard(shard).settled_seq for shard in range(self.count)}

    def carry_out(self):
        while self.custody.effects:
            effects, self.custody.effects = self.custody.effects, []
            for effect in effects:
                carry_out(effect, self.queue, admit=self.queue.put_whatever_the_bound, is_filtered=lambda _event: False)


def orders_of(epoch, **changes):
    """Epoch 1 of 4 shards is active, epoch 2 of 6 pending, nothing is handed over yet."""
    plain = {"active_epoch": 1, "active_count": 4, "pending_epoch": 2, "pending_count": 6, "windows": WINDOWS}
    return Orders(epoch, **{**plain, **changes})


def order_of(number=1, first=0, last=2, *, go=False, back=False):
    """Shards first..last of the pending set, to the pending epoch, or back."""
    return HandoverOrder(number, first, last, 2 if back else 1, 1 if back else 2, go)


@pytest.fixture(scope="session")
def active():
    """Make the side of the active set; `changes` are of its orders."""
    return lambda shard_ids=None, *, now=0.0, resuming=False, **changes: Side(
        orders_of(1, **changes), shard_ids, now=now, resuming=resuming
    )


@pytest.fixture(scope="session")
def pending():
    return lambda shard_ids=None, *, now=0.0, resuming=False, **changes: Side(
        orders_of(2, **changes), shard_ids, now=now, resuming=resuming
    )


@pytest.fixture(scope="session")
def fenced(active):
    """Make a side of the active set that has watched long enough, and fenced shards first..2 at 0."""

    def make(first=0):
        side = active(now=-100.0, handover=order_of(first=first))
        side.follow(0.0, handover=order_of(first=first, go=True))
        return side

    return make


@pytest.fixture(scope="session")
def order():
    return order_of


@pytest.fixture(scope="session")
def orders():
    return orders_of


@pytest.fixture(scope="session")
def numbered():
    return event_of


# A taker.


@pytest.fixture
def taker(pending, order):
    """It watches since 0, and pending shards 0..2 are on their way to it. At `compared_at` both sides saw the same."""

    def make(*, compared_at=FENCED_AT, **changes):
        side = pending(**{"handover": order(), **changes})
        if compared_at is not None:
            side.custody.rehearse(1, [], compared_at, compared_at)
        return side

    return make


@pytest.fixture
def told(numbered):
    """What the giver saw: number and time of each."""

    def told(*seen, key=0, **what):
        return [
            Seen(key, at, fingerprint(event.type, event.raw))
            for n, at in seen
            for event in (numbered(n, key=key, **what),)
        ]

    return told


@pytest.fixture
def live(order):
    """Bring it from the go, at `gone_at`, to its first lease, with what the giver tells."""

    def live(side, theirs=(), *, until=LEASE, now=FENCED_AT, gone_at=None):
        side.follow(now if gone_at is None else gone_at, handover=order(go=True))
        side.lease(1, until, now)
        side.activate(1, list(theirs), FENCED_AT, now)
        side.tick(now)
        return side

    return live
