"""A worker's shards when the network, Discord or a library fails them, on a virtual clock."""

import asyncio
from itertools import pairwise

import pytest
import structlog.testing

from shardpod.protocol import CLOSE_RESUMABLE, SessionSettings, ShardState
from shardpod.worker import Granted, Wait
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


async def test_a_dial_that_fails_is_tried_again_later(rig):
    async def refuse():
        raise ConnectionError("refused")

    rig = rig()
    rig.network.fault = refuse
    await rig.worker.start()
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
        await rig.worker.start()
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
    await rig.worker.start()
    await asyncio.sleep(0.1)
    assert rig.shard.connected_ago is None
    rig.line.hello()
    await asyncio.sleep(0.1)
    rig.line.ready()
    await asyncio.sleep(30)
    assert rig.shard.connected_ago == 0.0
    rig.line.listener.closed(None)
    rig.network.fault = asyncio.Event().wait
    await asyncio.sleep(7)

    assert rig.shard.connected_ago == pytest.approx(7.0)


async def test_a_dial_that_hangs_is_given_up_and_cancelled(rig):
    async def hang():
        await asyncio.sleep(10_000)

    rig = rig()
    rig.network.fault = hang
    await rig.worker.start()
    await asyncio.sleep(25)

    assert rig.network.cancelled == 1
    assert len(rig.network.dials) == 2


async def test_a_bug_in_the_connector_does_not_lose_the_shard(rig, caplog):
    async def bug():
        raise KeyError("bug")

    rig = rig()
    rig.network.fault = bug
    await rig.worker.start()
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
    await rig.worker.start()
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
