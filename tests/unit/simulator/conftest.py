"""A gateway client made of nothing but `websockets` and the two decompressors, and an outlet for the pure core."""

import asyncio
import contextlib
import json
import ssl
import zlib

import pytest
import websockets
import zstandard

from discord_simulator import DEFAULT_TOKEN, Simulator, SimulatorSettings
from discord_simulator.connection import Connection
from discord_simulator.discord import Discord
from discord_simulator.intents import ALL_INTENTS
from discord_simulator.manner import ORDERLY

PATIENCE_S = 15.0


class Client:
    """Speaks op codes, answers nothing by itself."""

    def __init__(self, websocket, compress=None):
        self.websocket = websocket
        self.compress = compress
        self.messages = []  # as they came over the wire
        self._zlib = zlib.decompressobj()
        self._zstd = zstandard.ZstdDecompressor().decompressobj()
        self.session_id = None
        self.resume_url = None
        self.seq = 0

    async def receive(self):
        message = await asyncio.wait_for(self.websocket.recv(), PATIENCE_S)
        self.messages.append(message)
        if self.compress == "zlib-stream":
            message = self._zlib.decompress(message)
        elif self.compress == "zstd-stream":
            message = self._zstd.decompress(message)
        payload = json.loads(message)
        if payload["s"] is not None:
            self.seq = payload["s"]
        if payload["t"] == "READY":
            self.session_id = payload["d"]["session_id"]
            self.resume_url = payload["d"]["resume_gateway_url"]
        return payload

    async def receive_until(self, wanted):
        """Give everything up to the payload whose `t` or `op` is `wanted`."""
        payloads = [await self.receive()]
        while wanted not in (payloads[-1]["t"], payloads[-1]["op"]):
            payloads.append(await self.receive())
        return payloads

    async def receive_many(self, count):
        return [await self.receive() for _ in range(count)]

    async def send(self, op, d):
        await self.websocket.send(json.dumps({"op": op, "d": d}))

    async def identify(self, shard=(0, 1), *, guilds=0, intents=ALL_INTENTS, token=DEFAULT_TOKEN):
        """Identify and read Hello, READY and the GUILD_CREATE of as many guilds."""
        await self.receive_until(10)
        await self.send(2, {"token": token, "intents": intents, "properties": {}, "shard": list(shard)})
        ready = (await self.receive_until("READY"))[-1]
        return ready, await self.receive_many(guilds)

    async def resume(self, session_id, seq):
        await self.receive_until(10)
        await self.send(6, {"token": DEFAULT_TOKEN, "session_id": session_id, "seq": seq})

    async def receive_until_lost(self):
        """Give what can still be read from a connection that the server reset."""
        payloads = []
        with contextlib.suppress(websockets.ConnectionClosedError):
            while True:
                payloads.append(await self.receive())
        return payloads

    async def closed(self):
        """Read on until the server closes; give the close code, or None if the connection broke without one."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.websocket.recv()
        received = self.websocket.protocol.close_rcvd
        return received.code if received else None


@pytest.fixture
async def simulate():
    """Start simulators with settings that suit tests; all are stopped at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**settings):
            defaults = {"guilds": 8, "identify_interval": 0.0, "seed": 1}
            return await stack.enter_async_context(Simulator(SimulatorSettings(**(defaults | settings))))

        yield start


@pytest.fixture
async def connect():
    """Open gateway connections; all are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_connection(simulator, *, compress=None, tls=False, query="v=10&encoding=json", url=None):
            url = url or (simulator.gateway_url_tls if tls else simulator.gateway_url)
            context = ssl.create_default_context(cafile=simulator.ca_file) if url.startswith("wss") else None
            target = f"{url.rstrip('/')}/?{query}" + (f"&compress={compress}" if compress else "")
            websocket = await stack.enter_async_context(
                websockets.connect(target, ssl=context, compression=None, max_size=None, close_timeout=1, proxy=None)
            )
            return Client(websocket, compress)

        yield open_connection


@pytest.fixture
async def eventually():
    """Wait for a condition, up to a deadline."""

    async def wait(condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - conditions of the pure core, which sets no asyncio.Event
                await asyncio.sleep(0.005)

    return wait


class FakeOutlet:
    """Remembers what a client would have got."""

    def __init__(self):
        self.sent = []
        self.closed = None
        self.aborted = False
        self.delays = []
        self.manner = ORDERLY

    def send(self, payload, delay):
        self.sent.append(json.loads(payload))
        self.delays.append(delay)

    def close(self, code, reason, delay):
        self.closed = code

    def abort(self):
        self.aborted = True

    @property
    def last(self):
        return self.sent[-1]

    def dispatched(self, event_type):
        return [payload for payload in self.sent if payload["t"] == event_type]


class FakeJournal:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def incident(self, incident, *, violation):
        self.told.append(f"{'rule broken' if violation else 'incident'}: {incident.rule}")

    def fault(self, fault):
        self.told.append(f"fault: {fault.request['fault']}")

    def session(self, session, what):
        self.told.append(f"session {what}")


class World:
    """A `Discord` and connections to it, on a clock that the test turns."""

    def __init__(self, **settings):
        defaults = {"guilds": 8, "seed": 1}
        self.journal = FakeJournal()
        self.discord = Discord(SimulatorSettings(**(defaults | settings)), self.journal)
        self.now = 0.0

    def connect(self):
        outlet = FakeOutlet()
        return Connection(self.discord, outlet, "ws://simulated", self.now), outlet

    def send(self, connection, op, d):
        connection.receive(json.dumps({"op": op, "d": d}), self.now)

    def identify(self, connection, shard=(0, 1), *, intents=ALL_INTENTS, token=DEFAULT_TOKEN):
        self.send(connection, 2, {"token": token, "intents": intents, "properties": {}, "shard": list(shard)})

    def resume(self, connection, session_id, seq, token=DEFAULT_TOKEN):
        self.send(connection, 6, {"token": token, "session_id": session_id, "seq": seq})

    def new_session(self, shard=(0, 1), **identify):
        """Open a connection, identify past every bucket's interval, and let the guilds stream in."""
        self.now += 5.0
        connection, outlet = self.connect()
        self.identify(connection, shard, **identify)
        session = connection.session
        self.now += 5.0
        self.discord.tick(self.now)
        return session, connection, outlet


@pytest.fixture(scope="session")
def world():
    """Give the class: it keeps no state, so hypothesis may use it many times."""
    return World
