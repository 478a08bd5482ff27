"""Whatever comes in, in whatever order: no exception, and effects that fit the state."""

import json
import zlib
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.protocol import (
    Close,
    Connect,
    IdentifySent,
    Send,
    SessionEnded,
    SessionSettings,
    ShardProtocol,
    ShardState,
)

from backports import zstd  # isort: skip -- of the standard library from Python 3.14 on

QUICK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
GONE = (ShardState.DISCONNECTED, ShardState.REFUSED)

keys = st.sampled_from(
    ["op", "s", "t", "d", "id", "guild_id", "unavailable", "guilds", "session_id", "heartbeat_interval", "x"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "op": st.integers(-1, 12) | json_values,
        "s": st.none() | st.integers(-1, 2**70) | json_values,
        "t": st.sampled_from(["READY", "RESUMED", "GUILD_CREATE", "GUILD_DELETE", "X"]) | json_values,
        "d": json_values,
    },
)
messages = (
    st.binary(max_size=60)
    | envelopes.map(lambda value: json.dumps(value).encode())
    | envelopes.map(lambda value: json.dumps(value).encode()[:-2])
    | json_values.map(lambda value: json.dumps(value).encode())
)


def new_protocol(compression="none", seed=0):
    session = SessionSettings(
        token="secret", gateway_url="wss://main", compression=compression, intents=1, presence=None
    )
    return ShardProtocol(0, 1, session, random=Random(seed))


def packed(payload, compression):
    if compression == "zlib-stream":
        stream = zlib.compressobj()
        return stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
    stream = zstd.ZstdCompressor()
    return stream.compress(payload, mode=zstd.ZstdCompressor.FLUSH_BLOCK)


@QUICK
@given(compression=st.sampled_from(["zlib-stream", "zstd-stream"]), data=st.data())
def test_compressed_nonsense_never_raises(compression, data):
    protocol = new_protocol(compression)
    protocol.start()
    protocol.dialling(0.0)
    for _ in range(4):
        message = data.draw(messages)
        if data.draw(st.booleans()):
            message = packed(message, compression)
        if data.draw(st.booleans()):
            message = message[: data.draw(st.integers(0, len(message)))]
        if data.draw(st.booleans()):
            message += b"\x00\x00\xff\xff"
        protocol.received(message, 1.0)

    assert protocol.state in ShardState


@pytest.mark.parametrize("size", [1, 5, 20])
def test_huge_payloads_pass(size):
    protocol = new_protocol()
    protocol.start()
    protocol.dialling(0.0)
    protocol.received(b'{"op":10,"d":{"heartbeat_interval":41250}}', 0.0)
    protocol.permit(0.0)
    guilds = b",".join(b'{"id":"%d","unavailable":true}' % number for number in range(2500))
    protocol.received(
        b'{"t":"READY","s":1,"op":0,"d":{"session_id":"x","resume_gateway_url":"wss://x","guilds":[%b]}}' % guilds, 0.0
    )
    payload = b'{"t":"GUILD_CREATE","s":2,"op":0,"d":{"members":[%b"x"],"id":"7"}}' % (b'{"id":"1"},' * 90_000 * size)
    event = protocol.received(payload, 0.0)

    assert len(payload) > 900_000 * size
    assert event.guild_id == "7"
    assert protocol.guilds.count == 2500


class AnyOrder(RuleBasedStateMachine):
    """A driver that keeps to the contract of the effects, and a network that keeps to nothing."""

    @initialize(compression=st.just("none"), seed=st.integers(0, 5))
    def begin(self, compression, seed):
        self.protocol = new_protocol(compression, seed)
        self.now = 100.0
        self.wanted = False  # Connect was asked for, and the driver has not dialled
        self.dialling = False
        self.open = False
        self.permitting = False
        self.stopped = False
        self.seqs: dict[str, int] = {}
        self.protocol.start()
        self.carry_out()

    def carry_out(self):
        effects = list(self.protocol.effects)
        self.protocol.effects.clear()
        assert len(effects) <= 4
        last = None
        for effect in effects:
            match effect:
                case Connect(url, to_identify):
                    assert not self.open, "Connect while a connection is open"
                    assert url.startswith(("wss://", "ws"))
                    assert to_identify is (self.protocol.session is None)
                    self.wanted = True
                case Send(payload):
                    assert self.open, f"Send without a connection: {payload!r}"
                    assert len(payload) < 4096
                    assert json.loads(payload)["op"] in (1, 2, 6)
                    assert (json.loads(payload)["op"] == 2) is self.permitting
                case IdentifySent():
                    assert isinstance(last, Send)
                    assert json.loads(last.payload)["op"] == 2
                case Close(code):
                    assert self.open or self.dialling or self.wanted
                    assert 4000 <= code < 5000
                    self.open = self.dialling = self.wanted = False
                case SessionEnded(_, reason):
                    assert reason
            last = effect

    def tell(self, message):
        event = self.protocol.received(message, self.now)
        if event is not None:
            assert event.raw == message
            assert self.protocol.session is not None
            assert event.session_id == self.protocol.session.session_id
            assert event.seq > self.seqs.get(event.session_id, -1) or event.type == "READY"
            self.seqs[event.session_id] = event.seq
        self.carry_out()

    @precondition(lambda self: self.wanted)
    @rule()
    def dial(self):
        self.wanted, self.dialling = False, True
        self.protocol.dialling(self.now)
        self.carry_out()

    @precondition(lambda self: self.dialling)
    @rule(fails=st.booleans())
    def dialled(self, fails):
        self.dialling = False
        if fails:
            self.protocol.connection_failed("refused", self.now)
        else:
            self.open = True
        self.carry_out()

    @precondition(lambda self: self.dialling)
    @rule()
    def opens_and_says_hello(self):
        self.dialling, self.open = False, True
        self.tell(b'{"op":10,"d":{"heartbeat_interval":45000}}')

    @precondition(lambda self: self.open)
    @rule(message=messages)
    def says_anything(self, message):
        self.tell(message)

    @precondition(lambda self: self.open)
    @rule(guilds=st.lists(st.integers(1, 5), max_size=3), session=st.sampled_from("abc"))
    def says_ready(self, guilds, session):
        data = {"session_id": session, "resume_gateway_url": "wss://r", "guilds": [{"id": str(g)} for g in guilds]}
        if self.protocol.state is ShardState.IDENTIFYING:
            self.seqs.pop(session, None)
        self.tell(json.dumps({"op": 0, "s": 1, "t": "READY", "d": data}).encode())

    @precondition(lambda self: self.open)
    @rule(
        kind=st.sampled_from(["RESUMED", "GUILD_CREATE", "GUILD_DELETE", "TYPING_START"]),
        ahead=st.integers(-1, 3),
        guild=st.integers(1, 5),
        unavailable=st.booleans(),
    )
    def says_an_event(self, kind, ahead, guild, unavailable):
        seq = max(0, (self.protocol.session.seq if self.protocol.session else 0) + ahead)
        data = {"id": str(guild), "guild_id": str(guild), "unavailable": unavailable}
        self.tell(json.dumps({"op": 0, "s": seq, "t": kind, "d": data}).encode())

    @precondition(lambda self: self.open)
    @rule(op=st.sampled_from([1, 7, 9, 10, 11]), d=st.sampled_from([None, True, False]))
    def says_an_op(self, op, d):
        self.tell(json.dumps({"op": op, "d": d}).encode())

    @precondition(lambda self: self.open)
    @rule(code=st.none() | st.integers(1000, 1015) | st.integers(4000, 4015))
    def closes(self, code):
        self.open = False
        self.protocol.connection_closed(code, self.now)
        self.carry_out()

    @rule()
    def grants(self):
        expected = self.protocol.state is ShardState.AWAITING_PERMIT
        self.permitting = True
        assert self.protocol.permit(self.now) is expected
        self.carry_out()
        self.permitting = False

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds):
        self.now += seconds
        self.protocol.tick(self.now)
        self.carry_out()

    @precondition(lambda self: self.protocol.timer is not None)
    @rule()
    def timer_fires(self):
        self.now = max(self.now, self.protocol.timer)
        self.protocol.tick(self.now)
        self.carry_out()

    @rule()
    def late_calls_are_harmless(self):
        if not (self.wanted or self.dialling or self.open):
            self.protocol.connection_failed("late", self.now)
            self.protocol.connection_closed(1006, self.now)
            self.protocol.dialling(self.now)
            self.protocol.received(b'{"op":9,"d":false}', self.now)
            self.protocol.received(b'{"op":1}', self.now)
            assert self.protocol.effects == []

    @rule(really=st.integers(0, 20))
    def stops(self, really):
        if really == 0:
            self.protocol.stop()
            self.stopped = True
            self.carry_out()

    @invariant()
    def state_fits_the_connection(self):
        if not hasattr(self, "protocol"):
            return
        state = self.protocol.state
        assert (self.open or self.dialling or self.wanted) is (state not in GONE)
        if state is ShardState.DISCONNECTED:
            assert (self.protocol.timer is None) is self.stopped, "nobody would ever connect again"
        if state is ShardState.REFUSED:
            assert self.protocol.timer is None
        if state in (ShardState.IDENTIFYING, ShardState.RESUMING, ShardState.AWAITING_PERMIT, ShardState.CONNECTED):
            assert self.protocol.timer is not None, "nobody would notice that the connection is dead"
        if state in (ShardState.RESUMING, ShardState.CONNECTED):
            assert self.protocol.session is not None
        if state in (ShardState.IDENTIFYING, ShardState.AWAITING_PERMIT):
            assert self.protocol.session is None
        assert self.protocol.guilds.count >= self.protocol.guilds.unavailable >= 0


AnyOrder.TestCase.settings = settings(
    deadline=None, max_examples=100, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyOrder = AnyOrder.TestCase
