"""The operator's loop around the planner.

This file is longer than 400 lines: its tests share the surroundings built at the top.
"""

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from gateway_operator.control import PodHeard
from gateway_operator.core.checkpoints import Checkpoints
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.status_model import Phase
from gateway_operator.core.world import GatewayInfo, InstanceSpec, PodSpec, ShardSet
from gateway_operator.local.pods import PodProcess
from gateway_operator.model import load_manifest
from gateway_operator.operator import CALM, RESYNC, TELLING, Operator
from shardpod.contract import Assignment, Checkpoint, Observed, ShardObserved, ShardRange

MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  shards: 3
  sharding: {shardsPerPod: 2}
  delivery: {sink: {http: {url: "http://bot.example/"}}}
"""
FIRST, SECOND = "mybot-e1-0-1.1", "mybot-e1-2-2.2"
START = 1000.0

pytestmark = pytest.mark.looptime(start=START)


class Surroundings:
    """Everything the operator touches, in memory; `done` notes in order what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.info: GatewayInfo | None = GatewayInfo("wss://gateway.example", 9, 1000, 1000, 2e5, 1, START)
        self.problem: str | None = None
        self.processes: dict[str, PodProcess] = {}
        self.heard: dict[str, PodHeard] = {}
        self.assigned: Mapping[str, Assignment] = {}
        self.remembered: ShardSet | None = None
        self.sessions: Checkpoints = {}
        self.record = ReshardRecord()
        self.counters = {"number": 0, "restarts": 0}
        self.broken = False

    async def observe(self) -> Mapping[str, PodProcess]:
        if self.broken:
            raise OSError("the machine is ill")
        self.done.append("observe")
        return dict(self.processes)

    async def apply(self, spec: InstanceSpec) -> None:
        self.done.append(f"apply {spec.name}")
        self.processes[spec.name] = PodProcess(spec=spec, running=True, pid=1, problem=None, started_at=START)

    async def stop(self, name: str) -> None:
        self.done.append(f"stop {name}")
        self.processes[name] = replace(self.processes[name], running=False, pid=None)

    async def remove(self, name: str) -> None:
        self.done.append(f"remove {name}")
        self.processes.pop(name, None)

    def pods(self) -> Mapping[str, PodHeard]:
        return self.heard

    def assign(self, assignments: Mapping[str, Assignment]) -> None:
        self.done.append("assign")
        self.assigned = assignments

    def remembered_shard_set(self) -> ShardSet | None:
        return self.remembered

    def remember_shard_set(self, active: ShardSet) -> None:
        self.done.append("remember")
        self.remembered = active

    def remembered_checkpoints(self) -> Checkpoints:
        return self.sessions

    def remember_checkpoints(self, checkpoints: Checkpoints) -> None:
        self.done.append("store")
        self.sessions = checkpoints

    def remembered_reshard(self) -> ReshardRecord:
        return self.record

    def remember_reshard(self, record: ReshardRecord) -> None:
        self.done.append("note")
        self.record = record

    async def flush(self) -> None:
        self.done.append("flush")

    def last_number(self) -> int:
        return self.counters["number"]

    def remember_last_number(self, number: int) -> None:
        self.done.append("count")
        self.counters["number"] = number

    def restarts(self) -> int:
        return self.counters["restarts"]

    def remember_restarts(self, restarts: int) -> None:
        self.counters["restarts"] = restarts

    def passes(self) -> int:
        return self.done.count("observe")


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def changed() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def build(around, changed):
    def build() -> Operator:
        return Operator(
            load_manifest(MANIFEST),
            secrets_digest="digest",
            discord=around,
            pods=around,
            control=around,
            ledger=IdentifyLedger(started_at=START),
            leases=LeaseBook(),
            memory=around,
            changed=changed,
            clock=asyncio.get_running_loop().time,
            calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )

    return build


@pytest.fixture
async def operator(build) -> Operator:
    return build()


@asynccontextmanager
async def running(operator: Operator):
    task = asyncio.create_task(operator.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def connected(instance: str, *shards: int, session: str | None = None, seq: int = 1, **changes) -> PodHeard:
    def checkpoint(shard: int) -> Checkpoint | None:
        return session and Checkpoint(
            shard_id=shard, shard_count=3, session_id=session, seq=seq, resume_gateway_url="wss://resume.example"
        )

    observed = Observed(
        pod=instance.rpartition(".")[0],
        instance=instance,
        epoch=1,
        shard_count=3,
        ready=True,
        shards=tuple(
            ShardObserved(shard_id=shard, state="connected", guilds=5, checkpoint_remote=checkpoint(shard))
            for shard in shards
        ),
        **changes,
    )
    return PodHeard(connected=True, observed=observed, heard_at=asyncio.get_running_loop().time())


async def test_a_pass_remembers_the_shard_set_before_it_starts_pods_and_then_assigns(operator, around):
    await operator.reconcile()

    stored = ["remember", "count", "note", "flush"]
    assert around.done == ["observe", *stored, f"apply {FIRST}", f"apply {SECOND}", "assign"]
    assert around.remembered.shard_count == 3
    assert set(around.assigned) == {FIRST, SECOND}


async def test_what_is_remembered_is_not_stored_again(operator, around):
    await operator.reconcile()
    await operator.reconcile()

    assert (around.done.count("remember"), around.done.count("count")) == (1, 1)


async def test_if_the_shard_set_cannot_be_remembered_no_pod_is_started(operator, around, monkeypatch):
    def full(active: ShardSet) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(around, "remember_shard_set", full)
    with pytest.raises(OSError, match="no space left"):
        await operator.reconcile()

    assert around.processes == {}


async def test_nothing_is_done_and_nobody_is_told_while_the_memory_cannot_be_written(operator, around, monkeypatch):
    async def full() -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(around, "flush", full)
    with pytest.raises(OSError, match="the store is away"):
        await operator.reconcile()

    assert around.processes == {}
    assert around.assigned == {}


async def test_a_pod_that_somebody_else_ends_gets_its_successor_before_it_says_so_itself(operator, around):
    await operator.reconcile()
    around.processes[FIRST] = replace(around.processes[FIRST], ending=True)
    await operator.reconcile()

    assert set(around.processes) == {FIRST, SECOND, "mybot-e1-0-1.3"}


async def test_the_shard_set_of_the_operator_before_goes_on(build, around):
    held = ShardRange(first_shard_id=0, last_shard_id=1)
    around.remembered = ShardSet(epoch=7, shard_count=3, ranges=(held,))
    left = InstanceSpec(PodSpec("mybot-e7-0-1", 7, held), 40, "old")
    around.processes[left.name] = PodProcess(
        spec=left, running=False, problem=None, scratch=frozenset({0}), started_at=START
    )
    await build().reconcile()

    assert set(around.processes) == {"mybot-e7-0-1.40", "mybot-e7-2-2.41"}


async def test_without_discords_answer_nothing_is_started(operator, around):
    around.info, around.problem = None, "no answer"
    await operator.reconcile()

    assert around.processes == {}
    assert "no answer" in operator.status.condition("Degraded").message


async def test_an_instance_that_is_not_planned_and_holds_nothing_is_removed_after_the_others_were_told(
    operator, around
):
    stray = InstanceSpec(PodSpec("mybot-e0-0-9", 0, ShardRange(first_shard_id=0, last_shard_id=9)), 1, "old")
    around.processes[stray.name] = PodProcess(spec=stray, running=True, pid=2, problem=None, started_at=START)
    await operator.reconcile()

    assert around.done[-2:] == ["assign", "remove mybot-e0-0-9.1"]


async def test_the_status_tells_how_the_pods_are(operator, around):
    await operator.reconcile()
    assert operator.status.phase is Phase.CONNECTING

    around.heard = {FIRST: connected(FIRST, 0, 1), SECOND: connected(SECOND, 2)}
    await operator.reconcile()

    assert operator.status.phase is Phase.RUNNING
    assert (operator.status.ready_shards, operator.status.guilds) == (3, 15)


async def test_the_problem_of_a_pod_that_ended_holds_its_last_words(operator, around):
    await operator.reconcile()
    said = Observed(pod="mybot-e1-0-1", instance=FIRST, why_not_ready="out of luck")
    around.heard = {FIRST: PodHeard(connected=False, observed=said, heard_at=START)}
    around.processes[FIRST] = replace(around.processes[FIRST], running=False, problem="ended with exit code 7")
    await operator.reconcile()

    assert "ended with exit code 7; it last said: out of luck" in operator.status.condition("Degraded").message


async def test_permits_follow_from_discords_answer(operator, around):
    assert not operator._ledger.view(START).known

    await operator.reconcile()

    view = operator._ledger.view(START)
    assert (view.total, view.remaining, view.reserve) == (1000, 1000, 100)


async def test_without_events_it_looks_again_each_resync_period(operator, around):
    async with running(operator):
        await asyncio.sleep(10 * (RESYNC + CALM) + CALM)

    assert around.passes() == 11


async def test_an_event_wakes_it_at_once(operator, around, changed):
    async with running(operator):
        await asyncio.sleep(CALM * 2)
        assert around.passes() == 1
        changed.set()
        await asyncio.sleep(CALM / 2)
        assert around.passes() == 2


async def test_many_events_are_one_reason_to_look(operator, around, changed):
    async with running(operator):
        for _ in range(1000):
            changed.set()
            await asyncio.sleep(0.001)

    assert around.passes() <= 1.0 / CALM + 1


async def test_a_pass_that_fails_is_tried_again(operator, around):
    around.broken = True
    async with running(operator):
        await asyncio.sleep(3 * RESYNC)
        assert around.processes == {}
        around.broken = False
        await asyncio.sleep(2 * RESYNC)

    assert set(around.processes) == {FIRST, SECOND}


async def test_stopping_waits_until_all_have_ended_and_keeps_what_they_hold(operator, around, monkeypatch):
    await operator.reconcile()
    asked = []
    stop = around.stop

    async def slow_stop(name: str) -> None:
        asked.append(name)
        if asked.count(name) == 3:
            await stop(name)

    monkeypatch.setattr(around, "stop", slow_stop)
    await operator.stop_pods()

    assert {name: process.running for name, process in around.processes.items()} == {FIRST: False, SECOND: False}
    assert asked.count(FIRST) == asked.count(SECOND) == 3
    assert around.remembered is not None


async def test_pods_are_told_that_all_ends_before_they_are_told_to_stop(operator, around, changed):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1)}
    stopping = asyncio.create_task(operator.stop_pods())
    await asyncio.sleep(CALM)

    assert {assigned.role for assigned in around.assigned.values()} == {"ending"}
    assert f"stop {FIRST}" not in around.done

    around.heard = {FIRST: replace(around.heard[FIRST], told="ending")}
    changed.set()
    await stopping
    assert f"stop {FIRST}" in around.done


async def test_a_pod_that_does_not_listen_does_not_hold_up_the_end(operator, around):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1)}

    async with asyncio.timeout(TELLING + 1):
        await operator.stop_pods()

    assert f"stop {FIRST}" in around.done


# Sessions.


async def test_another_session_is_stored_at_once_and_what_it_settled_seldom(operator, around):
    async with running(operator):
        await asyncio.sleep(CALM)
        around.heard = {FIRST: connected(FIRST, 0, session="a")}
        await asyncio.sleep(2 * RESYNC)
        assert around.done.count("store") == 1

        for seq in range(2, 52):
            around.heard = {FIRST: connected(FIRST, 0, session="a", seq=seq)}
            await asyncio.sleep(1.0)
        assert 9 <= around.done.count("store") - 1 <= 11

        around.heard = {FIRST: connected(FIRST, 0, session="b")}
        await asyncio.sleep(2 * RESYNC)

    assert around.sessions[0, 3].session_id == "b"


async def test_sessions_that_cannot_be_stored_do_not_stop_the_operator(operator, around, monkeypatch):
    def full(checkpoints: Checkpoints) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(around, "remember_checkpoints", full)
    around.heard = {FIRST: connected(FIRST, 0, session="a")}
    with capture_logs() as logs:
        await operator.reconcile()

    assert set(around.processes) == {FIRST, SECOND}
    assert "no space left" in str(logs)


async def test_the_last_words_of_pods_are_stored_at_the_end(operator, around):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, session="a", seq=9)}
    await operator.reconcile()
    around.heard = {FIRST: replace(connected(FIRST, 0, session="a", seq=12), connected=False)}
    await operator.stop_pods()

    assert around.sessions[0, 3].seq == 12


async def test_the_words_of_the_process_before_say_nothing_of_the_one_that_runs(operator, around):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1, stopping=True)}
    await asyncio.sleep(1)
    around.processes[FIRST] = replace(
        around.processes[FIRST], started_at=asyncio.get_running_loop().time(), problem=None
    )
    await operator.reconcile()

    assert set(around.processes) == {FIRST, SECOND}
    assert operator.full_status().shard_rows[0].state == "unknown"


# Restarts.


async def test_a_restart_replaces_one_pod_after_the_other(operator, around):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1), SECOND: connected(SECOND, 2)}
    await operator.reconcile()

    number = operator.restart(load_manifest(MANIFEST), secrets_digest="digest", replace_all=True)
    await operator.reconcile()

    assert number == around.counters["restarts"] == 1
    assert set(around.processes) == {FIRST, SECOND, "mybot-e1-0-1.3"}
    assert around.assigned[FIRST].role == "draining"


@pytest.mark.parametrize(("digest", "replaced"), [("digest", False), ("another", True)])
async def test_only_what_has_changed_is_replaced_if_that_is_asked_for(operator, around, digest, replaced):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1), SECOND: connected(SECOND, 2)}
    await operator.reconcile()

    operator.restart(load_manifest(MANIFEST), secrets_digest=digest, replace_all=False)
    await operator.reconcile()

    assert around.counters["restarts"] == 0
    assert ("mybot-e1-0-1.3" in around.processes) is replaced


# Suspending.


async def test_a_suspended_gateways_pods_hear_it_then_end_and_are_kept_and_start_again_after_it(operator, around):
    await operator.reconcile()
    around.heard = {FIRST: connected(FIRST, 0, 1), SECOND: connected(SECOND, 2)}
    suspended = load_manifest(MANIFEST + "  suspend: true\n")
    operator.restart(suspended, secrets_digest="digest", replace_all=False)
    await operator.reconcile()
    assert {one.role for one in around.assigned.values()} == {"ending"}
    assert all(process.running for process in around.processes.values())

    around.heard = {name: replace(heard, told="ending") for name, heard in around.heard.items()}
    await operator.reconcile()
    await operator.reconcile()
    assert {name: process.running for name, process in around.processes.items()} == {FIRST: False, SECOND: False}
    assert operator.status.phase is Phase.SUSPENDED

    operator.restart(load_manifest(MANIFEST), secrets_digest="digest", replace_all=False)
    await operator.reconcile()
    assert {name: process.running for name, process in around.processes.items()} == {FIRST: True, SECOND: True}
