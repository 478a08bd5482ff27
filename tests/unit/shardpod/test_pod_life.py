"""A pod in this process: what it does about faults of its own parts, and what its command says of them."""

import asyncio
import contextlib
import traceback
from random import Random

import pytest
import structlog.testing
from websockets.asyncio.server import unix_serve

import shardpod.__main__ as command
from shardpod.pod import pod as module
from shardpod.pod import supervision
from shardpod.pod.config import read_config
from shardpod.pod.http_endpoints import CannotListenError

TOKEN = "MTk4.the-bots-token.zzz"


@pytest.fixture
def environ(tmp_path):
    return {
        "GATEWAY_POD_NAME": "mybot-e1-0-15",
        "GATEWAY_CONTROL_ADDRESSES": f"unix:{tmp_path}/s",
        "GATEWAY_CONTROL_SECRET": "the-control-secret",
        "DISCORD_TOKEN": TOKEN,
    }


@pytest.fixture
def pod(environ):
    return module.Pod(read_config(environ), Random(1))


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
    environ, make_assignment, monkeypatch
):
    def fail(*_, **__):
        raise ValueError(f"no such port, Bot {TOKEN}")

    monkeypatch.setattr(module, "build_worker", fail)
    pod = module.Pod(read_config(environ), Random(1))
    with pytest.raises(ValueError, match="no such port"):
        pod._assigned(make_assignment())
    observed = pod._observe()

    assert not observed.ready
    assert observed.why_not_ready == "the assignment cannot be carried out: ValueError: no such port, Bot ***"
    assert (observed.term, observed.n) == (0, 0), "it is not in force"


async def test_an_assignment_that_can_be_carried_out_clears_the_problem_of_the_one_before(
    pod, make_assignment, monkeypatch
):
    class Worker:
        def start(self):
            pass

        def report(self):
            return None

    workers = [ValueError("no such port"), Worker()]

    def build(*_, **__):
        worker = workers.pop(0)
        if isinstance(worker, Exception):
            raise worker
        return worker

    monkeypatch.setattr(module, "build_worker", build)
    monkeypatch.setattr(module.gc, "freeze", lambda: None)
    with pytest.raises(ValueError, match="no such port"):
        pod._assigned(make_assignment(n=1))
    pod._assigned(make_assignment(n=2))

    assert "cannot be carried out" not in pod._observe().why_not_ready


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


async def test_a_report_that_fails_is_told_and_reporting_goes_on(pod, until, monkeypatch, tmp_path):
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
        async with unix_serve(operator, str(tmp_path / "s")), running(pod):
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
