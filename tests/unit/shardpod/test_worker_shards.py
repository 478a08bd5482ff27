"""A worker's shards on a virtual clock, with a Discord, an operator and a bot of a few lines each."""

import asyncio
import json
from itertools import pairwise
from random import Random

import pytest
import structlog.testing

from shardpod.delivery import SinkError
from shardpod.protocol import CLOSE_RESUMABLE, SessionSettings, ShardState
from shardpod.worker import Granted, Wait, Worker, WorkerSettings
from shardpod.worker.shard_runner import CONNECT_AHEAD

pytestmark = pytest.mark.looptime

TOKEN = "the-bots-token"


class Line:
    """Discord's end of one connection."""

    def __init__(self, url, listener):
        self.url = url
        self.listener = listener
        self.opened_at = asyncio.get_running_loop().time()
        self.sent = []
        self.closed_with = None

    # shardpod.transport.Connection

    def send(self, payload):
        assert self.closed_with is None, "sent after it was closed"
        self.sent.append((asyncio.get_running_loop().time(), json.loads(payload)))

    def close(self, code):
        self.closed_with = code

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

    @property
    def ops(self):
        return [message["op"] for _, message in self.sent if message["op"] != 1]


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


class Operator:
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


class Bot:
    def __init__(self):
        self.delivered = []
        self.error = None
        self.closed = False

    async def deliver(self, events, attempt):
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        self.delivered += [event.seq for event in events]

    async def close(self):
        self.closed = True


class Rig:
    def __init__(self, **settings):
        self.network, self.operator, self.bot = Network(), Operator(), Bot()
        self.changes = 0
        session = SessionSettings(token=TOKEN, gateway_url="wss://main", compression="none", intents=1)
        settings = {"shard_ids": (3,), "shard_count": 16, "senders": 4, "session": session, **settings}
        self.worker = Worker(
            WorkerSettings(**settings),
            connector=self.network,
            permits=self.operator,
            sink=self.bot,
            random=Random(2),
            on_change=self.changed,
        )

    def changed(self):
        self.changes += 1

    @property
    def line(self):
        return self.network.line

    @property
    def shard(self):
        return self.worker.report().shards[0]

    async def connected(self, **ready):
        self.worker.start()
        await asyncio.sleep(0.1)
        self.line.hello()
        await asyncio.sleep(0.1)
        self.line.ready(**ready)
        await asyncio.sleep(0.1)
        return self


@pytest.fixture
async def rig():
    rigs = []

    def make(**settings):
        rigs.append(Rig(**settings))
        return rigs[-1]

    yield make
    for made in rigs:
        await made.worker.stop(drain_for=0.1)


def now():
    return asyncio.get_running_loop().time()


def waiting(seconds, answer):
    async def respond():
        await asyncio.sleep(seconds)
        return answer

    return respond


# The way up.


async def test_a_shard_connects_identifies_by_permit_and_delivers(rig):
    rig = await rig().connected(guilds=["1"])
    rig.line.event(2)
    rig.line.event(3)
    await asyncio.sleep(0.1)

    assert rig.line.ops == [2]
    assert rig.operator.sent == [(3, 1)]
    assert rig.bot.delivered == [1, 2, 3]
    assert rig.shard.state is ShardState.CONNECTED
    assert (rig.shard.seq, rig.shard.settled_seq) == (3, 3)
    assert rig.worker.report().identifies == 1
    assert rig.changes >= 3


async def test_a_shard_waits_for_its_turn_before_it_dials(rig):
    rig = rig()
    rig.operator.answers = [Wait(100.0, "the bucket is busy"), Wait(70.0, "the bucket is busy")]
    rig.worker.start()
    await asyncio.sleep(59)

    assert rig.network.dials == []
    assert rig.shard.problem == "the bucket is busy"
    assert rig.shard.state is ShardState.CONNECTING
    assert all(not ready for _, _, ready in rig.operator.asked)
    await asyncio.sleep(2)
    assert len(rig.network.dials) == 1


async def test_a_long_wait_is_asked_about_again_for_turns_move_up(rig):
    rig = rig()
    rig.operator.answers = [Wait(3600.0, "far away")]
    rig.worker.start()
    await asyncio.sleep(31)

    assert len(rig.operator.asked) == 2
    assert len(rig.network.dials) == 1


async def test_the_socket_is_opened_a_little_ahead_of_the_turn(rig):
    rig = rig()
    rig.operator.answers = [Wait(20.0, "x"), Wait(CONNECT_AHEAD, "x")]
    rig.worker.start()
    await asyncio.sleep(25)

    assert [at for at, _ in rig.network.dials] == [pytest.approx(20.0 - CONNECT_AHEAD, abs=0.1)]


async def test_a_shard_with_a_session_dials_without_asking(rig):
    rig = await rig().connected()
    asked = len(rig.operator.asked)
    rig.line.listener.closed(None)
    await asyncio.sleep(5)

    assert len(rig.operator.asked) == asked
    assert rig.network.dials[-1][1].startswith("wss://resume/")


async def test_a_refused_permit_is_asked_for_again_when_told(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), Wait(7.0, "the budget is low")]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(6.5)
    assert rig.line.ops == []
    assert rig.shard.problem == "the budget is low"
    await asyncio.sleep(1)

    assert rig.line.ops == [2]


async def test_a_permit_that_comes_too_late_is_not_used(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(1.5, Granted(71, 1.0))]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(3)

    assert rig.operator.sent == [(3, 1)], "permit 71 was asked for 1.5 s before it came"
    assert rig.line.ops == [2]


async def test_a_permit_for_a_connection_that_has_gone_is_not_used_on_the_next(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(0.5, Granted(71, 100.0))]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)
    rig.line.listener.closed(None)
    await asyncio.sleep(5)
    rig.line.hello()
    await asyncio.sleep(1)

    assert rig.operator.sent == [(3, 1)]
    assert rig.network.lines[0].ops == []


async def test_permits_that_are_always_stale_do_not_stop_the_loop(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), *(Granted(number, 0.0) for number in range(100))]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)

    assert len(rig.operator.asked) < 20, "it asks again and again without a pause"


async def test_hello_in_the_wake_up_that_opened_the_socket_does_not_cancel_the_dial(rig):
    rig = rig()
    rig.network.in_wake_up = True
    rig.worker.start()
    await asyncio.sleep(1)

    assert rig.network.cancelled == 0
    assert rig.line.ops == [2]


# Faults.


async def test_a_dial_that_fails_is_tried_again_later(rig):
    async def refuse():
        raise ConnectionError("refused")

    rig = rig()
    rig.network.fault = refuse
    rig.worker.start()
    await asyncio.sleep(200)
    rig.network.fault = None
    assert 5 < len(rig.network.dials) < 60
    assert "refused" in rig.shard.problem
    await asyncio.sleep(61)

    assert rig.network.lines


async def test_a_dial_that_hangs_is_given_up_and_cancelled(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.network.fault = hang
    rig.worker.start()
    await asyncio.sleep(25)

    assert rig.network.cancelled == 1
    assert len(rig.network.dials) == 2


async def test_a_bug_in_the_connector_does_not_lose_the_shard(rig, caplog):
    async def bug():
        raise KeyError("bug")

    rig = rig()
    rig.network.fault = bug
    rig.worker.start()
    await asyncio.sleep(10)
    rig.network.fault = None
    await asyncio.sleep(60)

    assert rig.network.lines


async def test_heartbeats_are_sent_in_time_and_a_silent_connection_is_replaced(rig):
    rig = await rig().connected()
    first = rig.line
    for _ in range(4):
        await asyncio.sleep(41.25)
        first.say(11)
    beats = [at for at, message in first.sent if message["op"] == 1]
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert all(gap == pytest.approx(41.25, abs=0.01) for gap in gaps)
    await asyncio.sleep(90)

    assert first.closed_with == CLOSE_RESUMABLE
    assert rig.line is not first
    rig.line.hello()
    assert rig.line.ops == [6]


async def test_a_lost_session_is_counted_and_told(rig):
    rig = await rig().connected()
    with structlog.testing.capture_logs() as logs:
        rig.line.say(9, d=False)
        await asyncio.sleep(10)
        rig.line.hello()
        await asyncio.sleep(0.1)
        rig.line.ready(session_id="b" * 32)

    report = rig.worker.report()
    assert (report.sessions_lost, report.identifies) == (1, 2)
    assert any("session lost" in log["event"] for log in logs)
    assert report.shards[0].session_id == "b" * 32


async def test_a_refused_shard_says_in_the_log_and_the_report_what_to_do(rig):
    rig = await rig().connected()
    with structlog.testing.capture_logs() as logs:
        rig.line.listener.closed(4014)
        await asyncio.sleep(1000)

    (log,) = [log for log in logs if log["log_level"] == "error"]
    assert "Developer Portal" in log["problem"]
    assert rig.shard.state is ShardState.REFUSED
    assert "4014" in rig.shard.problem
    assert len(rig.network.dials) == 1


async def test_an_old_connection_that_opens_late_is_closed(rig):
    rig = await rig().connected()
    late = Line("wss://main", rig.line.listener)
    late.listener.opened(late)

    assert late.closed_with == CLOSE_RESUMABLE
    assert rig.shard.state is ShardState.CONNECTED
    rig.line.event(2)


# The queue.


async def test_filtered_events_are_counted_not_delivered_and_move_the_checkpoint(rig):
    rig = await rig(exclude=frozenset({"TYPING_START"})).connected()
    rig.line.event(2, t="TYPING_START")
    rig.line.event(3)
    rig.line.event(4, t="TYPING_START")
    await asyncio.sleep(0.1)

    report = rig.worker.report()
    assert rig.bot.delivered == [1, 3]
    assert report.filtered == 2
    assert report.received == {"READY": 1, "TYPING_START": 2, "MESSAGE_CREATE": 1}
    assert report.shards[0].settled_seq == 4


async def test_with_include_only_those_types_are_delivered_unless_excluded(rig):
    rig = await rig(include=frozenset({"A", "B"}), exclude=frozenset({"B"})).connected()
    for seq, t in enumerate(("A", "B", "C"), 2):
        rig.line.event(seq, t=t)
    await asyncio.sleep(0.1)

    assert rig.bot.delivered == [2]
    assert rig.worker.report().filtered == 3


async def test_dropped_events_are_counted_by_reason_and_type_and_told_once(rig):
    rig = await rig(max_queued_events=5).connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    with structlog.testing.capture_logs() as logs:
        for seq in range(2, 52):
            rig.line.event(seq, guild=str(seq))
        await asyncio.sleep(1)
        dropping = rig.worker.report()
        rig.bot.error = None
        await asyncio.sleep(10)
        rig.worker.report()

    told = [log["event"] for log in logs if "dropped" in log["event"]]
    assert told == ["events are being dropped", "events are no longer dropped"]
    assert sum(dropping.dropped["queue_full"].values()) == 45
    assert set(dropping.dropped["queue_full"]) == {"MESSAGE_CREATE"}
    report = rig.worker.report()
    assert report.delivered + sum(report.dropped["queue_full"].values()) == 51
    assert report.shards[0].settled_seq == 51, "what was dropped on purpose is not asked for again"


async def test_an_overflow_by_bytes_is_told_once_as_well(rig):
    rig = await rig(max_queued_bytes=2000).connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    with structlog.testing.capture_logs() as logs:
        for seq in range(2, 200):
            rig.line.event(seq, guild=str(seq))
            await asyncio.sleep(0.1)
            rig.worker.report()

    told = [log["event"] for log in logs if "dropped" in log["event"]]
    assert told == ["events are being dropped"]


async def test_the_checkpoint_stays_behind_what_the_bot_has_not_acknowledged(rig):
    rig = await rig().connected()
    rig.bot.error = SinkError("500")
    rig.line.event(2)
    rig.line.event(3)
    await asyncio.sleep(1)

    assert (rig.shard.seq, rig.shard.settled_seq) == (3, 1)
    report = rig.worker.report()
    assert report.queued_events == 2
    assert report.oldest_age >= 1
    assert report.sink_problem == "500"


async def test_while_a_new_session_has_had_no_event_there_is_no_checkpoint_of_the_old(rig):
    rig = await rig().connected()
    rig.line.listener.closed(4009)

    assert (rig.shard.session_id, rig.shard.settled_seq) == (None, None)


# The end.


async def test_stop_closes_every_shard_resumably_and_drains_the_queue(rig):
    rig = rig(shard_ids=(0, 1, 2), shard_count=3)
    rig.worker.start()
    await asyncio.sleep(0.1)
    for number, line in enumerate(rig.network.lines):
        line.hello()
        await asyncio.sleep(0.1)
        line.ready(session_id=str(number) * 32)
        for seq in range(2, 30):
            line.event(seq)
    before = now()
    await rig.worker.stop(drain_for=20)

    assert [line.closed_with for line in rig.network.lines] == [CLOSE_RESUMABLE] * 3
    assert len(rig.bot.delivered) == 3 * 29
    assert rig.bot.closed
    assert now() - before < 5
    assert [shard.settled_seq for shard in rig.worker.report().shards] == [29, 29, 29]


async def test_stop_gives_up_draining_in_time_and_says_what_is_left(rig):
    rig = await rig().connected()
    rig.bot.error = SinkError("refused", unreachable=True)
    for seq in range(2, 12):
        rig.line.event(seq)
    before = now()
    with structlog.testing.capture_logs() as logs:
        await rig.worker.stop(drain_for=20)

    assert now() - before == pytest.approx(20, abs=0.1)
    assert [log["events"] for log in logs if "not acknowledged" in log["event"]] == [10]
    assert rig.shard.settled_seq == 1


async def test_stop_before_anything_came_ends_at_once_and_for_good(rig):
    rig = rig()
    rig.operator.answers = [Wait(1000.0, "far away")]
    rig.worker.start()
    await asyncio.sleep(1)
    await rig.worker.stop(drain_for=20)
    await asyncio.sleep(5000)

    assert rig.network.dials == []
    assert now() < 5002


async def test_stop_while_dialling_cancels_the_dial(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.network.fault = hang
    rig.worker.start()
    await asyncio.sleep(1)
    await rig.worker.stop(drain_for=1)
    await asyncio.sleep(1)

    assert rig.network.cancelled == 1
    assert rig.network.lines == []


async def test_no_log_line_of_a_whole_life_shows_the_token(rig):
    with structlog.testing.capture_logs() as logs:
        rig = await rig().connected()
        rig.line.say(9, d=False)
        await asyncio.sleep(10)
        rig.line.hello()
        await asyncio.sleep(1)
        rig.line.listener.closed(4004)
        await rig.worker.stop(drain_for=1)

    assert logs
    assert TOKEN not in str(logs)
    assert TOKEN not in repr(rig.worker.report())


async def test_a_connection_that_opens_late_does_not_free_the_task_that_asks_for_a_permit(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(8.0, Granted(71, 100.0)), Wait(0.0, "x"), Wait(20.0, "busy")]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)
    late = Line("wss://main", rig.line.listener)
    late.listener.opened(late)
    rig.line.listener.closed(None)
    await asyncio.sleep(4)
    rig.line.hello()
    await asyncio.sleep(10)

    assert rig.operator.sent == [], "permit 71 was asked for by a connection that has gone"
