"""How a pod ends: it keeps its sessions for a successor as long as there may be one."""

import asyncio
import os
import signal
import time
from random import Random
from types import SimpleNamespace

import pytest
import structlog.testing

from shardpod.pod.config import read_config
from shardpod.pod.pod import Pod

AT_ONCE = 8.0
"""Seconds for a pod of stand-ins to end when it has nothing to wait for."""


@pytest.fixture
async def start(environ, short_path, stand_in, operator_of):
    """Starts a pod with `grace` and its operator, which assigns `assignment`."""
    pods = []

    async def run(assignment, *, grace=600):
        pod = Pod(read_config(environ | {"GATEWAY_TERMINATION_GRACE": str(grace)}), Random(1))
        operator = operator_of(short_path, assignment)
        listening = await operator.listening()
        running = SimpleNamespace(pod=pod, operator=operator, listening=listening)
        running.task = asyncio.create_task(pod.run())
        pods.append(running)
        return running

    yield run
    for one in pods:
        if not one.task.done():
            if one.pod._assignment is not None:
                one.pod._assigned(one.pod._assignment.model_copy(update={"role": "ending"}))
            one.pod.stop()
        await asyncio.wait_for(one.task, 15)
        one.listening.close()
        await one.listening.wait_closed()


@pytest.fixture
async def holding(start, make_assignment, until):
    async def run(*, shards_per_worker=8, **options):
        running = await start(make_assignment(shards_per_worker=shards_per_worker), **options)
        await until(lambda: running.operator.last.get("ready"))
        return running

    return run


async def ended(running):
    """Wait for it; returns the seconds that it took."""
    started_at = time.monotonic()
    await asyncio.wait_for(asyncio.shield(running.task), 10)
    return time.monotonic() - started_at


def waits(running):
    return running.operator.last.get("stopping") and not running.task.done()


def warned(logs):
    return [log["event"] for log in logs if log["log_level"] == "warning" and "successor" in log["event"]]


# Nobody to wait for.


async def test_a_pod_that_holds_nothing_ends_at_once(start, until):
    running = await start(None)
    await until(lambda: running.operator.reports)
    running.pod.stop()

    assert await ended(running) < AT_ONCE
    assert running.operator.last["stopping"]


async def test_a_pod_without_an_operator_waits_a_little_for_another_one_and_ends_long_before_its_grace(holding, until):
    running = await holding(grace=30)
    running.listening.close()
    await running.listening.wait_closed()
    await until(lambda: not running.pod._control.connected)
    with structlog.testing.capture_logs() as logs:
        running.pod.stop()
        took = await ended(running)

    patience = running.pod._config.termination_grace - 15
    assert patience / 6 <= took < patience / 6 + AT_ONCE
    assert warned(logs) == ["no operator is there who could name a successor, the shards are closed resumably"]


async def test_a_stopping_pod_whose_operator_is_followed_by_another_waits_for_its_successor(holding, until):
    running = await holding()
    running.pod.stop()
    await until(lambda: waits(running))
    for connection in list(running.listening.connections):
        await connection.close()
    await until(lambda: not running.pod._control.connected)
    await until(lambda: running.pod._control.connected)
    running.operator.reports.clear()
    await until(lambda: running.operator.reports)

    assert waits(running)


@pytest.mark.parametrize("already_waiting", [False, True])
async def test_a_pod_that_is_told_that_no_successor_will_come_ends_at_once(
    holding, until, make_assignment, stand_in, already_waiting
):
    running = await holding()
    if already_waiting:
        running.pod.stop()
        await until(lambda: waits(running))
    await running.operator.assign(make_assignment(n=2, role="ending"))
    await until(lambda: running.pod._assignment.n == 2)
    running.pod.stop()

    assert await ended(running) < AT_ONCE
    assert stand_in.said().count("stop 10.0") == 2


# A successor.


async def test_a_stopping_pod_says_so_and_lets_its_workers_give_what_they_hold(holding, until, stand_in):
    running = await holding()
    running.pod.stop()
    await until(lambda: stand_in.said().count("neighbours may_release=True takes_from=") == 2)
    await until(lambda: waits(running))

    assert running.operator.last["why_not_ready"] == "stopping"
    assert {shard["state"] for shard in running.operator.last["shards"]} == {"connected"}


async def test_a_stopping_pod_waits_until_its_successor_has_all_and_then_ends(holding, until, stand_in):
    running = await holding()
    running.pod.stop()
    await until(lambda: waits(running))
    (stand_in.directory / "give").write_text("3")
    await until(lambda: {shard["state"] for shard in running.operator.last["shards"]} == {"released"})
    reports = len(running.operator.reports)
    await until(lambda: len(running.operator.reports) >= reports + 2)
    assert waits(running), "the successor has still to fetch what was not delivered"
    with structlog.testing.capture_logs() as logs:
        (stand_in.directory / "give").write_text("0")
        assert await ended(running) < AT_ONCE

    assert warned(logs) == []


async def test_a_pod_that_finds_no_successor_ends_with_its_grace_and_says_so(holding, until, stand_in):
    running = await holding(grace=15.8)
    with structlog.testing.capture_logs() as logs:
        running.pod.stop()
        took = await ended(running)

    assert 0.7 < took < 0.8 + AT_ONCE
    assert warned(logs) == ["no successor took the shards in time, they are closed resumably"]
    assert {shard["checkpoint_remote"]["seq"] for shard in running.operator.last["shards"]} == {4}, "for a successor"
    assert len(running.operator.last["shards"]) == 16
    assert running.operator.last["counters"]["identifies"] == 2 * 1001, "the workers' last word"


async def test_a_grace_that_is_shorter_than_draining_shortens_it(holding, stand_in):
    running = await holding(grace=6)
    running.pod.stop()

    assert await ended(running) < AT_ONCE
    assert stand_in.said().count("stop 1.0") == 2


async def test_a_worker_that_dies_while_its_pod_waits_comes_back_for_the_successor(holding, until, stand_in):
    running = await holding(shards_per_worker=16)
    running.pod.stop()
    await until(lambda: waits(running))
    os.kill(stand_in.heard()[0][0], signal.SIGKILL)
    await until(lambda: running.operator.last["counters"]["worker_restarts"] == 1)
    await until(lambda: len(running.operator.last["shards"]) == 16)
    assert waits(running)

    (stand_in.directory / "give").write_text("0")
    assert await ended(running) < AT_ONCE


async def test_an_assignment_that_comes_while_a_pod_stops_starts_nothing(start, until, make_assignment, stand_in):
    running = await start(None)
    await until(lambda: running.operator.reports)
    running.pod.stop()
    running.pod._assigned(make_assignment())

    assert await ended(running) < AT_ONCE
    assert stand_in.said() == []
