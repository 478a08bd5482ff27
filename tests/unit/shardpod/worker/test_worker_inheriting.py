"""Which worker fetches the dead letters of the other shard set, and when, on a virtual clock."""

import asyncio

import pytest

from shardpod.handover import HandoverOrder, Orders
from shardpod.protocol import Event
from shardpod.worker.inheriting import AGAIN, Inheriting
from shardpod.worker.messages import FetchLetters, ForgetLetters, Letters, LetterSent, Neighbour, Settled

pytestmark = pytest.mark.looptime

LETTER = LetterSent(Event("T", 7, "1", 0, "s", 0.0, b"{}"), "refused", 10, 0.0)
OTHER = (Neighbour("other-1", "other:80", 0, 5),)
ALL = ((0, 5),)


def orders(epoch, handed=(), handover=None):
    return Orders(epoch, 1, 4, 2, 6, handed, handover=handover)


class Office:
    """Keeps every letter but those of `refused`."""

    def __init__(self):
        self.taken, self.refused, self.held = [], set(), (0, 1)

    async def take_over(self, letters, shard_count):
        kept = [letter.event.key for letter in letters if letter.event.key not in self.refused]
        self.taken += [(key, shard_count) for key in kept]
        return tuple(kept)


class Rig:
    def __init__(self):
        self.office, self.asked, self.saved = Office(), [], True
        self.letters = (LETTER,)
        self.inheriting = Inheriting(self.office, ask=self.ask, save=self.save)

    async def ask(self, request):
        self.asked.append(request.request)
        return Letters(self.letters) if isinstance(request.request, FetchLetters) else Settled(1)

    async def save(self):
        return self.saved

    async def told(self, orders, *, inherits=False):
        self.inheriting.follow(orders, OTHER, inherits=inherits)
        await asyncio.sleep(0.1)
        return self.office.taken


@pytest.fixture
async def rig():
    rig = Rig()
    yield rig
    rig.inheriting.close()


async def test_the_pending_set_fetches_them_when_all_is_handed_over(rig):
    assert await rig.told(orders(2, ((0, 4),))) == []
    assert await rig.told(orders(2, ALL)) == [("s:7", 6)]
    assert rig.asked == [FetchLetters(6, (0, 1)), ForgetLetters(("s:7",))]


async def test_the_active_set_fetches_them_when_the_pending_one_is_given_up(rig):
    assert await rig.told(orders(1)) == [], "so it is at the beginning as well"
    assert await rig.told(orders(1, ALL), inherits=True) == []
    assert await rig.told(orders(1), inherits=True) == [("s:7", 4)]


async def test_nothing_is_fetched_while_a_range_is_on_its_way(rig):
    assert await rig.told(orders(2, ALL, HandoverOrder(1, 0, 5, 2, 1, True))) == []


async def test_what_could_not_be_saved_is_not_forgotten_there_and_fetched_again(rig):
    rig.saved = False
    await rig.told(orders(2, ALL))
    assert not any(isinstance(one, ForgetLetters) for one in rig.asked)
    rig.saved = True
    await asyncio.sleep(1.0)

    assert rig.asked[-1] == ForgetLetters(("s:7",))


async def test_what_dies_late_is_fetched_when_the_operator_has_heard_of_it(rig):
    await rig.told(orders(2, ALL))
    assert len(rig.asked) == 2, "all that there was"
    await rig.told(orders(2, ALL), inherits=True)
    assert len(rig.asked) == 4
    await asyncio.sleep(AGAIN)
    assert len(rig.asked) == 6, "while it is still said that there are some"

    await rig.told(orders(2, ALL))
    await asyncio.sleep(10 * AGAIN)
    assert len(rig.asked) == 6


async def test_a_shard_that_is_another_pods_by_now_is_not_asked_for(rig):
    rig.office.held = (1,)
    await rig.told(orders(2, ALL))

    assert rig.asked[0] == FetchLetters(6, (1,))


async def test_a_worker_that_holds_no_shard_any_more_asks_for_nothing(rig):
    rig.office.held = ()
    await rig.told(orders(2, ALL))

    assert rig.asked == []


async def test_only_what_is_kept_here_is_forgotten_there(rig):
    rig.letters = (LETTER, LetterSent(Event("T", 8, "1", 0, "s", 0.0, b"{}"), "refused", 10, 0.0))
    rig.office.refused = {"s:7"}
    await rig.told(orders(2, ALL))
    assert rig.asked[1:] == [ForgetLetters(("s:8",))]
    rig.office.refused = {"s:7", "s:8"}
    await rig.told(orders(2, ALL), inherits=True)

    assert len(rig.asked) == 3, "nothing was kept, so nothing is forgotten"
