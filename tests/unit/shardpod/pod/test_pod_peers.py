"""Asking another pod: whatever becomes of it, there is an answer that says what."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web

from shardpod.pod import peers as module
from shardpod.pod.peers import TRANSFER_PATH, Peers, decode_request
from shardpod.worker.messages import Failed, Release, Released, encode

SECRET = "the-control-secret"
REQUEST = Release(5, "mybot-e1-0-15.7")


class Peer:
    """Another pod's API. `answer(request)` makes its response."""

    def __init__(self):
        self.asked = []
        self.answer = lambda request: web.Response(body=encode(Released("s", "wss://r")))

    @contextlib.asynccontextmanager
    async def listening(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request):
        self.asked.append((request.method, request.path, request.headers.get("Authorization"), await request.read()))
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
async def peer():
    async with Peer().listening() as listening:
        yield listening


@pytest.fixture
async def peers():
    made = Peers(SECRET)
    yield made
    await made.close()


async def test_a_request_is_carried_with_the_secret_and_its_answer_brought_back(peer, peers):
    assert await peers.ask(peer.address, REQUEST) == Released("s", "wss://r")

    ((method, path, authorization, body),) = peer.asked
    assert (method, path, authorization) == ("POST", TRANSFER_PATH, f"Bearer {SECRET}")
    assert decode_request.decode(body) == REQUEST


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_a_refusal_is_a_failure_with_its_status(peer, peers, status):
    peer.answer = lambda request: web.Response(status=status, text="no")

    assert await peers.ask(peer.address, REQUEST) == Failed(f"the peer at {peer.address} answered {status}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xc1",
        b"\xa2\xff\xfe",
        b"\x81\xa4type\xa7Unknown",
        encode(REQUEST),
        b"\x81\xa4type\xa2\xff\xff",
    ],
)
async def test_an_answer_that_is_not_understood_is_a_failure(peer, peers, body):
    peer.answer = lambda request: web.Response(body=body)
    answer = await peers.ask(peer.address, REQUEST)

    assert isinstance(answer, Failed)
    assert answer.problem.startswith(f"the peer at {peer.address} cannot be asked: ")


async def test_a_redirect_is_not_followed_with_the_secret(peer, peers):
    async with Peer().listening() as other:
        peer.answer = lambda request: web.Response(status=307, headers={"Location": f"http://{other.address}/"})
        assert await peers.ask(peer.address, REQUEST) == Failed(f"the peer at {peer.address} answered 307")

        assert other.asked == []


async def test_a_peer_that_does_not_answer_in_time_is_a_failure(peer, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT", aiohttp.ClientTimeout(total=0.1))
    released = asyncio.Event()

    async def wait():
        await released.wait()
        return web.Response()

    peer.answer = lambda request: wait()
    peers = Peers(SECRET)
    answer = await peers.ask(peer.address, REQUEST)
    released.set()
    await peers.close()

    assert isinstance(answer, Failed)
    assert answer.problem.removeprefix(f"the peer at {peer.address} cannot be asked: ").strip()


async def test_a_connection_that_breaks_off_is_a_failure(peer, peers):
    def break_off(request):
        request.transport.abort()
        return web.Response()

    peer.answer = break_off
    answer = await peers.ask(peer.address, REQUEST)

    assert isinstance(answer, Failed)
    assert answer.problem.removeprefix(f"the peer at {peer.address} cannot be asked: ").strip()


async def test_a_refused_connection_is_a_failure_that_names_the_peer(peers):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    answer = await peers.ask(address, REQUEST)

    assert isinstance(answer, Failed)
    assert address in answer.problem


@pytest.mark.parametrize("address", ["", ":80", "127.0.0.1:notaport", "127.0.0.1:99999", "[::1", "a b:1"])
async def test_an_address_that_is_none_is_a_failure(peers, address):
    assert isinstance(await peers.ask(address, REQUEST), Failed)


async def test_the_proxy_of_the_environment_does_not_see_what_pods_say_to_each_other(peer, peers, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    assert await peers.ask(peer.address, REQUEST) == Released("s", "wss://r")
