"""When another shard set delivers, the bot can be told by an event among Discord's, which disturbs none of them."""

import asyncio
import json

import msgspec
import pytest

from shardpod.delivery import LaneQueue, SinkError
from shardpod.handover import Orders
from shardpod.spool import StoredSession
from shardpod.worker.announcing import shards_changed
from shardpod.worker.messages import Neighbours
from shardpod.worker.shard_file import ShardFile

pytestmark = pytest.mark.looptime

ORDERS = Orders(2, 1, 4, 2, 8, ((0, 7),))
PENDING = Neighbours(orders=ORDERS)
ANNOUNCE = Neighbours(orders=ORDERS, announce=True)
KEY = "epoch-2:1"


async def told(rig, neighbours, *, shard_id=0, **settings):
    """What a worker's bot got besides READY, a second after its operator's word."""
    made = await rig({"neighbours": PENDING}, shard_ids=(shard_id,), shard_count=8, **settings).connected()
    made.worker.set_neighbours(neighbours)
    await asyncio.sleep(1)
    return [event for event in made.bot.events if event.type != "READY"]


async def test_it_tells_both_numbers_of_shards_and_epochs(rig):
    (event,) = await told(rig, ANNOUNCE)

    assert event.key == KEY
    assert (event.shard_id, event.guild_id) == (0, None)
    assert json.loads(event.raw) == {
        "op": 0,
        "t": "GATEWAY_SHARDS_CHANGED",
        "s": None,
        "d": {"epoch": 2, "shard_count": 8, "before": {"epoch": 1, "shard_count": 4}},
    }


async def test_filters_and_bounds_are_not_for_it(rig):
    assert len(await told(rig, ANNOUNCE, include=frozenset({"READY"}), max_queued_events=1)) == 1


async def test_it_is_told_once_however_often_the_operator_says_so(rig):
    made = await rig({"neighbours": PENDING}, shard_ids=(0,), shard_count=8).connected()
    for neighbours in (ANNOUNCE, PENDING, ANNOUNCE, Neighbours()):
        made.worker.set_neighbours(neighbours)
        await asyncio.sleep(1)

    assert [event.key for event in made.bot.events].count(KEY) == 1
    assert made.report.received["GATEWAY_SHARDS_CHANGED"] == 1
    assert made.report.delivered == sum(made.report.received.values())


@pytest.mark.parametrize(
    ("neighbours", "shard_id"),
    [
        (PENDING, 0),
        (ANNOUNCE, 1),
        (Neighbours(announce=True), 0),
        (Neighbours(orders=msgspec.structs.replace(ORDERS, epoch=1), announce=True), 0),
    ],
    ids=["not asked for", "another shard", "no reshard", "active set"],
)
async def test_nobody_else_tells_it(rig, neighbours, shard_id):
    assert await told(rig, neighbours, shard_id=shard_id) == []


async def test_a_worker_that_is_started_in_the_middle_tells_it_under_the_same_key(rig):
    made = await rig({"neighbours": ANNOUNCE}, shard_ids=(0,), shard_count=8).connected()
    await asyncio.sleep(1)

    assert [event.key for event in made.bot.events].count(KEY) == 1


async def test_it_holds_up_no_checkpoint_while_the_bot_refuses_it(rig):
    made = await rig({"neighbours": PENDING}, shard_ids=(0,), shard_count=8).connected()
    made.bot.rejects = lambda event: SinkError("no") if event.key == KEY else None
    made.worker.set_neighbours(ANNOUNCE)
    for seq in (2, 3):
        made.line.event(seq)
    await asyncio.sleep(1)

    assert made.bot.delivered == [1, 2, 3]
    assert (made.shard.settled_seq, made.shard.safe_seq, made.shard.seq) == (3, 3, 3)
    assert made.report.queued_events == 1


def test_in_the_spool_it_does_not_count_as_an_event_of_the_session(make_event):
    queue = LaneQueue(settled=lambda *_: None)
    shard = queue.shard(0)
    queue.put(make_event(5, shard=0))
    queue.put_whatever_the_bound(shards_changed(ORDERS, 0.0))
    queue.put(make_event(6, shard=0))
    session = StoredSession(session_id="s", resume_gateway_url="", seq=0, shard_count=8, identity="")
    writing = ShardFile(None, next_id=1, dead_letters=0).gather(
        shard, session, received_before=1.0, now=1.0, wall=1.0, room=10_000
    )

    assert len(writing.changes.add) == 3
    assert (writing.session_id, writing.spooled_seq, writing.changes.session.seq) == ("s", 6, 6)
    assert shard.settled_seq == 4


async def test_what_waits_already_is_not_told_again(rig):
    made = rig({"neighbours": ANNOUNCE}, shard_ids=(0,), shard_count=8)
    made.bot.error = SinkError("refused", unreachable=True)
    made.worker._queue.put_whatever_the_bound(shards_changed(ORDERS, 0.0))  # as from the spool
    await made.worker.start()
    await asyncio.sleep(1)

    assert made.report.queued_events == 1
