"""One worker's end: in order, by force, in the middle of its start; and without its supervisor."""

import os
import signal
import sys
import time
from random import Random

import psutil
import pytest

from shardpod.pod import worker_process as module
from shardpod.pod.worker_process import WorkerProcess
from shardpod.protocol import SessionSettings
from shardpod.worker import WorkerSettings
from shardpod.worker.messages import Begin, Failed, Neighbours

SETTINGS = WorkerSettings(
    shard_ids=(4, 5),
    shard_count=16,
    session=SessionSettings(token="t", gateway_url="wss://127.0.0.1:1", compression="none", intents=1),
)


@pytest.fixture
async def supervised(stand_in, ending):
    async def nothing(_message):
        return Failed("not in this test")

    def start(behaviour="obedient"):
        if behaviour != "real":
            stand_in.behave(behaviour)
        process = WorkerProcess(
            SETTINGS.shard_ids,
            begin=lambda: Begin(SETTINGS, Neighbours("me")),
            handler=nothing,
            on_report=lambda: None,
            random=Random(1),
        )
        ending.append(process)
        process.start()
        return process

    return start


async def test_a_worker_that_is_stopped_ends_in_order_and_its_last_report_stays(supervised, stand_in, until):
    process = supervised()
    await until(lambda: process.running)
    pid = process.pid
    await process.stop(drain_for=2.5)

    assert stand_in.said()[-1] == "stop 2.5"
    assert not psutil.pid_exists(pid)
    assert process.report.identifies == 1001, "its last word counts"
    assert [shard.session_id for shard in process.report.shards] == ["s", "s"], "its checkpoints are told at the end"
    assert (process.restarts, process.running) == (0, False)


@pytest.mark.parametrize("behaviour", ["deaf", "suspended"])
async def test_a_worker_that_does_not_end_is_killed(supervised, until, monkeypatch, behaviour):
    monkeypatch.setattr(module, "_END_TIMEOUT", 0.3)
    process = supervised("deaf")
    await until(lambda: process.report.identifies > 2)
    pid = process.pid
    if behaviour == "suspended":
        os.kill(pid, signal.SIGSTOP)
    started_at = time.monotonic()
    await process.stop(drain_for=0.1)

    assert time.monotonic() - started_at < 3
    assert not psutil.pid_exists(pid)
    assert len(process.report.shards) == 2, "what it told last is the best that is known"
    assert process.restarts == 0


async def test_stop_in_the_pause_before_a_restart_ends_at_once_and_starts_nothing(
    supervised, stand_in, until, monkeypatch
):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 1.0)
    process = supervised("crash")
    await until(lambda: process.restarts)
    started_at = time.monotonic()
    await process.stop(drain_for=10)

    assert time.monotonic() - started_at < 0.4
    assert len([text for text in stand_in.said() if text.startswith("begin")]) == 1


async def test_stop_while_a_worker_begins_does_not_wait_for_it(supervised, stand_in, until):
    process = supervised("slow")
    await until(stand_in.said)
    pid = process.pid
    started_at = time.monotonic()
    await process.stop(drain_for=10)

    assert time.monotonic() - started_at < 2
    assert not psutil.pid_exists(pid)


async def test_stop_before_a_worker_has_been_started_starts_none(supervised, stand_in):
    process = supervised()
    await process.stop(drain_for=10)

    assert not [text for text in stand_in.said() if text.startswith("begin")]


async def test_the_real_worker_begins_reports_and_ends_in_order(supervised, monkeypatch, until):
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-m", "shardpod.worker"))
    process = supervised("real")
    await until(lambda: process.running)
    assert [shard.shard_id for shard in process.report.shards] == [4, 5]
    pid = process.pid
    started_at = time.monotonic()
    await process.stop(drain_for=5)

    assert time.monotonic() - started_at < 4, "nothing waits, so that nothing is drained"
    assert not psutil.pid_exists(pid)
    assert process._in_order
