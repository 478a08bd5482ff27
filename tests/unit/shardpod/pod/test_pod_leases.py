"""Asking for leases: how often, for what, and from when they count."""

import asyncio

import pytest

from shardpod.pod.leases import Leases

pytestmark = pytest.mark.looptime

X = 2.0  # the fence's timeout of the assignments here
HANDOVER = {
    "number": 1,
    "range": {"first_shard_id": 0, "last_shard_id": 5},
    "from_epoch": 1,
    "to_epoch": 2,
    "step": "go",
}
OWNERSHIP = {"active_epoch": 1, "active_shard_count": 16, "pending_epoch": 2, "pending_shard_count": 24}


def now():
    return asyncio.get_running_loop().time()


class Operator:
    """Grants from `grants_from` on; `takes` seconds for an answer, or what `fault` does first."""

    def __init__(self):
        self.asked = []
        self.grants_from = 0.0
        self.takes = 0.0
        self.fault = None

    async def ask_lease(self, number, *, live):
        self.asked.append((round(now(), 3), number, live))
        granted = now() >= self.grants_from
        if self.fault is not None:
            await self.fault()
        await asyncio.sleep(self.takes)
        return 2 * X if granted else None

    @property
    def times(self):
        return [at for at, _, _ in self.asked]


class Pod:
    def __init__(self):
        self.operator, self.told, self.live = Operator(), [], False
        self.leases = Leases(self.operator, tell=self.tell, is_live=lambda number: self.live)

    def tell(self, lease):
        self.told.append((round(now(), 3), lease.number, round(lease.until, 3)))


@pytest.fixture
async def pod():
    pod = Pod()
    yield pod
    pod.leases.close()


@pytest.fixture
def taker(make_assignment):
    """The assignment of a pod of the pending set; `changes` are of its handover."""

    def make(*, first=0, last=11, epoch=2, **changes):
        count = 24 if epoch == 2 else 16
        return make_assignment(
            epoch=epoch,
            shard_count=count,
            range={"first_shard_id": first, "last_shard_id": last},
            ownership=OWNERSHIP,
            handover={**HANDOVER, **changes},
        )

    return make


async def test_it_asks_often_until_a_lease_is_granted_and_then_in_good_time(pod, taker):
    pod.operator.grants_from = 0.12
    pod.leases.follow(taker())
    await asyncio.sleep(2.5)

    assert pod.operator.times == [0.0, 0.05, 0.1, 0.15, 1.15, 2.15]
    assert pod.told == [(at, 1, at + 2 * X) for at in (0.15, 1.15, 2.15)]


async def test_a_lease_counts_from_its_asking(pod, taker):
    pod.operator.takes = 0.5
    pod.leases.follow(taker())
    await asyncio.sleep(0.6)

    assert pod.told == [(0.5, 1, 0.0 + 2 * X)]


async def test_a_slow_answer_does_not_put_off_the_next_question(pod, taker):
    pod.operator.takes = 0.5
    pod.leases.follow(taker())
    await asyncio.sleep(2.2)

    assert pod.operator.times == [0.0, 1.0, 2.0]


async def test_a_question_that_is_lost_is_asked_again_before_the_lease_runs_out(pod, taker):
    pod.leases.follow(taker())
    await asyncio.sleep(0.5)
    pod.operator.fault = lambda: asyncio.sleep(60)
    await asyncio.sleep(1.0)  # the question at 1.0 is never answered
    pod.operator.fault = None
    await asyncio.sleep(1.0)

    assert pod.told[-1][1:] == (1, 2.05 + 2 * X)
    assert pod.told[-1][0] < pod.told[0][2], "the lease before has not run out"


async def test_it_says_whether_a_worker_is_live(pod, taker):
    pod.leases.follow(taker())
    await asyncio.sleep(0.5)
    pod.live = True
    await asyncio.sleep(1.0)

    assert [live for _, _, live in pod.operator.asked] == [False, True]


async def test_it_does_not_ask_before_the_go(pod, taker):
    pod.leases.follow(taker(step="rehearse"))
    await asyncio.sleep(1)
    assert pod.operator.asked == []

    pod.leases.follow(taker())
    await asyncio.sleep(0.01)
    assert pod.operator.times == [1.0]


async def test_a_giver_does_not_ask(pod, taker):
    pod.leases.follow(taker(epoch=1))
    await asyncio.sleep(1)

    assert pod.operator.asked == []


async def test_on_the_way_back_the_active_set_asks_and_the_pending_one_does_not(pod, taker):
    back = {"from_epoch": 2, "to_epoch": 1}
    pod.leases.follow(taker(**back))
    await asyncio.sleep(1)
    assert pod.operator.asked == []

    pod.leases.follow(taker(epoch=1, **back))
    await asyncio.sleep(0.01)
    assert pod.operator.times == [1.0]


@pytest.mark.parametrize(("first", "last", "asks"), [(0, 5, True), (5, 11, True), (6, 11, False), (12, 23, False)])
async def test_only_a_pod_with_shards_of_the_range_asks(pod, taker, first, last, asks):
    pod.leases.follow(taker(first=first, last=last))
    await asyncio.sleep(0.01)

    assert bool(pod.operator.asked) is asks


async def test_the_same_assignment_again_does_not_begin_anew(pod, taker):
    pod.leases.follow(taker())
    await asyncio.sleep(0.5)
    pod.leases.follow(taker())
    await asyncio.sleep(0.1)

    assert pod.operator.times == [0.0]


async def test_the_next_handover_is_asked_for_by_its_number(pod, taker):
    pod.leases.follow(taker())
    await asyncio.sleep(0.5)
    pod.leases.follow(taker(number=2))
    await asyncio.sleep(3)

    assert {number for at, number, _ in pod.operator.asked if at >= 0.5} == {2}


async def test_it_stops_with_the_handover_even_in_the_middle_of_a_question(pod, taker, make_assignment):
    pod.operator.takes = 0.5
    pod.leases.follow(taker())
    await asyncio.sleep(0.1)
    pod.leases.follow(make_assignment(epoch=2, shard_count=24, ownership=OWNERSHIP))
    await asyncio.sleep(5)

    assert len(pod.operator.asked) == 1
    assert pod.told == []


async def test_closed_it_asks_no_more(pod, taker):
    pod.leases.follow(taker())
    await asyncio.sleep(0.1)
    pod.leases.close()
    await asyncio.sleep(5)

    assert len(pod.operator.asked) == 1
