"""A protocol driven by hand, events, and a way to wait."""

import asyncio
import json
import time
from random import Random

import pytest

from shardpod.contract import Assignment
from shardpod.protocol import Close, Connect, Event, IdentifySent, Send, SessionEnded, SessionSettings, ShardProtocol

PATIENCE_S = 30
TOKEN = "MTk4.the-bots-token.zzz"
GATEWAY_URL = "wss://gateway.discord.gg"
RESUME_URL = "wss://gateway-us-east1-c.discord.gg"


def frame(op, d=None, *, s=None, t=None) -> bytes:
    """A payload in the key order that Discord was seen to use."""
    return json.dumps({"t": t, "s": s, "op": op, "d": d}).encode()


class Drive:
    """A ShardProtocol with a clock; says in words what the network says, and hands out the effects once."""

    def __init__(self, *, seed=1, compression="none", shard_id=3, shard_count=16, presence=None, session=None):
        settings = SessionSettings(
            token=TOKEN, gateway_url=GATEWAY_URL, compression=compression, intents=513, presence=presence
        )
        self.now = 1000.0
        self.protocol = ShardProtocol(shard_id, shard_count, settings, random=Random(seed), session=session)

    @property
    def state(self):
        return self.protocol.state

    def take(self):
        effects = list(self.protocol.effects)
        self.protocol.effects.clear()
        return effects

    def sent(self):
        """The messages among the effects since the last call, decoded."""
        return [json.loads(effect.payload) for effect in self.take() if isinstance(effect, Send)]

    def receive(self, message):
        return self.protocol.received(message, self.now)

    def hear(self, op, d=None, *, s=None, t=None):
        return self.receive(frame(op, d, s=s, t=t))

    def event(self, t, d=None, *, s):
        return self.hear(0, {} if d is None else d, s=s, t=t)

    def ask(self, prompt=60.0):
        self.protocol.ask_for_a_sign(self.now, prompt)

    def wait(self, seconds):
        """Let time pass, ticking whenever the protocol asked for it."""
        end = self.now + seconds
        while (timer := self.protocol.timer) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.protocol.tick(self.now)
        self.now = end

    def wait_for_timer(self):
        """Jump to the next timer; returns the seconds that passed."""
        timer = self.protocol.timer
        assert timer is not None
        passed, self.now = timer - self.now, max(self.now, timer)
        self.protocol.tick(self.now)
        return passed

    # Longer passages.

    def hello(self, interval_ms=41250):
        self.hear(10, {"heartbeat_interval": interval_ms, "_trace": []})

    def connect(self):
        """To Hello; returns the Connect that asked for it."""
        if self.protocol.state == "disconnected" and self.protocol.timer is None:
            self.protocol.start()
        while self.protocol.state == "disconnected":
            self.wait_for_timer()
        (connect,) = [effect for effect in self.take() if isinstance(effect, Connect)]
        self.protocol.dialling(self.now)
        self.hello()
        return connect

    def ready(self, guilds=(), *, session_id="a" * 32, s=1):
        unavailable = [{"id": str(guild), "unavailable": True} for guild in guilds]
        data = {"v": 10, "session_id": session_id, "resume_gateway_url": RESUME_URL, "guilds": unavailable}
        return self.event("READY", data, s=s)

    def identify(self, guilds=(), *, session_id="a" * 32):
        """From anywhere without a session to CONNECTED; the effects are taken."""
        self.connect()
        assert self.protocol.permit(self.now)
        self.ready(guilds, session_id=session_id)
        self.take()
        return self

    def resume(self):
        """From DISCONNECTED with a session to CONNECTED; the effects are taken."""
        self.connect()
        self.event("RESUMED", s=self.protocol.session.seq + 1)
        self.take()
        return self

    def lose(self, code=None):
        self.protocol.connection_closed(code, self.now)


@pytest.fixture(scope="session")
def drive():
    return Drive


@pytest.fixture(scope="session", name="frame")
def frame_fixture():
    return frame


@pytest.fixture(scope="session")
def effects():
    """The kinds of effects in order, for comparing with the names of their classes."""

    def names(effects):
        kinds = (Close, Connect, IdentifySent, Send, SessionEnded)
        assert all(isinstance(effect, kinds) for effect in effects)
        return [type(effect).__name__ for effect in effects]

    return names


def make_event(seq=1, *, type="MESSAGE_CREATE", guild="100", shard=3, session="s", raw=None, at=0.0):  # noqa: A002 -- the event's own word
    raw = b'{"t":"%b","s":%d,"op":0,"d":{}}' % (type.encode(), seq) if raw is None else raw
    return Event(type, seq, guild, shard, session, at, raw)


@pytest.fixture(scope="session", name="make_event")
def make_event_fixture():
    return make_event


@pytest.fixture(scope="session")
def make_assignment():
    """All 16 shards of an epoch for one pod; `changes` are of the top level."""

    def make(**changes):
        epoch = changes.get("epoch", 1)
        return Assignment.model_validate(
            {
                "term": 1,
                "n": 1,
                "gateway": "mybot",
                "pod": "mybot-e1-0-15",
                "epoch": epoch,
                "shard_count": 16,
                "range": {"first_shard_id": 0, "last_shard_id": 15},
                "role": "active",
                "ownership": {"active_epoch": epoch, "active_shard_count": changes.get("shard_count", 16)},
                "discord": {"gateway_url": "wss://gateway.example", "compression": "none", "intents": 53608447},
                "delivery": {"http": {"url": "http://bot.example/"}},
                **changes,
            }
        )

    return make


async def until(condition):
    """Wait until the condition holds, or fail at the deadline."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.005)


@pytest.fixture(scope="session", name="until")
def until_fixture():
    return until
