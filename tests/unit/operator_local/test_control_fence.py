"""A leader that is deposed grants nothing and tells nothing, though its pods are still connected to it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import unix_connect

from gateway_operator.control import ControlServer
from gateway_operator.core.identify_ledger import Granted
from gateway_operator.core.leases import LeaseBook
from shardpod.contract import LeaseAnswer, LeaseRequest, Observed, PermitAnswer, PermitRequest, from_operator

TAKER = "mybot-e1-0-1"
NUMBER = 3
DEPOSED = "this operator does not lead any more"


class GenerousLedger:
    """Grants whatever is asked for, and counts it."""

    def __init__(self) -> None:
        self.granted = 0

    def ask(self, epoch, shard_id, shard_count, *, ready, now):
        self.granted += 1
        return Granted(permit=self.granted, expires_in=1.0)

    def sent(self, permit, now):
        pass

    def connected(self, epoch, shard_count, shard_ids, now):
        pass


class Channel:
    """A leader whose leadership ends at `deadline`, and the connection of a taker that is live."""

    def __init__(self, path, clock) -> None:
        self.deadline = clock.now + 10.0
        self.changed = asyncio.Event()
        self.ledger, self.book = GenerousLedger(), LeaseBook()
        self.book.follow(NUMBER, givers=set(), takers={TAKER}, lasts=4.0, closed=False)
        self.control = ControlServer(
            term=9,
            secret="secret",
            ledger=self.ledger,
            leases=self.book,
            changed=self.changed,
            clock=clock,
            leads=lambda: clock.now < self.deadline,
        )
        self._path = path

    @asynccontextmanager
    async def taker(self):
        headers = {"Authorization": "Bearer secret"}
        async with unix_connect(str(self._path), "ws://operator/", additional_headers=headers) as socket:
            await socket.send(Observed(pod=TAKER).model_dump_json())
            yield socket

    async def connected(self, number_of_pods: int) -> None:
        async with asyncio.timeout(10):
            while sum(pod.connected for pod in self.control.pods().values()) != number_of_pods:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def channel(state_path, clock):
    path = state_path / "control.sock"
    channel = Channel(path, clock)
    async with channel.control.listening(path):
        yield channel


async def next_message(socket):
    async with asyncio.timeout(10):
        return from_operator.validate_json(await socket.recv())


async def lease(socket) -> LeaseAnswer:
    await socket.send(LeaseRequest(request=5, number=NUMBER, live=True).model_dump_json())
    answer = await next_message(socket)
    assert isinstance(answer, LeaseAnswer)
    return answer


async def permit(socket) -> PermitAnswer:
    request = PermitRequest(request=6, epoch=1, shard_id=1, shard_count=4, ready=True)
    await socket.send(request.model_dump_json())
    answer = await next_message(socket)
    assert isinstance(answer, PermitAnswer)
    return answer


async def test_a_deposed_leader_grants_a_connected_taker_no_lease_after_its_deadline(channel, clock):
    async with channel.taker() as taker:
        clock.now = channel.deadline - 0.001
        last = await lease(taker)
        granted_until = channel.book.view().until
        clock.now = channel.deadline
        refused = await lease(taker)

    assert last.lasts == 4.0
    assert (refused.lasts, refused.reason) == (None, DEPOSED)
    assert channel.book.view().until == granted_until, "the book must not think that it granted another"


async def test_a_deposed_leader_grants_no_permit_after_its_deadline(channel, clock, assignment):
    channel.control.assign({TAKER: assignment(TAKER)})
    async with channel.taker() as pod:
        await next_message(pod)
        assert (await permit(pod)).permit == 1
        clock.now = channel.deadline
        refused = await permit(pod)

    assert (refused.permit, refused.reason) == (None, DEPOSED)
    assert refused.retry_in > 0
    assert channel.ledger.granted == 1


async def test_a_deposed_leader_sends_no_assignment(channel, clock, assignment):
    channel.control.assign({TAKER: assignment(TAKER)})
    async with channel.taker() as pod:
        assert (await next_message(pod)).n == 1
        clock.now = channel.deadline
        channel.control.assign({TAKER: assignment(TAKER, role="draining")})
        refused = await lease(pod)

    assert refused.lasts is None, "the answer is the next message: nothing came before it"


async def test_a_pod_that_dials_a_deposed_leader_is_told_nothing(channel, clock, assignment):
    channel.control.assign({TAKER: assignment(TAKER)})
    clock.now = channel.deadline
    async with channel.taker() as pod:
        await channel.connected(1)
        assert isinstance(await permit(pod), PermitAnswer)
