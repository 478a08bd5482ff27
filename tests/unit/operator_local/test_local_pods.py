import json
import random
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway_operator.core.world import InstanceSpec, PodSpec
from gateway_operator.local.instance_record import left_running, recorded
from gateway_operator.local.pod_process import WORKERS_GRACE
from gateway_operator.local.pods import TERMINATION_GRACE, LocalPods
from gateway_operator.local.process_identity import ProcessIdentity
from shardpod.contract import ShardRange

POD = InstanceSpec(PodSpec("mybot-e1-0-15", 1, ShardRange(first_shard_id=0, last_shard_id=15)), 7, "now")
STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)\nsignal.pause()"


@pytest.fixture
def build(pods_path, pod_command, clock):
    def build(command=None) -> LocalPods:
        return LocalPods(
            pods_path / "pods",
            pods_path / "scratch",
            command or pod_command(),
            clock=clock,
            jitter=random.Random(1),
        )

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
        "[e['GATEWAY_POD_NAME'], e['GATEWAY_POD_INSTANCE'], os.path.basename(e['GATEWAY_SCRATCH']),"
        " e['FROM_OPERATOR'], e['SECRET'], str(os.getsid(0) == os.getpid())]))\n"
        "p.with_suffix('.draft').rename(p)\nsignal.pause()"
    )
    pods = build(pod_command(program, SECRET="told"))
    await pods.apply(POD)

    async def has_told() -> bool:
        return told.exists()

    await until(has_told)
    assert told.read_text() == "mybot-e1-0-15 mybot-e1-0-15.7 mybot-e1-0-15.7 kept told True"
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


async def test_a_removed_pod_is_asked_to_end_and_then_forgotten(build, pods_path, until):
    pods = build()
    await pods.apply(POD)
    await until(lambda: gone(pods))

    assert list((pods_path / "pods").iterdir()) == list((pods_path / "scratch").iterdir()) == []


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
from gateway_operator.core.world import InstanceSpec, PodSpec
from gateway_operator.local.instance_record import InstanceRecord
from gateway_operator.local.pod_process import PodCommand
from gateway_operator.local.pods import LocalPods
from shardpod.contract import ShardRange
path, program, when = sys.argv[1:]
if when == "before the process is recorded":
    write = InstanceRecord.write
    InstanceRecord.write = lambda *a: os.kill(os.getpid(), signal.SIGKILL) if a[2] is not None else write(*a)
pods = LocalPods(pathlib.Path(path, "pods"), pathlib.Path(path, "scratch"),
                 PodCommand((sys.executable, "-I", "-S", "-c", program), {}), clock=time.monotonic,
                 jitter=random.Random(1))
pod = PodSpec("mybot-e1-0-15", 1, ShardRange(first_shard_id=0, last_shard_id=15))
asyncio.run(pods.apply(InstanceSpec(pod, 7, "now")))
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_by_a_crashed_operator(path: Path, program: str, when: str = "afterwards") -> None:
    crash = subprocess.run([sys.executable, "-c", CRASHING_OPERATOR, path, program, when], check=False)
    assert crash.returncode == -signal.SIGKILL


def process_in_the_record(path: Path) -> ProcessIdentity | None:
    [(spec, process)] = recorded(path / "pods")
    assert spec == POD
    return process


async def test_a_pod_outlives_its_operator_and_the_next_one_takes_it_over(build, pods_path, pod_command, until):
    leave_by_a_crashed_operator(pods_path, pod_command().arguments[-1])
    left = process_in_the_record(pods_path)
    assert left_running(pods_path / "pods") == 1
    pods = build()
    await pods.apply(POD)

    assert (await seen(pods)).pid == left.pid
    assert left.is_alive()

    await until(lambda: gone(pods))
    assert not left.is_alive()
    assert left_running(pods_path / "pods") == 0


async def test_a_pod_started_just_before_its_operator_was_killed_is_found(build, pods_path, pod_command, until):
    leave_by_a_crashed_operator(pods_path, pod_command().arguments[-1], "before the process is recorded")
    assert process_in_the_record(pods_path) is None
    pods = build()

    assert (await seen(pods)).running
    assert process_in_the_record(pods_path).pid == (await seen(pods)).pid
    await until(lambda: gone(pods))


async def test_a_record_of_a_process_with_another_start_time_is_no_process_and_nothing_is_signalled(
    build, pods_path, pod_command
):
    leave_by_a_crashed_operator(pods_path, pod_command("import signal; signal.pause()").arguments[-1])
    foreign = process_in_the_record(pods_path)
    file = pods_path / "pods" / f"{POD.name}.json"
    # Somebody else's process by now: neither its start nor its environment is a pod's.
    scratch = pods_path / "scratch" / POD.name
    other = replace(POD, number=8)
    content = json.loads(file.read_text())
    content["spec"]["number"] = other.number
    content["process"]["start_ticks"] -= 1
    file.unlink()
    (pods_path / "pods" / f"{other.name}.json").write_text(json.dumps(content))
    try:
        pods = build()
        await pods.remove(other.name)

        assert await pods.observe() == {}
        assert foreign.is_alive()
        assert scratch.exists()
    finally:
        foreign.kill_group()


async def test_a_record_that_cannot_be_read_is_set_aside(build, pods_path):
    (pods_path / "pods" / f"{POD.name}.json").write_text("{")

    assert await seen(build()) is None
    assert (pods_path / "pods" / f"{POD.name}.json.unreadable").exists()
    assert left_running(pods_path / "pods") == 0


async def test_the_scratch_directory_is_the_instances_own_and_outlives_its_process(build, pods_path, until):
    pods = build()
    await pods.apply(POD)
    scratch = pods_path / "scratch" / POD.name
    for name in ("shard-3.db", "shard-3.db-wal", "shard-11.db", "other"):
        (scratch / name).touch()

    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert (await seen(pods)).scratch == {3, 11}

    async def stopped() -> bool:
        await pods.stop(POD.name)
        return not (await seen(pods)).running

    await until(stopped)
    again = await seen(build())
    assert (again.spec, again.running, again.scratch, again.problem) == (POD, False, {3, 11}, None)


async def test_removing_an_instance_that_left_files_says_so(build, pods_path, until):
    pods = build()
    await pods.apply(POD)
    (pods_path / "scratch" / POD.name / "shard-3.db").touch()

    with capture_logs() as logs:
        await until(lambda: gone(pods))

    assert [entry["shards"] for entry in logs if entry["event"].startswith("deleted what was kept")] == [1]
    assert not (pods_path / "scratch" / POD.name).exists()


async def test_a_restart_with_another_revision_is_recorded_and_a_running_process_is_left_alone(build, pods_path, until):
    pods = build()
    await pods.apply(POD)
    changed = replace(POD, revision="next")
    first = (await seen(pods)).pid
    await pods.apply(changed)
    assert (await seen(pods)).pid == first
    assert recorded(pods_path / "pods")[0][0] == POD

    ProcessIdentity.of(first).send(signal.SIGTERM)

    async def runs_anew() -> bool:
        pods._clock.advance(1)
        await pods.apply(changed)
        return (await seen(pods)).pid not in (first, None)

    await until(runs_anew)
    assert recorded(pods_path / "pods")[0][0] == changed
    await until(lambda: gone(pods))


async def test_what_is_started_after_a_change_of_the_secrets_gets_the_new_ones(build, pod_command, until, tmp_path):
    told = tmp_path / "told"
    program = f"import os; open({str(told)!r}, 'w').write(os.environ['SECRET'])"
    pods = build(pod_command(program, SECRET="old"))
    pods.command = pod_command(program, SECRET="new")
    await pods.apply(POD)
    await until(lambda: ended(pods))

    assert told.read_text() == "new"


WITH_A_WORKER = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: signal.pause()
signal.pause()
"""


async def test_a_pod_is_dead_only_when_its_workers_are(build, pod_command, clock, until):
    pods = build(pod_command(WITH_A_WORKER))
    await pods.apply(POD)
    first = ProcessIdentity.of((await seen(pods)).pid)

    async def has_a_worker() -> bool:
        return len(pods._instances[POD.name][0]._processes()) == 2

    await until(has_a_worker)
    first.send(signal.SIGKILL)

    async def leader_is_dead() -> bool:
        return not first.is_alive()

    await until(leader_is_dead)
    assert (await seen(pods)).running
    clock.advance(WORKERS_GRACE)
    await until(lambda: ended(pods))
    assert "SIGKILL" in (await seen(pods)).problem
