"""One listener for all gateways: who is served, who is refused, and who is sent on to another replica."""

import asyncio
import socket as sockets
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway_operator.control import ControlServer, ControlService, service
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from shardpod.contract import NotLeader, Observed, from_operator

MYBOT, OTHER = ("bots", "mybot"), ("bots", "other")
POD = "mybot-e1-0-1"


class Gateway:
    """A gateway's channel, which leads until told otherwise."""

    def __init__(self, secret: str, term: int, clock) -> None:
        self.leading = True
        self.changed = asyncio.Event()
        self.control = ControlServer(
            term=term,
            secret=secret,
            ledger=IdentifyLedger(started_at=clock()),
            leases=LeaseBook(),
            changed=self.changed,
            clock=clock,
            leads=lambda: self.leading,
        )

    async def until(self, condition) -> None:
        async with asyncio.timeout(10):
            while not condition(self.control.pods()):
                self.changed.clear()
                await self.changed.wait()


class Replica:
    def __init__(self, service: ControlService, port: int) -> None:
        self.service = service
        self._port = port

    @asynccontextmanager
    async def dial(self, path: str = "/v1/control/bots/mybot", secret: str | None = "mine"):
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        url = f"ws://127.0.0.1:{self._port}{path}"
        async with connect(url, additional_headers=headers, proxy=None) as socket:
            yield socket


@pytest.fixture
async def replica():
    made = ControlService()
    async with made.listening("127.0.0.1", 0) as port:
        yield Replica(made, port)


@pytest.fixture
def gateway(clock):
    def build(secret: str = "mine", term: int = 1) -> Gateway:
        return Gateway(secret, term, clock)

    return build


async def next_message(socket):
    async with asyncio.timeout(10):
        return from_operator.validate_json(await socket.recv())


async def sent_on(socket) -> str:
    """The reason with which a pod was sent on to another replica."""
    assert await next_message(socket) == NotLeader()
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1013
    return closed.value.rcvd.reason


async def refused(replica, **how) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with replica.dial(**how):
            pass
    return refused.value.response.status_code


async def test_each_gateways_pods_are_served_by_its_own_channel(replica, gateway, assignment):
    mine, other = gateway("mine", term=4), gateway("theirs", term=7)
    replica.service.register(MYBOT, mine.control)
    replica.service.register(OTHER, other.control)
    for one in (mine, other):
        one.control.assign({POD: assignment(POD)})

    async with replica.dial() as first, replica.dial("/v1/control/bots/other", "theirs") as second:
        for socket in (first, second):
            await socket.send(Observed(pod=POD).model_dump_json())
        assert (await next_message(first)).term == 4
        assert (await next_message(second)).term == 7


@pytest.mark.parametrize("secret", [None, "", "theirs", "minex", "\u00e9"])
async def test_a_wrong_secret_is_refused_with_401_also_that_of_another_gateway(replica, gateway, secret):
    replica.service.register(MYBOT, gateway("mine").control)
    replica.service.register(OTHER, gateway("theirs").control)

    with capture_logs() as logs:
        assert await refused(replica, secret=secret) == 401
    assert [log["log_level"] for log in logs] == ["warning"]


@pytest.mark.parametrize("path", ["/", "/v1/control/", "/v1/control/bots", "/v1/control/bots/", "/v1/control/a/b/c"])
async def test_a_path_of_no_gateway_is_not_found(replica, path):
    assert await refused(replica, path=path) == 404


@pytest.mark.parametrize("secret", [None, "mine", "wrong"])
async def test_a_gateway_that_is_not_known_yet_is_answered_with_not_leader_whatever_the_secret(replica, secret):
    async with replica.dial(secret=secret) as socket:
        await sent_on(socket)


@pytest.mark.parametrize("secret", [None, "mine", "wrong"])
async def test_a_channel_that_does_not_lead_looks_like_one_that_is_not_known(replica, gateway, secret):
    known = gateway("mine")
    known.leading = False
    replica.service.register(MYBOT, known.control)

    async with replica.dial(secret=secret) as known_one:
        reason = await sent_on(known_one)
    async with replica.dial("/v1/control/bots/unheard-of", secret) as unknown_one:
        assert await sent_on(unknown_one) == reason


async def test_the_secret_is_checked_of_a_pod_that_shook_hands_before_its_gateway_was_known(
    replica, gateway, monkeypatch
):
    mine = gateway("mine")
    leading = replica.service._leading

    def registered_meanwhile(key):
        known = leading(key)
        replica.service.register(MYBOT, mine.control)
        return known

    monkeypatch.setattr(replica.service, "_leading", registered_meanwhile)
    async with replica.dial(secret="wrong") as socket:
        await sent_on(socket)

    assert mine.control.pods() == {}


async def test_when_a_gateway_is_given_up_its_pods_are_sent_on_and_no_others(replica, gateway):
    mine, other = gateway("mine"), gateway("theirs")
    replica.service.register(MYBOT, mine.control)
    replica.service.register(OTHER, other.control)

    async with replica.dial() as socket, replica.dial("/v1/control/bots/other", "theirs") as stays:
        await socket.send(Observed(pod=POD).model_dump_json())
        await stays.send(Observed(pod=POD).model_dump_json())
        await mine.until(lambda pods: POD in pods)
        replica.service.unregister(MYBOT, "the gateway was deleted")
        assert await sent_on(socket) == "the gateway was deleted"
        await mine.until(lambda pods: not pods[POD].connected)
        await stays.send(Observed(pod=POD, ready=True).model_dump_json())
        await other.until(lambda pods: POD in pods and pods[POD].observed.ready)

    async with replica.dial() as again:
        await sent_on(again)


async def test_the_channel_of_a_new_term_takes_over_from_the_one_before(replica, gateway, assignment):
    before, after = gateway(term=1), gateway(term=2)
    after.control.assign({POD: assignment(POD)})
    replica.service.register(MYBOT, before.control)
    async with replica.dial() as older:
        await older.send(Observed(pod=POD).model_dump_json())
        await before.until(lambda pods: POD in pods)
        replica.service.register(MYBOT, after.control)
        await sent_on(older)
    async with replica.dial() as newer:
        await newer.send(Observed(pod=POD).model_dump_json())
        assert (await next_message(newer)).term == 2
        assert not before.control.pods()[POD].connected


async def test_when_leadership_is_lost_all_pods_are_sent_on_though_they_have_not_reported(replica, gateway, until):
    replica.service.register(MYBOT, gateway("mine").control)
    replica.service.register(OTHER, gateway("theirs").control)

    async def both_are_served() -> bool:
        return sum(len(channel.sockets) for channel in replica.service._channels.values()) == 2

    async with replica.dial() as one, replica.dial("/v1/control/bots/other", "theirs") as another:
        await until(both_are_served)
        replica.service.close_all("another replica leads")
        assert await sent_on(one) == "another replica leads"
        assert await sent_on(another) == "another replica leads"


async def test_a_pod_that_does_not_read_cannot_keep_its_channel_open(replica, gateway, clock, monkeypatch):
    """Its last message waits behind all that it did not read; then its connection is closed all the same."""
    monkeypatch.setattr(service, "PARTING", 0.05)
    mine = gateway("mine")
    replica.service.register(MYBOT, mine.control)
    async with replica.dial() as socket:
        await socket.send(Observed(pod=POD).model_dump_json())
        await mine.until(lambda pods: POD in pods)
        (connection,) = replica.service._channels[MYBOT].sockets
        connection.transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
        socket.transport.pause_reading()
        connection.transport.write(b"\x89\x00" * 4_000_000)
        replica.service.close_all("another replica leads")
        await mine.until(lambda pods: not pods[POD].connected)
        socket.transport.abort()


async def test_the_listener_answers_again_for_a_gateway_taken_up_after_all_were_closed(replica, gateway):
    mine = gateway()
    replica.service.register(MYBOT, mine.control)
    replica.service.close_all("another replica leads")
    replica.service.register(MYBOT, mine.control)

    async with replica.dial() as socket:
        await socket.send(Observed(pod=POD).model_dump_json())
        await mine.until(lambda pods: POD in pods)


async def test_a_port_in_use_is_an_os_error(replica):
    with pytest.raises(OSError, match=r"in use"):
        async with ControlService().listening("127.0.0.1", replica._port):
            pass
