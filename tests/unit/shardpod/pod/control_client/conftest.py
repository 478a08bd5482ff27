"""An operator of a few lines, and a control client with what a pod would give it, over real sockets."""

import asyncio
import contextlib
import json
from random import Random

import pytest
from websockets.asyncio.server import unix_serve
from websockets.exceptions import ConnectionClosed

import shardpod.pod.control_client as module
from shardpod.contract import Observed
from shardpod.pod.control_client import ControlClient

SECRET = "control-secret-xyz"


class Operator:
    """Keeps what it hears. `answer(request)` returns a message to send back, or None."""

    def __init__(self, path=None):
        self.path = path
        self.heard = []
        self.headers = []
        self.sockets = []
        self.answer = lambda request: None
        self.greeting = []

    @contextlib.asynccontextmanager
    async def listening(self, **options):
        async with unix_serve(self._serve, str(self.path), **options):
            yield self

    async def _serve(self, socket):
        self.sockets.append(socket)
        self.headers.append(socket.request.headers)
        with contextlib.suppress(ConnectionClosed):
            for message in self.greeting:
                await socket.send(message)
            async for text in socket:
                message = json.loads(text)
                self.heard.append(message)
                if message["kind"] == "permit_request" and (answer := self.answer(message)) is not None:
                    await socket.send(answer)

    async def send(self, text):
        await self.sockets[-1].send(text)

    def of(self, kind):
        return [message for message in self.heard if message["kind"] == kind]


class Pod:
    """A control client with what a pod would give it."""

    def __init__(self, *addresses, secret=SECRET, **options):
        self.assignments = []
        self.reports = 0
        self.client = ControlClient(
            tuple(f"unix:{address}" if "://" not in str(address) else address for address in addresses),
            secret,
            observe=self.observe,
            on_assignment=self.assignments.append,
            random=Random(1),
            **options,
        )

    def observe(self):
        self.reports += 1
        return Observed(pod="mybot-e1-0-15")


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(module, "_REDIAL_DELAY", (0.001, 0.01))


@pytest.fixture(autouse=True)
async def _last_connections_end():
    """A pod redials while its operator goes away: let a connection that was accepted last come to its end."""
    yield
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=5)


@pytest.fixture
def make_operator(tmp_path_factory):
    return lambda: Operator(tmp_path_factory.mktemp("o") / "s")


@pytest.fixture
def operator(make_operator):
    return make_operator()


@pytest.fixture
async def pod():
    tasks = []

    def make(*addresses, **options):
        made = Pod(*addresses, **options)
        tasks.append(asyncio.create_task(made.client.run()))
        made.task = tasks[-1]
        return made

    make.without_running = Pod
    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def assignment(make_assignment):
    def text(term=1, n=1, epoch=1):
        whole = make_assignment(term=term, n=n, epoch=epoch).model_dump(mode="json")
        return json.dumps({**whole, "a_field_of_the_future": True})

    return text
