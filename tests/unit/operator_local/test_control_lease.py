"""Leases over the control channel: who asks is who reported, and what a giver said counts while it is connected."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import unix_connect

from gateway_operator.control import ControlServer
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from shardpod.contract import HandoverObserved, LeaseAnswer, LeaseRequest, Observed, from_operator

GIVER, TAKER = "mybot-e1-0-1.1", "mybot-e2-0-1.2"
NUMBER = 3


class Channel:
    def __init__(self, control: ControlServer, path: str, changed: asyncio.Event) -> None:
        self.control = control
        self._path = path
        self._changed = changed

    @asynccontextmanager
    async def instance(self, name: str, handover: HandoverObserved | None = None):
        """One that has reported, and was heard."""
        headers = {"Authorization": "Bearer secret"}
        async with unix_connect(self._path, "ws://operator/", additional_headers=headers) as socket:
            report = Observed(pod=name.rpartition(".")[0], instance=name, handover=handover)
            await socket.send(report.model_dump_json())
            await self.until(lambda heard: name in heard and heard[name].observed.handover == handover)
            yield socket

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition(self.control.pods()):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def book() -> LeaseBook:
    book = LeaseBook()
    book.follow(NUMBER, givers={GIVER}, takers={TAKER}, lasts=4.0, closed=False)
    return book


@pytest.fixture
async def channel(state_path, clock, book):
    changed = asyncio.Event()
    control = ControlServer(
        term=9,
        secret="secret",
        ledger=IdentifyLedger(started_at=clock()),
        leases=book,
        changed=changed,
        clock=clock,
    )
    path = state_path / "control.sock"
    async with control.listening(path):
        yield Channel(control, str(path), changed)


async def asked(socket, number: int = NUMBER, *, live: bool = False) -> LeaseAnswer:
    await socket.send(LeaseRequest(request=5, number=number, live=live).model_dump_json())
    async with asyncio.timeout(10):
        answer = from_operator.validate_json(await socket.recv())
    assert isinstance(answer, LeaseAnswer)
    assert (answer.request, answer.term) == (5, 9)
    return answer


def fenced(number: int = NUMBER) -> HandoverObserved:
    return HandoverObserved(number=number, role="giver", state="fenced")


def waiting() -> HandoverObserved:
    return HandoverObserved(number=NUMBER, role="taker", state="waiting")


async def test_a_taker_is_granted_a_lease_when_its_giver_has_reported_its_fence(channel, book, clock):
    async with channel.instance(GIVER, fenced()), channel.instance(TAKER, waiting()) as taker:
        answer = await asked(taker)

    assert (answer.lasts, answer.reason) == (4.0, None)
    assert book.view().until == clock.now + 4.0


async def test_before_the_taker_itself_has_reported_that_it_waits_the_answer_says_so(channel):
    async with channel.instance(GIVER, fenced()), channel.instance(TAKER) as taker:
        answer = await asked(taker)

    assert (answer.lasts, answer.reason) == (None, f"{TAKER} is not ready to take the range")


@pytest.mark.parametrize("word", [None, fenced(NUMBER - 1)])
async def test_without_the_fence_the_answer_says_why(channel, word):
    async with channel.instance(GIVER, word), channel.instance(TAKER) as taker:
        answer = await asked(taker)

    assert answer.lasts is None
    assert answer.reason == f"{GIVER} has not fenced the range yet"


async def test_a_fence_does_not_count_when_its_giver_has_gone(channel):
    async with channel.instance(TAKER) as taker:
        async with channel.instance(GIVER, fenced()):
            pass
        await channel.until(lambda heard: not heard[GIVER].connected)
        answer = await asked(taker)

    assert answer.lasts is None


async def test_who_has_not_reported_is_granted_nothing(channel):
    async with (
        channel.instance(GIVER, fenced()),
        unix_connect(channel._path, "ws://operator/", additional_headers={"Authorization": "Bearer secret"}) as socket,
    ):
        answer = await asked(socket, live=True)

    assert (answer.lasts, answer.reason) == (None, "nothing was reported yet")


async def test_a_giver_that_asks_is_granted_nothing(channel):
    async with channel.instance(GIVER, fenced()) as giver:
        answer = await asked(giver)

    assert answer.lasts is None
