"""The operator's loop while a reshard runs: what is stored before what, and what a person may ask in the middle."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from gateway_operator.control import PodHeard
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from gateway_operator.core.reshard_order import ReshardOrder
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import GatewayInfo, InstanceSpec, PodSpec, Reshard, ReshardPhase, ShardSet
from gateway_operator.local.pods import PodProcess
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.model import load_manifest
from gateway_operator.operator import Operator
from shardpod.contract import (
    Assignment,
    Checkpoint,
    Handover,
    HandoverObserved,
    Observed,
    ShardObserved,
    ShardRange,
    SinkObserved,
)

MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  shards: 4
  sharding: {shardsPerPod: 2}
  delivery: {sink: {http: {url: "http://bot.example/"}}}
"""
START = 1000.0
FIRST, SECOND = ShardRange(first_shard_id=0, last_shard_id=1), ShardRange(first_shard_id=2, last_shard_id=3)
OLD, NEW = ShardSet(1, 2, (FIRST,)), ShardSet(2, 4, (FIRST, SECOND))
GOING = Handover(number=5, range=FIRST, from_epoch=1, to_epoch=2, step="go")
RESHARD = Reshard(
    pending=NEW,
    phase=ReshardPhase.HANDING_OVER,
    reason="spec.shards is 4",
    started_at=1.0,
    progressed_at=1.0,
    handover=GOING,
    last_handover=5,
)

pytestmark = pytest.mark.looptime(start=START)


class Surroundings:
    """Pods that are there already, Discord, and the channel."""

    info = GatewayInfo("wss://gateway.example", 2, 1000, 1000, 2e5, 1, START)
    problem = None

    def __init__(self) -> None:
        self.processes: dict[str, PodProcess] = {}
        self.heard: dict[str, PodHeard] = {}
        self.assigned: Mapping[str, Assignment] = {}

    def add(self, shard_set: ShardSet, held: ShardRange, number: int, *, state: str | None, seq: int = 1) -> str:
        name = f"mybot-e{shard_set.epoch}-{held.first_shard_id}-{held.last_shard_id}"
        spec = InstanceSpec(PodSpec(name, shard_set.epoch, held), number, "any")
        role = "giver" if shard_set.epoch == 1 else "taker"
        report = Observed(
            pod=name,
            instance=spec.name,
            epoch=shard_set.epoch,
            shard_count=shard_set.shard_count,
            sink=SinkObserved(up=True),
            http_address="127.0.0.1:1",
            handover=state and HandoverObserved(number=5, role=role, state=state),
            shards=tuple(
                ShardObserved(
                    shard_id=shard,
                    state="connected",
                    checkpoint_remote=Checkpoint(
                        shard_id=shard,
                        shard_count=shard_set.shard_count,
                        session_id="s",
                        seq=seq,
                        resume_gateway_url="wss://resume.example",
                    ),
                )
                for shard in spec.pod.shards
            ),
        )
        self.processes[spec.name] = PodProcess(spec=spec, running=True, pid=1, problem=None, started_at=START)
        self.heard[spec.name] = PodHeard(connected=True, observed=report, heard_at=START, told="active")
        return spec.name

    async def observe(self) -> Mapping[str, PodProcess]:
        return dict(self.processes)

    async def apply(self, spec: InstanceSpec) -> None: ...

    async def stop(self, name: str) -> None: ...

    async def remove(self, name: str) -> None: ...

    def pods(self) -> Mapping[str, PodHeard]:
        return self.heard

    def assign(self, assignments: Mapping[str, Assignment]) -> None:
        self.assigned = assignments


class NotedDirectory(StateDirectory):
    """Notes in which order things were stored; `full` names what cannot be."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.noted: list[str] = []
        self.full: str | None = None

    def _note(self, what: str) -> None:
        if what == self.full:
            raise OSError("no space left")
        self.noted.append(what)

    def remember_checkpoints(self, checkpoints) -> None:
        self._note("sessions")
        super().remember_checkpoints(checkpoints)

    def remember_reshard(self, record: ReshardRecord) -> None:
        self._note("reshard")
        super().remember_reshard(record)

    def remember_shard_set(self, active: ShardSet) -> None:
        self._note("shard set")
        super().remember_shard_set(active)


@pytest.fixture
def around() -> Surroundings:
    around = Surroundings()
    around.add(OLD, FIRST, 1, state="fenced")
    around.add(NEW, FIRST, 2, state="settled", seq=70)
    around.add(NEW, SECOND, 3, state=None)
    return around


@pytest.fixture
def directory(state_path) -> NotedDirectory:
    directory = NotedDirectory(state_path / "mybot")
    directory.prepare()
    directory.remember_shard_set(OLD)
    directory.remember_reshard(ReshardRecord(reshard=RESHARD, last_epoch=2, last_handover=5))
    directory.noted.clear()
    return directory


@pytest.fixture
async def operator(around, directory) -> Operator:
    return Operator(
        load_manifest(MANIFEST),
        secrets_digest="digest",
        discord=around,
        pods=around,
        control=around,
        ledger=IdentifyLedger(started_at=START),
        leases=LeaseBook(),
        memory=directory,
        changed=asyncio.Event(),
        clock=asyncio.get_running_loop().time,
        calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_a_commit_stores_the_sessions_before_it_is_stored_itself(operator, around, directory):
    operator._store_due = START + 1e6
    operator._stored_checkpoints = operator._checkpoints = {
        (shard, shard_count): Checkpoint(
            shard_id=shard, shard_count=shard_count, session_id="s", seq=1, resume_gateway_url="wss://resume.example"
        )
        for shard_count in (2, 4)
        for shard in range(shard_count)
    }
    await operator.reconcile()

    assert directory.noted == ["sessions", "reshard"]
    assert directory.remembered_reshard().reshard.handed == (FIRST,)
    assert directory.remembered_checkpoints()[0, 4].seq == 70
    assert {one.ownership.handed for one in around.assigned.values()} == {(FIRST,)}
    assert all(one.handover is None for one in around.assigned.values())


@pytest.mark.parametrize("full", ["sessions", "reshard"])
async def test_what_cannot_be_stored_is_not_committed(operator, around, directory, full):
    directory.full = full
    with pytest.raises(OSError, match="no space left"):
        await operator.reconcile()

    assert around.assigned == {}
    assert directory.remembered_reshard().reshard.handover == GOING

    directory.full = None
    await operator.reconcile()
    assert directory.remembered_reshard().reshard.handed == (FIRST,)


async def test_a_handover_that_goes_on_is_told_to_those_concerned(operator, around):
    around.heard["mybot-e2-0-1.2"] = around.heard["mybot-e2-2-3.3"]
    await operator.reconcile()

    assert {name for name, one in around.assigned.items() if one.handover == GOING} == {
        "mybot-e1-0-1.1",
        "mybot-e2-0-1.2",
    }


async def test_an_order_is_stored_at_once_and_wakes_the_loop(operator, directory):
    await operator.reconcile()
    operator._changed.clear()
    answer = operator.take(ReshardOrder(pause=True))

    assert answer.problems == ()
    assert directory.remembered_reshard().request.paused
    assert operator._changed.is_set()
    await operator.reconcile()
    assert directory.remembered_reshard().request.paused


async def test_an_order_that_cannot_be_followed_changes_nothing(operator, directory):
    await operator.reconcile()
    before = directory.remembered_reshard()
    answer = operator.take(ReshardOrder())

    assert answer.problems
    assert directory.remembered_reshard() == before


async def test_a_preview_knows_what_has_been_seen(operator):
    await operator.reconcile()

    assert operator.preview(9).shards == 2


async def test_sessions_of_a_shard_set_that_is_over_are_forgotten(operator, directory):
    directory.remember_reshard(ReshardRecord())
    operator._resharding.record = ReshardRecord()
    await operator.reconcile()

    assert {shard_count for _shard, shard_count in operator._checkpoints} == {2}
