import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from gateway_operator.control import PodHeard
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.status_model import Phase
from gateway_operator.core.world import GatewayInfo, PodSpec, ShardSet
from gateway_operator.local.pods import PodProcess
from gateway_operator.model import load_manifest
from gateway_operator.operator import CALM, RESYNC, Operator
from shardpod.contract import Assignment, Observed, ShardObserved, ShardRange

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
FIRST, SECOND = "mybot-e1-0-1", "mybot-e1-2-2"
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
        self.broken = False

    async def observe(self) -> Mapping[str, PodProcess]:
        if self.broken:
            raise OSError("the machine is ill")
        self.done.append("observe")
        return dict(self.processes)

    async def apply(self, spec: PodSpec) -> None:
        self.done.append(f"apply {spec.name}")
        self.processes[spec.name] = PodProcess(running=True, pid=1, problem=None)

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
            discord=around,
            pods=around,
            control=around,
            ledger=IdentifyLedger(started_at=START),
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


def connected(pod: str, *shards: int) -> PodHeard:
    observed = Observed(
        pod=pod,
        epoch=1,
        shard_count=3,
        ready=True,
        shards=tuple(ShardObserved(shard_id=shard, state="connected", guilds=5) for shard in shards),
    )
    return PodHeard(connected=True, observed=observed, heard_at=START)


async def test_a_pass_remembers_the_shard_set_before_it_starts_pods_and_then_assigns(operator, around):
    await operator.reconcile()

    assert around.done == ["observe", "remember", f"apply {FIRST}", f"apply {SECOND}", "assign"]
    assert around.remembered.shard_count == 3
    assert set(around.assigned) == {FIRST, SECOND}


async def test_what_is_remembered_is_not_stored_again(operator, around):
    await operator.reconcile()
    await operator.reconcile()

    assert around.done.count("remember") == 1


async def test_if_the_shard_set_cannot_be_remembered_no_pod_is_started(operator, around, monkeypatch):
    def full(active: ShardSet) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(around, "remember_shard_set", full)
    with pytest.raises(OSError, match="no space left"):
        await operator.reconcile()

    assert around.processes == {}


async def test_the_shard_set_of_the_operator_before_goes_on(build, around):
    around.remembered = ShardSet(epoch=7, shard_count=2, ranges=(ShardRange(first_shard_id=0, last_shard_id=1),))
    await build().reconcile()

    assert set(around.processes) == {"mybot-e7-0-1"}


async def test_without_discords_answer_nothing_is_started(operator, around):
    around.info, around.problem = None, "no answer"
    await operator.reconcile()

    assert around.processes == {}
    assert "no answer" in operator.status.condition("Degraded").message


async def test_a_pod_that_is_not_planned_is_removed(operator, around):
    around.processes["mybot-e0-0-9"] = PodProcess(running=True, pid=2, problem=None)
    await operator.reconcile()

    assert "remove mybot-e0-0-9" in around.done


async def test_the_status_tells_how_the_pods_are(operator, around):
    await operator.reconcile()
    assert operator.status.phase is Phase.CONNECTING

    around.heard = {FIRST: connected(FIRST, 0, 1), SECOND: connected(SECOND, 2)}
    await operator.reconcile()

    assert operator.status.phase is Phase.RUNNING
    assert (operator.status.ready_shards, operator.status.guilds) == (3, 15)


async def test_the_problem_of_a_pod_that_ended_holds_its_last_words(operator, around):
    await operator.reconcile()
    said = Observed(pod=FIRST, why_not_ready="out of luck")
    around.heard = {FIRST: PodHeard(connected=False, observed=said, heard_at=START)}
    around.processes[FIRST] = PodProcess(running=False, pid=None, problem="ended with exit code 7")
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


async def test_stopping_removes_every_pod_and_waits_until_all_are_gone(operator, around, monkeypatch):
    await operator.reconcile()
    asked = []

    async def slow_remove(name: str) -> None:
        asked.append(name)
        if asked.count(name) == 3:
            del around.processes[name]

    monkeypatch.setattr(around, "remove", slow_remove)
    await operator.stop_pods()

    assert around.processes == {}
    assert asked.count(FIRST) == asked.count(SECOND) == 3
