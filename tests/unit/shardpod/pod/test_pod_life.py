"""A pod in this process: what it does about faults of its own parts, and what its command says of them."""

import asyncio
import contextlib
import os
import signal
import traceback
from random import Random

import pytest
import structlog.testing
from websockets.asyncio.server import unix_serve

from shardpod.pod import command, supervision
from shardpod.pod import pod as module
from shardpod.pod.http_endpoints import CannotListenError

TOKEN = "MTk4.the-bots-token.zzz"


@pytest.fixture
def pod(config):
    return module.Pod(config, Random(1))


@contextlib.asynccontextmanager
async def running(pod):
    task = asyncio.create_task(pod.run())
    try:
        yield task
    finally:
        pod.stop()
        await asyncio.wait_for(task, 10)


# An assignment that cannot be carried out.


async def test_what_keeps_an_assignment_from_being_carried_out_is_told_without_secrets(
    pod, make_assignment, monkeypatch
):
    def fail(*_, **__):
        raise ValueError(f"no such port, Bot {TOKEN}")

    monkeypatch.setattr(module, "Workers", fail)
    with pytest.raises(ValueError, match="no such port"):
        pod._assigned(make_assignment())
    observed = pod._observe()

    assert not observed.ready
    assert observed.why_not_ready == "the assignment cannot be carried out: ValueError: no such port, Bot ***"
    assert (observed.term, observed.n) == (0, 0), "it is not in force"


async def test_an_assignment_that_can_be_carried_out_clears_the_problem_of_the_one_before(
    pod, make_assignment, stand_in, until, ending
):
    with pytest.raises(ZeroDivisionError):
        pod._assigned(make_assignment(n=1, shards_per_worker=0))
    assert "ZeroDivisionError" in pod._observe().why_not_ready
    pod._assigned(make_assignment(n=2))
    ending.append(pod._workers)
    await until(lambda: pod._observe().ready)

    assert pod._observe().n == 2


async def test_a_worker_that_cannot_begin_is_told_and_keeps_the_pod_from_being_ready(
    pod, make_assignment, stand_in, until, ending
):
    stand_in.behave("fail")
    pod._assigned(make_assignment(shards_per_worker=16))
    ending.append(pod._workers)
    await until(lambda: pod._workers.restarts)

    assert "a worker could not begin (StoreError); it is started again" in pod._observe().why_not_ready
    assert pod._observe().counters.worker_restarts >= 1


# Assignments that change.


def peers(*instances):
    whole = {"first_shard_id": 0, "last_shard_id": 15}
    return [{"pod": "p", "instance": instance, "address": None, "range": whole} for instance in instances]


async def test_a_changed_role_and_changed_peers_reach_every_worker(pod, make_assignment, stand_in, until, ending):
    pod._assigned(make_assignment(n=1, peers=peers("p.6")))
    ending.append(pod._workers)
    await until(lambda: pod._observe().ready)
    assert max(stand_in.said()) == "neighbours may_release=False takes_from=p.6"
    pod._assigned(make_assignment(n=2, peers=peers("p.6", "p.5")))
    await until(lambda: stand_in.said().count("neighbours may_release=False takes_from=p.6,p.5") == 2)
    pod._assigned(make_assignment(n=3, role="draining"))
    await until(lambda: stand_in.said().count("neighbours may_release=True takes_from=") == 2)

    assert pod._observe().n == 3
    assert pod._observe().counters.worker_restarts == 0


async def test_workers_are_told_when_no_operator_can_be_reached_and_when_one_can_again(
    pod, make_assignment, stand_in, until, operator_of, short_path
):
    operator = operator_of(short_path, make_assignment(role="ending"))
    async with running(pod):
        async with operator.listening():
            await until(lambda: operator.last.get("ready"))
            assert "cut off" not in stand_in.said()
        await until(lambda: stand_in.said().count("cut off") == 2)
        async with operator.listening():
            told = "neighbours may_release=False takes_from="
            await until(lambda: stand_in.said().count(told) == 2 * 3)

            assert stand_in.said().count("cut off") == 2, "and now no more"


async def test_a_worker_that_dies_in_a_pod_that_drains_takes_up_only_what_it_has(
    pod, make_assignment, stand_in, until, ending
):
    pod._assigned(make_assignment(shards_per_worker=16))
    ending.append(pod._workers)
    await until(lambda: pod._observe().ready)
    pod._assigned(make_assignment(shards_per_worker=16, n=2, role="draining"))
    os.kill(stand_in.heard()[0][0], signal.SIGKILL)
    await until(lambda: pod._observe().counters.worker_restarts == 1 and pod._observe().ready)

    whole = tuple(range(16))
    assert [text for text in stand_in.said() if text.startswith("begin")] == [
        f"begin {whole} stored_only=False",
        f"begin {whole} stored_only=True",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n": 2, "term": 2, "role": "draining", "peers": peers("p.6")}, False),
        ({"ownership": {"active_epoch": 1, "active_shard_count": 16, "pending_epoch": 2}}, False),
        ({"shards_per_worker": 4}, True),
        ({"delivery": {"http": {"url": "http://other.example/"}}}, True),
    ],
)
async def test_what_takes_effect_only_in_the_next_pod_is_told(pod, make_assignment, stand_in, ending, changes, told):
    pod._assigned(make_assignment())
    ending.append(pod._workers)
    with structlog.testing.capture_logs() as logs:
        pod._assigned(make_assignment(**changes))

    assert any("take effect in the pod that replaces this one" in log["event"] for log in logs) is told


# Faults of its tasks.


async def test_a_control_channel_that_fails_is_told_with_its_traceback_and_started_again(pod, until, monkeypatch):
    monkeypatch.setattr(supervision, "RESTART_PAUSE", 0.01)
    tries = []

    async def run():
        tries.append(None)
        if len(tries) < 3:
            raise KeyError("a bug in the channel")
        await asyncio.Event().wait()

    monkeypatch.setattr(pod._control, "run", run)
    with structlog.testing.capture_logs() as logs:
        async with running(pod) as task:
            await until(lambda: len(tries) == 3)
            assert not task.done()

    failed = [log for log in logs if log["log_level"] == "error"]
    assert [(log["task"], log["exc_info"]) for log in failed] == [("control channel", True)] * 2


async def test_a_report_that_fails_is_told_and_reporting_goes_on(pod, until, monkeypatch, short_path):
    monkeypatch.setattr(supervision, "RESTART_PAUSE", 0.01)
    observe, faults, heard, channels = pod._observe, [KeyError("bug"), KeyError("bug")], [], []

    def observe_or_fail():
        if faults:
            raise faults.pop()
        return observe()

    async def operator(socket):
        channels.append(socket)
        heard.append(await socket.recv())
        await socket.wait_closed()

    monkeypatch.setattr(pod._control, "_observe", observe_or_fail)
    with structlog.testing.capture_logs() as logs:
        async with unix_serve(operator, str(short_path)), running(pod):
            await until(lambda: heard)
            assert len(channels) == 1, "the channel lived on"

    failed = [log for log in logs if log["log_level"] == "error"]
    assert [(log["task"], log["exc_info"]) for log in failed] == [("reporting to the operator", True)] * 2


@pytest.mark.looptime
async def test_a_task_that_fails_again_and_again_is_started_after_a_pause_each_time():
    started = []

    async def run():
        started.append(asyncio.get_running_loop().time())
        raise KeyError("bug")

    task = asyncio.create_task(supervision.keep_running("x", run))
    await asyncio.sleep(2.5 * supervision.RESTART_PAUSE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [at - started[0] for at in started] == [0.0, supervision.RESTART_PAUSE, 2 * supervision.RESTART_PAUSE]
    assert task.cancelled()


async def test_a_task_that_returns_is_done():
    runs = []

    async def run():
        runs.append(None)

    await supervision.keep_running("x", run)

    assert len(runs) == 1


# The command.


@pytest.fixture
def main(environ, monkeypatch):
    def run(error):
        async def fail(_config):
            raise error

        monkeypatch.setattr(command, "_run", fail)
        monkeypatch.setattr(command, "configure_logs", lambda **_: None)
        monkeypatch.setattr(command.os, "environ", environ)
        command.main()

    return run


def test_an_endpoint_that_cannot_listen_ends_the_command_with_one_line(main, capsys):
    with pytest.raises(SystemExit) as end:
        main(CannotListenError("cannot listen on 127.0.0.1:1: taken"))

    assert end.value.code == 2
    assert capsys.readouterr().err == "discord-gateway-shardpod: cannot listen on 127.0.0.1:1: taken\n"


def test_any_other_os_error_is_not_taken_for_a_port_that_is_taken(main, capsys):
    with pytest.raises(OSError, match="too many open files") as raised:
        main(OSError(24, "too many open files"))

    assert "cannot listen" not in capsys.readouterr().err
    assert "too many open files" in "".join(traceback.format_exception(raised.value))
