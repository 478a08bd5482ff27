"""A worker among a Discord, an operator and a bot of a few lines each, on a virtual clock."""

import asyncio
import json
from random import Random

import pytest

from shardpod.protocol import SessionSettings
from shardpod.worker import Granted, Wait, Worker, WorkerSettings

TOKEN = "MTk4.the-bots-token.zzz"


class Line:
    """Discord's end of one connection. `reads`: whether the shard takes what is said."""

    def __init__(self, url, listener):
        self.url = url
        self.listener = listener
        self.opened_at = asyncio.get_running_loop().time()
        self.sent = []
        self.closed_with = None
        self.reads = True

    # shardpod.transport.Connection

    def send(self, payload):
        assert self.closed_with is None, "sent after it was closed"
        self.sent.append((asyncio.get_running_loop().time(), json.loads(payload)))

    def close(self, code):
        self.closed_with = code

    def read(self, *, on):
        self.reads = on

    # Discord

    def say(self, op, d=None, *, s=None, t=None):
        assert self.closed_with is None, "the shard would not hear this"
        self.listener.message(json.dumps({"t": t, "s": s, "op": op, "d": d}).encode())

    def hello(self):
        self.say(10, {"heartbeat_interval": 41250})

    def ready(self, session_id="a" * 32, guilds=()):
        data = {"session_id": session_id, "resume_gateway_url": "wss://resume", "guilds": [{"id": g} for g in guilds]}
        self.say(0, data, s=1, t="READY")

    def event(self, seq, guild="1", t="MESSAGE_CREATE"):
        self.say(0, {"guild_id": guild}, s=seq, t=t)

    def resumed(self, seq):
        self.say(0, {}, s=seq, t="RESUMED")

    @property
    def ops(self):
        return [message["op"] for _, message in self.sent if message["op"] != 1]

    @property
    def resume(self):
        """What the shard's Resume said."""
        (data,) = [message["d"] for _, message in self.sent if message["op"] == 6]
        return data["session_id"], data["seq"]


class Network:
    """Opens a Line at once; `fault` may raise or wait first. With `in_wake_up` Hello comes before connect returns."""

    def __init__(self):
        self.lines = []
        self.dials = []
        self.fault = None
        self.in_wake_up = False
        self.cancelled = 0

    async def connect(self, url, listener):
        self.dials.append((asyncio.get_running_loop().time(), url))
        try:
            if self.fault is not None:
                await self.fault()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        line = Line(url, listener)
        self.lines.append(line)
        listener.opened(line)
        if self.in_wake_up:
            line.hello()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

    @property
    def line(self):
        return self.lines[-1]


class Permits:
    """Grants at once unless `answers` has something else; an answer may be a coroutine function."""

    def __init__(self):
        self.asked = []
        self.sent = []
        self.answers = []
        self.number = 0

    async def ask(self, shard_id, *, ready):
        self.asked.append((asyncio.get_running_loop().time(), shard_id, ready))
        if self.answers:
            answer = self.answers.pop(0)
            return await answer() if callable(answer) else answer
        if not ready:
            return Wait(0.0, "soon")
        self.number += 1
        return Granted(self.number, 1.0)

    def identify_sent(self, shard_id, permit):
        self.sent.append((shard_id, permit))


class TakingSink:
    """A bot that takes all; with `error` nothing, with `rejects(event)` not that one. `events`: in order of arrival."""

    def __init__(self):
        self.events = []
        self.error = None
        self.rejects = lambda event: None
        self.takes = 0.01
        self.closed = False

    @property
    def delivered(self):
        return [event.seq for event in self.events]

    @property
    def keys(self):
        return [event.key for event in self.events]

    def submit(self, batch, done):
        asyncio.get_running_loop().call_later(self.takes, self._take, batch, done)

    def _take(self, batch, done):
        error = self.error or next(filter(None, map(self.rejects, batch.events)), None)
        if error is None:
            self.events += batch.events
        done(batch, error)

    async def close(self):
        self.closed = True


class Rig:
    """One worker. `others` are more of `Worker`'s arguments, the rest are settings."""

    def __init__(self, others=None, *, bot=None, network=None, **settings):
        self.network, self.operator, self.bot = network or Network(), Permits(), bot or TakingSink()
        self.changes = 0
        self.stopped = False
        session = SessionSettings(token=TOKEN, gateway_url="wss://main", compression="none", intents=1)
        settings = {"shard_ids": (3,), "shard_count": 16, "senders": 4, "session": session, **settings}
        self.worker = Worker(
            WorkerSettings(**settings),
            connector=self.network,
            permits=self.operator,
            sink=self.bot,
            random=Random(2),
            on_change=self.changed,
            **(others or {}),
        )

    def changed(self):
        self.changes += 1

    @property
    def line(self):
        return self.network.line

    def late_line(self):
        """A connection that was dialled before the one in use, and opens only now."""
        return Line("wss://main", self.line.listener)

    @property
    def report(self):
        return self.worker.report()

    @property
    def shard(self):
        return self.report.shards[0]

    async def stop(self):
        """For a rig with files, which can be closed but once."""
        self.stopped = True
        await self.worker.stop(drain_for=0)

    async def connected(self, **ready):
        await self.worker.start()
        await asyncio.sleep(0.1)
        self.line.hello()
        await asyncio.sleep(0.1)
        self.line.ready(**ready)
        await asyncio.sleep(0.1)
        return self


@pytest.fixture
async def rig():
    rigs = []

    def make(*others, **settings):
        rigs.append(Rig(*others, **settings))
        return rigs[-1]

    yield make
    for made in rigs:
        if not made.stopped:
            await made.worker.stop(drain_for=0.1)
