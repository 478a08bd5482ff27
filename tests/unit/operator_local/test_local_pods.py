import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway_operator.core.world import PodSpec
from gateway_operator.local.pod_process import _PidFile
from gateway_operator.local.pods import TERMINATION_GRACE, LocalPods
from gateway_operator.local.process_identity import ProcessIdentity
from shardpod.contract import ShardRange

POD = PodSpec("mybot-e1-0-15", 1, ShardRange(first_shard_id=0, last_shard_id=15))
STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nsignal.pause()"


@pytest.fixture
def build(pod_files, pod_command, clock):
    def build(command=None) -> LocalPods:
        return LocalPods(pod_files, command or pod_command(), clock=clock, jitter=random.Random(1))

    return build


async def seen(pods: LocalPods):
    return (await pods.observe()).get(POD.name)


async def ended(pods: LocalPods) -> bool:
    return not (await seen(pods)).running


async def gone(pods: LocalPods) -> bool:
    await pods.remove(POD.name)
    return await seen(pods) is None


async def test_an_applied_pod_runs_under_its_name_and_in_a_session_of_its_own(
    build, pod_command, until, tmp_path, monkeypatch
):
    monkeypatch.setenv("FROM_OPERATOR", "kept")
    told = tmp_path / "told"
    program = (
        f"import os, pathlib, signal; e = os.environ; p = pathlib.Path({str(told)!r})\n"
        "p.with_suffix('.draft').write_text(' '.join("
        "[e['GATEWAY_POD_NAME'], e['FROM_OPERATOR'], e['SECRET'], str(os.getsid(0) == os.getpid())]))\n"
        "p.with_suffix('.draft').rename(p)\nsignal.pause()"
    )
    pods = build(pod_command(program, SECRET="told"))
    await pods.apply(POD)

    async def has_told() -> bool:
        return told.exists()

    await until(has_told)
    assert told.read_text() == "mybot-e1-0-15 kept told True"
    await until(lambda: gone(pods))


async def test_applying_a_pod_that_runs_changes_nothing(build, until):
    pods = build()
    await pods.apply(POD)
    first = await seen(pods)
    await pods.apply(POD)

    assert first.running
    assert await seen(pods) == first
    await until(lambda: gone(pods))


async def test_a_pod_that_ended_says_how_and_waits_out_its_backoff(build, pod_command, clock, until):
    pods = build(pod_command("raise SystemExit(7)"))
    await pods.apply(POD)
    await until(lambda: ended(pods))

    assert "exit code 7" in (await seen(pods)).problem
    assert "starts again in 1 s" in (await seen(pods)).problem

    await pods.apply(POD)
    assert not (await seen(pods)).running

    clock.advance(1.0)
    await pods.apply(POD)
    await until(lambda: ended(pods))
    clock.advance(0.9)
    await pods.apply(POD)
    assert not (await seen(pods)).running, "the second wait is longer than the first"


async def test_a_pod_ended_by_a_signal_names_it(build, until):
    pods = build()
    await pods.apply(POD)
    ProcessIdentity.of((await seen(pods)).pid).send(signal.SIGKILL)
    await until(lambda: ended(pods))

    assert "SIGKILL" in (await seen(pods)).problem


async def test_a_program_that_cannot_be_started_is_a_problem_and_is_tried_again(build, pod_command, clock, until):
    pods = build(replace(pod_command(), arguments=("/nonexistent/program",)))
    await pods.apply(POD)

    assert not (await seen(pods)).running
    assert "No such file" in (await seen(pods)).problem
    await until(lambda: gone(pods))


async def test_a_removed_pod_is_asked_to_end_and_then_forgotten(build, pod_files, until):
    pods = build()
    await pods.apply(POD)
    await until(lambda: gone(pods))

    assert list(pod_files.iterdir()) == []


async def test_removing_a_pod_that_is_not_there_does_nothing(build):
    await build().remove("mybot-e9-0-15")


async def test_a_pod_that_ignores_sigterm_is_killed_after_the_grace_and_not_before(
    build, pod_command, clock, until, tmp_path
):
    ready = tmp_path / "ready"
    pods = build(pod_command(STUBBORN.replace("print(flush=True)", f"open({str(ready)!r}, 'w')")))
    await pods.apply(POD)

    async def is_ready() -> bool:
        return ready.exists()

    await until(is_ready)
    await pods.remove(POD.name)
    clock.advance(TERMINATION_GRACE - 0.1)
    await pods.remove(POD.name)
    assert (await seen(pods)).running

    clock.advance(0.2)
    await until(lambda: gone(pods))


async def test_a_pod_wanted_again_while_it_ends_starts_anew_without_backoff(build, until):
    pods = build()
    await pods.apply(POD)
    first = (await seen(pods)).pid
    await pods.remove(POD.name)

    async def runs_anew() -> bool:
        await pods.apply(POD)
        return (await seen(pods)).pid not in (first, None)

    await until(runs_anew)
    await until(lambda: gone(pods))


CRASHING_OPERATOR = """
import asyncio, os, pathlib, random, signal, sys, time
from gateway_operator.core.world import PodSpec
from gateway_operator.local.pod_process import PodCommand
from gateway_operator.local.pods import LocalPods
from shardpod.contract import ShardRange
command = PodCommand((sys.executable, "-I", "-S", "-c", sys.argv[2]), {}, "same")
pods = LocalPods(pathlib.Path(sys.argv[1]), command, clock=time.monotonic, jitter=random.Random(1))
asyncio.run(pods.apply(PodSpec("mybot-e1-0-15", 1, ShardRange(first_shard_id=0, last_shard_id=15))))
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_crashed_operator(pod_files: Path, program: str) -> ProcessIdentity:
    crash = subprocess.run([sys.executable, "-c", CRASHING_OPERATOR, pod_files, program], check=False)
    assert crash.returncode == -signal.SIGKILL
    return _PidFile.model_validate_json((pod_files / f"{POD.name}.json").read_bytes()).process


async def test_a_pod_outlives_its_operator_and_the_next_one_takes_it_over(build, pod_files, pod_command, until):
    left = left_by_a_crashed_operator(pod_files, pod_command().arguments[-1])
    pods = build()
    await pods.apply(POD)

    assert (await seen(pods)).pid == left.pid
    assert left.is_alive()

    await until(lambda: gone(pods))
    assert not left.is_alive()


async def test_a_pod_taken_over_is_restarted_when_its_secrets_have_changed(build, pod_files, pod_command, until):
    left = left_by_a_crashed_operator(pod_files, pod_command().arguments[-1])
    pods = build(pod_command(digest="other"))

    async def runs_anew() -> bool:
        await pods.apply(POD)
        return (await seen(pods)).pid not in (left.pid, None)

    await until(runs_anew)
    await until(lambda: gone(pods))


async def test_a_pid_file_of_a_process_with_another_start_time_is_cleared_and_nothing_is_signalled(
    build, pod_files, pod_command
):
    foreign = left_by_a_crashed_operator(pod_files, pod_command().arguments[-1])
    file = pod_files / f"{POD.name}.json"
    stale = foreign.model_copy(update={"start_ticks": foreign.start_ticks - 1})
    file.write_text(_PidFile(process=stale, secrets_digest="same").model_dump_json())
    try:
        pods = build()
        await pods.remove(POD.name)

        assert await seen(pods) is None
        assert foreign.is_alive()
        assert not file.exists()
    finally:
        foreign.kill_group()


async def test_a_pid_file_that_cannot_be_read_is_set_aside(build, pod_files):
    (pod_files / f"{POD.name}.json").write_text("{")

    assert await seen(build()) is None
    assert (pod_files / f"{POD.name}.json.unreadable").exists()
