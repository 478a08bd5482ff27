"""Both sides of handovers, one after the other and back: each event is delivered once, by whoever it is that has it."""

from random import Random

import msgspec
import pytest

from shardpod.handover import pack, unpack


class Reshard:
    """Both sides, and the operator's part. What `sent` says to a guild both sessions receive, each when it likes."""

    def __init__(self, active, pending):
        self.old, self.new = active(), pending()
        self.now = 50.0
        self.handed = ()

    @property
    def sides(self):
        return (self.old, self.new)

    def send(self, n, key=0, *, old_late=0.0, new_late=0.0):
        self.old.receive(n, key=key, at=self.now + old_late)
        self.new.receive(n, key=key, at=self.now + new_late)

    def say(self, **changes):
        for side in self.sides:
            side.follow(self.now, **changes)

    def tick(self, seconds=0.1):
        self.now += seconds
        for side in self.sides:
            side.tick(self.now)

    def go(self, order):
        """Rehearse and fence."""
        giver, taker = self.roles(order)
        self.say(handover=order)
        tail = giver.all_of(order.number, self.now, go=False)
        taker.custody.rehearse(order.number, unpack(pack(tail, self.now), self.now), self.now, self.now)
        assert taker.state == "rehearsed", taker.reason
        self.say(handover=msgspec.structs.replace(order, go=True))
        giver.deliver()
        self.tick()
        assert giver.state == "fenced"
        return giver, taker

    def roles(self, order):
        return self.sides if order.to_epoch == 2 else self.sides[::-1]

    def live(self, order):
        giver, taker = self.go(order)
        taker.lease(order.number, self.now + 4.0, self.now)
        tail = giver.all_of(order.number, self.now, go=True)
        fenced_at = self.now - giver.custody.fence_age(self.now)
        taker.activate(order.number, unpack(pack(tail, self.now), self.now), fenced_at, self.now)
        assert taker.state == "live"
        return giver, taker

    def commit(self, order, handed):
        _, taker = self.roles(order)
        taker.deliver()
        self.tick()
        assert taker.custody.taker.to_store
        taker.custody.taker.stored()
        self.handed = handed
        self.say(handover=None, handed=handed)

    @property
    def delivered(self):
        for side in self.sides:
            side.deliver()
        return sorted(self.old.delivered + self.new.delivered)


@pytest.fixture
def reshard(active, pending):
    return Reshard(active, pending)


def test_a_range_goes_over_and_every_event_is_delivered_once(reshard, order):
    reshard.send(1)
    reshard.tick()
    reshard.live(order(1))
    reshard.send(2)
    reshard.commit(order(1), ((0, 2),))
    reshard.send(3)

    assert reshard.delivered == [1, 2, 3]
    assert (reshard.old.delivered, reshard.new.delivered) == ([1], [2, 3])
    assert reshard.old.queue.events == reshard.new.queue.events == 0


def test_what_came_to_one_side_before_the_fence_and_to_the_other_after_it_is_delivered_once(reshard, order):
    reshard.send(1, key=0)
    reshard.tick(1.0)
    reshard.old.receive(2, key=0, at=reshard.now)  # the new session is late
    reshard.new.receive(3, key=2, at=reshard.now)  # the old one is
    reshard.live(order(1))
    reshard.now += 1.0
    reshard.new.receive(2, key=0, at=reshard.now)
    reshard.old.receive(3, key=2, at=reshard.now)
    reshard.commit(order(1), ((0, 2),))

    assert reshard.delivered == [1, 2, 3]
    assert (reshard.old.delivered, reshard.new.delivered) == ([1, 2], [3])


def test_two_ranges_one_after_the_other(reshard, order):
    for number, (first, last), handed in ((1, (0, 2), ((0, 2),)), (2, (3, 5), ((0, 5),))):
        one = order(number, first, last)
        reshard.live(one)
        for key in range(6):
            reshard.send(100 * number + key, key)
        reshard.commit(one, handed)
    for key in range(6):
        reshard.send(300 + key, key)

    assert reshard.delivered == [*range(100, 106), *range(200, 206), *range(300, 306)]
    assert set(reshard.new.delivered) >= {100, 101, 102, *range(200, 206), *range(300, 306)}


def test_the_next_handover_may_begin_in_the_assignment_that_ends_the_one_before(reshard, order):
    giver, taker = reshard.live(order(1))
    reshard.send(1)
    taker.deliver()
    reshard.say(handover=order(2, 3, 5), handed=((0, 2),))
    reshard.send(2)
    reshard.send(3, key=4)

    assert [side.custody.report().number for side in (giver, taker)] == [2, 2]
    assert (giver.state, taker.state) == ("rehearsing", "rehearsing")
    assert giver.queue.events == 1, "what it held is settled"
    assert reshard.delivered == [1, 2, 3]
    assert giver.delivered == [3]


def test_an_abort_takes_the_range_back_the_same_way(reshard, order):
    reshard.live(order(1))
    reshard.send(1)
    reshard.commit(order(1), ((0, 2),))
    reshard.tick(40.0)
    reshard.send(2)
    reshard.live(order(2, back=True))
    reshard.send(3)
    reshard.commit(order(2, back=True), ())
    reshard.send(4)

    assert reshard.delivered == [1, 2, 3, 4]
    assert reshard.old.delivered == [3, 4]


def test_an_abort_right_after_a_commit_still_has_what_was_held_before_it(reshard, order):
    reshard.live(order(1))
    reshard.old.receive(1, key=0, at=reshard.now)  # the new session is late by more than all of what follows
    reshard.commit(order(1), ((0, 2),))
    giver, taker = reshard.go(order(2, back=True))
    reshard.new.receive(1, key=0, at=reshard.now)
    assert (giver, taker) == (reshard.new, reshard.old)
    taker.lease(2, reshard.now + 4.0, reshard.now)
    taker.activate(2, giver.all_of(2, reshard.now, go=True), reshard.now - 0.1, reshard.now)
    reshard.commit(order(2, back=True), ())

    assert reshard.delivered == [1]


def test_one_that_is_given_back_can_be_tried_again_later(reshard, order):
    reshard.go(order(1))
    reshard.send(1)
    reshard.say(handover=None)
    reshard.tick(40.0)
    reshard.live(order(2))
    reshard.send(2)
    reshard.commit(order(2), ((0, 2),))

    assert reshard.delivered == [1, 2]
    assert reshard.old.delivered == [1]


def test_what_a_live_taker_had_delivered_when_it_is_given_back_is_repeated_with_the_same_content(reshard, order):
    giver, taker = reshard.live(order(1))
    reshard.send(1)
    reshard.send(2)
    taker.queue.acknowledge(taker.queue.take(1, 1 << 20))
    reshard.tick(5.0)
    reshard.say(handover=None)

    assert giver.deliver() == [1, 2]
    assert taker.deliver() == []
    assert giver.contents[1]
    assert giver.contents[1] != giver.contents[2]


def test_when_the_reshard_is_over_the_part_that_is_left_ends_with_it(reshard, order):
    giver, _ = reshard.go(order(1))
    reshard.send(1)
    giver.custody.finish(120.0)
    giver.carry_out()

    assert giver.deliver() == [1]


@pytest.mark.parametrize("first", [0, 3, 5])
def test_a_taker_that_missed_how_its_set_was_dropped_delivers_nothing_of_what_it_held(pending, order, orders, first):
    side = pending(handover=order(first=first, last=first))
    side.follow(100.0, handover=order(first=first, last=first, go=True))
    side.lease(1, 104.0, 100.0)
    side.activate(1, [], 100.0, 100.0)
    side.tick(104.0)
    side.receive(1, key=first, at=105.0)
    # As for any set that is neither active nor pending: all is the active set's, of 4 shards.
    gone = orders(2, active_epoch=2, active_count=6, pending_epoch=1, pending_count=4, handed=((0, 3),))
    side.custody.follow(gone, 200.0)
    side.carry_out()

    assert side.deliver() == []
    assert side.queue.events == 0


def test_a_giver_that_missed_an_abort_and_the_next_reshards_beginning_has_its_range_again(active, order, orders):
    side = active(handover=order(first=5, last=5))
    side.follow(100.0, handover=order(first=5, last=5, go=True))
    side.receive(1, key=5, at=101.0)
    side.custody.follow(orders(1, pending_epoch=3, pending_count=3), 200.0)
    side.carry_out()

    assert side.deliver() == [1]


@pytest.mark.parametrize("seed", range(25))
def test_with_any_skew_up_to_the_largest_nothing_is_lost_doubled_or_out_of_order(reshard, order, seed):
    """Handovers forth and back at random times; events alike but for their number, over FIFO sessions."""
    random = Random(seed)
    arrivals = [[], []]
    latest = [0.0, 0.0]
    count = 400
    for n in range(1, count + 1):
        sent_at = 50.0 + n * 0.4
        for side in (0, 1):
            latest[side] = max(latest[side], sent_at + random.choice((0.0, random.uniform(0, 5.0))))
            arrivals[side].append((latest[side], n))
    pairs = sorted((at, side, n) for side in (0, 1) for at, n in arrivals[side])

    def until(now):
        while pairs and pairs[0][0] <= now:
            at, side, n = pairs.pop(0)
            reshard.sides[side].receive(n, key=n % 3, at=at)
            reshard.sides[side].deliver()
        reshard.now = now
        for side in reshard.sides:
            side.tick(now)

    now, back = 100.0, False
    for number in (1, 2):
        one = order(number, back=back)
        until(now := now + random.uniform(0, 10))
        giver, taker = reshard.go(one)
        until(now := reshard.now + random.uniform(0, 1.0))
        lease = now + 4.0
        taker.lease(number, lease, now)
        taker.activate(number, giver.all_of(number, now, go=True), now - giver.custody.fence_age(now), now)
        while not taker.custody.taker.to_store:
            until(now := now + 0.5)
            taker.lease(number, now + 4.0, now)
        until(now)
        taker.deliver()
        taker.custody.taker.stored()
        reshard.say(handover=None, handed=() if back else ((0, 2),))
        back = not back
        until(now := now + 0.1)
    until(1e6)

    assert reshard.delivered == list(range(1, count + 1))
    for guild in range(3):
        for side in reshard.sides:
            mine = [n for n in side.delivered if n % 3 == guild]
            assert mine == sorted(mine)
