"""A worker's shards on a virtual clock, with a Discord, an operator and a bot of a few lines each."""

import asyncio
from itertools import pairwise

import pytest
import structlog.testing

from shardpod.protocol import CLOSE_RESUMABLE, SessionSettings, ShardState
from shardpod.worker import Granted, Wait
from shardpod.worker.shard_runner import CONNECT_AHEAD
from shardpod.worker.shard_runner import _host_of as host_of

pytestmark = pytest.mark.looptime


TOKEN = "MTk4.another-token.zzz"


def session_to(gateway_url):
    return SessionSettings(token=TOKEN, gateway_url=gateway_url, compression="none", intents=1)


def waiting(seconds, answer):
    async def respond():
        await asyncio.sleep(seconds)
        return answer

    return respond


def runner_of(rig):
    (runner,) = rig.worker._runners
    return runner


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
    assert rig.shard.state is ShardState.AWAITING_PERMIT
    assert all(not ready for _, _, ready in rig.operator.asked)
    await asyncio.sleep(2)
    assert len(rig.network.dials) == 1
    assert rig.shard.problem is None


async def test_a_shard_that_dials_after_its_wait_is_reported_as_connecting(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.operator.answers = [Wait(10.0, "the bucket is busy")]
    rig.network.fault = hang
    rig.worker.start()
    await asyncio.sleep(9)

    assert len(rig.network.dials) == 1
    assert runner_of(rig).reported_state is ShardState.CONNECTING


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


async def test_dials_that_fail_are_warned_of_at_once_and_then_once_a_minute(rig):
    async def refuse():
        raise ConnectionError("ConnectionRefusedError: nobody listens there")

    rig = rig(session=session_to("wss://user:password@gateway.example:4443/path"))
    rig.network.fault = refuse
    with structlog.testing.capture_logs() as logs:
        rig.worker.start()
        await asyncio.sleep(0.1)
        (first,) = logs
        await asyncio.sleep(600)
        rig.network.fault = None
        rig.network.in_wake_up = True
        await asyncio.sleep(61)
        rig.line.ready()

    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert warnings[0] is first
    assert (first["host"], first["shard"]) == ("gateway.example:4443", 3)
    assert "nobody listens there" in first["reason"]
    assert 3 <= len(warnings) <= 11
    assert len([log for log in logs if "attempt failed" in log["event"]]) > len(warnings)
    assert [log["event"] for log in logs if log["log_level"] == "info"] == ["shard connected"]
    assert "password" not in str(logs)
    assert TOKEN not in str(logs)


async def test_after_a_connection_the_first_failure_is_warned_of_again(rig):
    async def refuse():
        raise ConnectionError("refused")

    rig = await rig().connected()
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await asyncio.sleep(11)
            rig.network.fault = refuse
            rig.line.listener.closed(None)
            await asyncio.sleep(4)
            rig.network.fault = None
            await asyncio.sleep(6)
            rig.line.hello()
            rig.line.event(rig.shard.seq + 1, guild=None, t="RESUMED")

    warned = [log["event"] for log in logs if log["log_level"] == "warning"]
    assert warned == ["shard disconnected", "connection attempt failed, trying on"] * 2


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://gateway.discord.gg/?v=10", "gateway.discord.gg"),
        ("wss://user:secret@[::1]:99999/?v=10", "[::1]:99999"),
        ("wss://[broken/?v=10", "[broken"),
        ("no-scheme.example/?v=10", "no-scheme.example"),
        ("", ""),
    ],
)
async def test_the_host_is_told_of_any_url_and_nothing_secret_of_it(url, host):
    assert host_of(url) == host


async def test_how_long_ago_a_shard_was_connected_is_known(rig):
    rig = rig()
    runner = runner_of(rig)
    loop = asyncio.get_running_loop()
    assert runner.connected_ago(loop.time()) is None
    await rig.connected()
    await asyncio.sleep(30)
    assert runner.connected_ago(loop.time()) == 0.0
    rig.line.listener.closed(None)
    rig.network.fault = asyncio.Event().wait
    await asyncio.sleep(7)

    assert runner.connected_ago(loop.time()) == pytest.approx(7.0)


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
    late = rig.late_line()
    late.listener.opened(late)

    assert late.closed_with == CLOSE_RESUMABLE
    assert rig.shard.state is ShardState.CONNECTED
    rig.line.event(2)


async def test_a_connection_that_opens_late_does_not_free_the_task_that_asks_for_a_permit(rig):
    rig = rig()
    rig.operator.answers = [Wait(0.0, "x"), waiting(8.0, Granted(71, 100.0)), Wait(0.0, "x"), Wait(20.0, "busy")]
    rig.worker.start()
    await asyncio.sleep(0.1)
    rig.line.hello()
    await asyncio.sleep(0.1)
    late = rig.late_line()
    late.listener.opened(late)
    rig.line.listener.closed(None)
    await asyncio.sleep(4)
    rig.line.hello()
    await asyncio.sleep(10)

    assert rig.operator.sent == [], "permit 71 was asked for by a connection that has gone"


async def test_the_report_tells_how_long_ago_a_shard_was_connected(rig):
    rig = rig()
    await rig.connected()
    connected = rig.shard.connected_ago

    rig.line.listener.closed(None)

    assert connected == 0.0
    assert 0.0 <= rig.shard.connected_ago < 1.0
