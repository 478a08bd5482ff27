"""Whatever happens, in whatever order: no exception, and effects that fit the state."""

import json
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardpod.protocol import (
    Close,
    Connect,
    IdentifySent,
    Send,
    Session,
    SessionEnded,
    SessionSettings,
    ShardProtocol,
    ShardState,
)

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


def new_protocol(seed, session):
    settings = SessionSettings(token="secret", gateway_url="wss://main", compression="none", intents=1, presence=None)
    return ShardProtocol(0, 1, settings, random=Random(seed), session=session)


class AnyOrder(RuleBasedStateMachine):
    """A driver that keeps to the contract of the effects, and a network that keeps to nothing."""

    @initialize(seed=st.integers(0, 5), begins=st.sampled_from(["anew", "with a checkpoint", "with a peer"]))
    def begin(self, seed, begins):
        self.protocol = new_protocol(seed, Session("z", "wss://r", 7) if begins == "with a checkpoint" else None)
        self.protocol.awaits_transfer = begins == "with a peer"
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
                    assert to_identify is (self.protocol.session is None and not self.protocol.awaits_transfer)
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

    @precondition(lambda self: self.protocol.awaits_transfer and not self.stopped)
    @rule(seq=st.integers(0, 9))
    def peer_gives_its_session(self, seq):
        was_waiting = self.protocol.state is ShardState.AWAITING_TRANSFER
        self.protocol.adopt(Session("p", "wss://r", seq), self.now)
        self.seqs.pop("p", None)
        assert (self.protocol.state is ShardState.RESUMING) is was_waiting
        self.carry_out()

    @precondition(lambda self: self.protocol.awaits_transfer and not self.stopped)
    @rule()
    def peer_has_nothing(self):
        self.protocol.nothing_to_adopt()
        self.carry_out()

    @rule(paused=st.booleans())
    def reading_stops_or_goes_on(self, paused):
        self.protocol.reading_paused = paused

    @rule(really=st.integers(0, 20))
    def lets_go(self, really):
        if really == 0:
            session = self.protocol.session
            assert self.protocol.release() is session
            assert self.protocol.session is None
            self.stopped = True
            self.carry_out()

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
        if state not in (*GONE, ShardState.CONNECTING):
            assert self.protocol.timer is not None, "nobody would notice that the connection is dead"
        if state in (ShardState.RESUMING, ShardState.CONNECTED):
            assert self.protocol.session is not None
        if state in (ShardState.IDENTIFYING, ShardState.AWAITING_PERMIT, ShardState.AWAITING_TRANSFER):
            assert self.protocol.session is None
            assert self.protocol.awaits_transfer is (state is ShardState.AWAITING_TRANSFER)
        assert self.protocol.guilds.count >= self.protocol.guilds.unavailable >= 0


AnyOrder.TestCase.settings = settings(
    deadline=None, max_examples=100, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyOrder = AnyOrder.TestCase
