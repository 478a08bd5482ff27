"""Handing over between two workers when something goes wrong, on a virtual clock."""

import asyncio

import pytest

from shardpod.handover import Custody, Orders, Windows
from shardpod.protocol import Event, ShardState

pytestmark = pytest.mark.looptime


async def test_a_peer_that_cannot_be_reached_is_asked_again(two):
    async def unreachable():
        raise TimeoutError

    two.new.asking = unreachable
    await two.watched()
    assert two.new.state == "rehearsing"

    two.new.asking = None
    await asyncio.sleep(1.0)
    assert two.new.state == "rehearsed"


async def test_a_tail_that_comes_too_late_is_asked_for_again(two, order):
    await two.watched()
    two.say(order(go=True))
    two.new.asking = lambda: asyncio.sleep(0.5)
    two.lease(lasts=5.0)
    await asyncio.sleep(0.6)
    assert two.new.state == "waiting"

    two.new.asking = None
    await asyncio.sleep(0.6)
    assert two.new.state == "settled"


async def test_when_the_lease_runs_out_nothing_is_sent_from_that_moment_on(two):
    await two.live()
    two.new.bot.takes = 0.3
    two.lease(lasts=1.0)
    for _ in range(8):  # one lane, of which the bot takes an event each 0.3 s
        two.send()
    await asyncio.sleep(3.0)
    assert two.new.state == "expired"
    assert two.new.delivered == [1, 2, 3, 4], "what was under way at the end is not called back"

    two.lease(lasts=10.0)
    late = two.send()
    await asyncio.sleep(3.0)
    assert two.new.delivered == list(range(1, late + 1))


async def test_what_comes_while_the_lease_is_over_follows_what_waited(two):
    await two.live()
    await asyncio.sleep(1.0)
    assert two.new.state == "expired"
    sent = [two.send(key) for key in (0, 1, 0, 1)]
    await asyncio.sleep(0.1)
    assert two.new.delivered == []

    two.lease()
    await asyncio.sleep(0.2)
    assert sorted(two.new.delivered) == sent
    assert [n for n in two.new.delivered if n % 2] == sent[::2]


async def test_given_back_the_old_set_delivers_all_it_held(two, order):
    await two.watched()
    two.say(order(go=True))
    sent = [two.send() for _ in range(5)]
    await asyncio.sleep(0.1)
    two.say()
    await asyncio.sleep(0.1)

    assert (two.old.delivered, two.new.delivered) == (sent, [])
    assert all(event.content for event in two.old.bot.events)


async def test_a_fence_the_bot_is_too_slow_for_is_undone_in_time(two, order, windows):
    await two.watched()
    two.old.bot.takes = 1.0
    before = two.send()
    await asyncio.sleep(0.05)
    two.say(order(go=True))
    assert two.old.state == "fencing"
    held = two.send()
    await asyncio.sleep(windows.fence_timeout + 0.1)
    assert two.old.state == "undone"

    await asyncio.sleep(2.5)
    assert two.old.delivered == [before, held]


async def test_what_a_filter_excludes_is_not_delivered_when_it_is_released(two, order):
    two.old.filtered = two.new.filtered = {"TYPING_START"}
    await two.watched()
    two.say(order(go=True))
    two.old.receive(1)
    two.old.receive(2, type="MESSAGE_CREATE")
    two.say()
    await asyncio.sleep(0.1)

    assert two.old.delivered == [2]
    assert two.old.queue.events == 0


async def test_a_session_lost_between_two_ticks_and_a_new_assignment_is_noticed(two, order):
    await two.live()
    two.new.lost[1] += 1
    two.new.follow(order(go=True))

    assert two.new.state == "lost"


async def test_a_session_lost_before_it_all_is_of_no_consequence(two):
    two.new.lost[1] = 5
    await two.live()

    assert two.new.state in ("live", "settled")


async def test_what_was_lost_before_it_began_to_watch_is_no_loss_of_this_handover(two, order, monkeypatch):
    two.new.lost[1] = 5
    noticed = []
    monkeypatch.setattr(Custody, "session_lost", lambda custody, shard, now: noticed.append(shard))
    two.new.follow(order())
    assert noticed == []

    two.new.lost[1] += 1
    await asyncio.sleep(0.1)
    assert noticed == [1]


async def test_a_worker_whose_shards_are_not_begun_with_yet_goes_on_ticking(two, order):
    shards = dict(two.new.shards)
    two.new.shards.clear()
    two.say(order())
    await asyncio.sleep(0.5)
    two.new.shards.update(shards)
    await asyncio.sleep(1.0)

    assert two.new.state == "rehearsed"


async def test_expected_events_do_not_expire_while_a_session_is_away(two, order):
    await two.watched()
    two.old.receive(50)
    await asyncio.sleep(0.05)
    two.new.shards[0].protocol.state = ShardState.RESUMING
    two.say(order(go=True))
    two.lease(lasts=100.0)
    await asyncio.sleep(10.0)
    assert two.new.state == "live"

    two.new.shards[0].protocol.state = ShardState.CONNECTED
    two.new.receive(50)
    await asyncio.sleep(0.2)
    assert two.new.state == "settled"
    assert two.new.delivered == []


async def test_what_was_restored_goes_by_the_orders_and_leaves_the_spool_if_it_is_not_ours(two, order):
    def restored(half, seq):
        event = Event("TYPING_START", seq, "0", 0, "s", 0.0, b"{}")
        return half.handing.restored(event), event.held

    assert restored(two.old, 1) == (True, False), "no reshard is known"
    two.old.follow(order(go=True), resuming=True)
    two.new.follow(resuming=True)

    assert two.old.state == "lost"
    assert restored(two.old, 2) == (False, True)
    assert restored(two.new, 3) == (False, False)
    assert two.new.settled == [(3, None)]


async def test_when_the_reshard_is_over_all_is_delivered_and_nothing_ticks_any_more(two, order):
    await two.watched()
    two.say(order(go=True))
    sent = two.send()
    await asyncio.sleep(0.01)
    two.old.follow(over=True)
    await asyncio.sleep(0.2)

    assert two.old.delivered == [sent]
    assert two.old.state is None
    assert not two.old.handing.open
    assert two.old.states[-1] is None

    await asyncio.sleep(10.0)
    assert two.old.handing.custody is None, "until then it tells the content of what the other side may have delivered"


async def test_closed_it_asks_nobody_and_its_lease_still_runs_out(two):
    await two.live()
    two.lease(lasts=2.0)
    two.new.handing.close()
    asked = len(two.new.asked)
    await asyncio.sleep(2.1)

    assert two.new.handing.report().state == "expired"
    assert len(two.new.asked) == asked


async def test_the_windows_stay_what_they_were_when_it_began_to_watch(two, order, windows):
    two.new.follow(order())
    orders = Orders(2, 1, 2, 2, 3, (), Windows(9.0, 9.0), order())
    two.new.handing.follow(orders, two.new.counterparts)

    assert two.new.handing.custody.orders.windows == windows
    assert two.new.handing.custody.orders.handover == order()


async def test_closed_it_does_not_begin_to_deliver(two, order):
    await two.watched()
    two.say(order(go=True))
    two.new.handing.close()
    two.lease()
    await asyncio.sleep(0.3)

    assert two.new.state == "waiting"


async def test_the_first_thing_after_a_standstill_knows_of_it(two, order):
    await two.watched()
    two.say(order(go=True))
    await asyncio.sleep(0.1)
    assert two.new.state == "waiting"

    handing = two.new.handing
    handing._tick_due -= 10.0  # as if the loop had not run since: the tick is as late as everything else
    two.lease(lasts=5.0)
    await asyncio.sleep(0.2)
    assert two.new.state == "lost"
