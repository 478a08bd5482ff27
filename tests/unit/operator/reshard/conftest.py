"""A gateway that reshards: the planner and the lease book that run in production, around pods that only say things.

Time passes only by `pass_`. Pods are obedient: what they are told they do by the next pass, unless a test says what
they are to report instead.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import yaml

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.leases import Lease, LeaseBook, NoLease
from gateway_operator.core.plan import plan
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import (
    GatewayInfo,
    InstanceSeen,
    InstanceSpec,
    Plan,
    ReshardPhase,
    ShardSet,
    World,
)
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import (
    Assignment,
    Checkpoint,
    HandoverObserved,
    Observed,
    QueueObserved,
    ShardObserved,
    SinkObserved,
)

PASS = 0.5
"""Seconds from one pass to the next."""

LONG = 1e6


def manifest(**spec: Any) -> DiscordGateway:
    written = {
        "tokenSecretRef": {"name": "mybot", "key": "token"},
        "intents": ["Guilds"],
        "sharding": {"shardsPerPod": 2},
        "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
        **spec,
    }
    return load_manifest(
        yaml.safe_dump(
            {
                "apiVersion": "discordgateway.dev/v1alpha1",
                "kind": "DiscordGateway",
                "metadata": {"name": "mybot"},
                "spec": written,
            }
        )
    )


@dataclass
class Pod:
    """An instance. `says`, `shards` and `handover_state` stand in for what it would report by itself."""

    spec: InstanceSpec
    running: bool = True
    connected: bool = True
    obedient: bool = True
    stopping: bool = False
    told: Assignment | None = None
    state: str | None = None
    reason: str | None = None
    says: dict[str, Any] = field(default_factory=dict)
    shards: dict[int, dict[str, Any]] = field(default_factory=dict)

    def follow(self, assigned: Assignment | None, ask: Callable[..., Lease | NoLease]) -> None:
        """What an instance does between two passes."""
        if not self.running or not self.connected:
            return
        before, self.told = self.told, assigned
        handover = assigned.handover if assigned else None
        if handover is None:
            self.state = None
        elif self.obedient:
            if before is None or before.handover is None or before.handover.number != handover.number:
                self.state = None
            self.state = self._next(handover, ask)

    def _next(self, handover: Any, ask: Callable[..., Lease | NoLease]) -> str | None:
        giver = self.spec.pod.epoch == handover.from_epoch
        if handover.step == "rehearse":
            return None if giver else "rehearsed"
        if self.state == "lost":
            return "lost"
        if giver:
            return "fenced"
        live = self.state in ("live", "settled")
        if isinstance(ask(self, live=live), NoLease):
            return "expired" if live else "waiting"
        return "settled" if live else "live"

    def restart(self) -> None:
        """Its process is started again: of a handover that is on its way it knows nothing any more."""
        if self.told is not None and self.told.handover is not None and self.told.handover.step == "go":
            self.state = "lost"
        self.running = self.connected = True

    def seen(self) -> InstanceSeen:
        return InstanceSeen(
            spec=self.spec,
            running=self.running,
            connected=self.running and self.connected,
            observed=self._observed() if self.told is not None else None,
            stopping=self.running and self.stopping,
            scratch=frozenset(self.spec.pod.shards) if self.told is not None and not self._given() else frozenset(),
            told=self.told.role if self.told is not None else None,
        )

    def _given(self) -> bool:
        """Whether its successor has taken what it held."""
        return self.told is not None and self.told.role == "draining"

    def _observed(self) -> Observed:
        handover = self.told.handover
        said = None
        if handover is not None and self.state is not None:
            role = "giver" if self.spec.pod.epoch == handover.from_epoch else "taker"
            said = HandoverObserved(number=handover.number, role=role, state=self.state, reason=self.reason)
        state = "released" if self._given() else "connected"
        healthy = {"state": state, "all_guilds_loaded": True, "calm_for": LONG, "guilds": 100}
        return Observed.model_validate(
            {
                "pod": self.spec.pod.name,
                "instance": self.spec.name,
                "epoch": self.told.epoch,
                "shard_count": self.told.shard_count,
                "ready": True,
                "http_address": f"{self.spec.name}:80",
                "shards": tuple(
                    ShardObserved(shard_id=shard, **{**healthy, **self.shards.get(shard, {})})
                    for shard in self.spec.pod.shards
                ),
                "queue": QueueObserved(),
                "sink": SinkObserved(up=True),
                "watching_for": LONG,
                "handover": said,
                "voice": 0,
                "voice_to_rejoin": 0 if self.told.rejoin_voice else None,
                **self.says,
            }
        )


class Fleet:
    """One gateway with an active set that is settled; `reshard_to` asks for another one."""

    def __init__(self, shards: int = 4, **spec: Any) -> None:
        self.spec = spec
        self.shards = shards
        self.gateway = manifest(shards=shards, **spec)
        self.info: GatewayInfo | None = GatewayInfo("wss://gateway.example/", shards, 1000, 1000, LONG, 16, 0.0)
        self.remaining = 1000
        self.wall = 1_700_000_000.0
        self.now = 500.0
        self.active: ShardSet | None = None
        self.record = ReshardRecord()
        self.restarts = 0
        self.last_number = 0
        self.book = LeaseBook()
        self.pods: dict[str, Pod] = {}
        self.planned = Plan(active=None)
        self.born_with: dict[str, Any] = {}
        self.checkpoints: dict[tuple[int, int], Checkpoint] = {}
        self.phases: list[ReshardPhase | None] = []
        self.committed: list[tuple[int, int]] = []
        self.settle_down()

    # What tests ask for.

    def reshard_to(self, shards: int) -> None:
        self.change(shards=shards)

    def change(self, **spec: Any) -> None:
        """The manifest is changed in these fields."""
        self.shards = spec.pop("shards", self.shards)
        self.spec = {**self.spec, **spec}
        self.gateway = manifest(shards=self.shards, **self.spec)

    def follow_discord(self) -> None:
        """The manifest names no number any more."""
        spec = self.gateway.spec.model_copy(update={"shards": None})
        self.gateway = self.gateway.model_copy(update={"spec": spec})

    def request(self, **changes: Any) -> None:
        self.record = replace(self.record, request=replace(self.record.request, **changes))

    @property
    def reshard(self):
        return self.planned.reshard

    @property
    def phase(self) -> ReshardPhase | None:
        return self.reshard.phase if self.reshard else None

    @property
    def waiting_for(self) -> str | None:
        return self.planned.waiting_for

    def of_epoch(self, epoch: int) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.spec.pod.epoch == epoch]

    def until(self, condition: Callable[["Fleet"], bool], *, within: float = 600.0, every: float = PASS) -> None:
        """Pass after pass until it holds."""
        end = self.now + within
        while not condition(self):
            assert self.now < end, f"not within {within} s: {self.phase}, {self.waiting_for}"
            self.pass_(elapsed=every)

    def until_phase(self, phase: ReshardPhase | None) -> None:
        self.until(lambda fleet: fleet.phase is phase)

    def until_gone(self) -> None:
        """Until handover of a range is on its way."""
        self.until(lambda fleet: fleet.reshard is not None and fleet.reshard.fenced is not None)

    def settle_down(self) -> None:
        for _ in range(4):
            self.pass_()

    # The operator.

    def world(self) -> World:
        return World(
            info=self.info,
            active=self.active,
            instances={name: pod.seen() for name, pod in self.pods.items()},
            checkpoints=self.checkpoints,
            restarts=self.restarts,
            last_number=self.last_number,
            last_epoch=self.record.last_epoch,
            last_handover=self.record.last_handover,
            reshard=self.record.reshard,
            request=self.record.request,
            aborted=self.record.aborted,
            lease=self.book.view(),
            ledger=LedgerView(True, 1000, self.remaining, 100, LONG, 16, 0),
            wall_now=self.wall,
        )

    def pass_(self, elapsed: float = PASS) -> Plan:
        """The operator looks once, and then each pod does what it is told."""
        self.operate()
        for pod in list(self.pods.values()):
            pod.follow(self.planned.assignments.get(pod.spec.name), self.ask)
        self.now += elapsed
        self.wall += elapsed
        return self.planned

    def operate(self) -> Plan:
        world = self.world()
        self.planned = planned = plan(self.gateway, world, self.now)
        self._note(world, planned)
        self.active, self.last_number = planned.active, planned.last_number
        self.record = ReshardRecord(
            planned.reshard, planned.request, planned.last_epoch, planned.last_handover, planned.aborted
        )
        self._follow(planned)
        for spec in planned.to_run:
            if (pod := self.pods.get(spec.name)) is None:
                pod = self.pods[spec.name] = Pod(spec)
                pod.shards = {shard: self.born_with for shard in spec.pod.shards if self.born_with}
            pod.spec = spec
            if not pod.running:
                pod.restart()
        for name in planned.stop:
            self.pods[name].running = False
        for name in planned.remove:
            self.pods.pop(name, None)
        return planned

    def crash(self, away: float = 0.0) -> None:
        """The operator dies; the next one knows what was stored."""
        self.now += away
        self.wall += away
        self.book = LeaseBook()
        reshard = self.record.reshard
        if reshard is not None and reshard.fenced is not None:
            self.book.resume(reshard.fenced.number, lasts=reshard.windows.lease, now=self.now)

    def ask(self, pod: Pod, *, live: bool) -> Lease | NoLease:
        assert pod.told is not None
        assert pod.told.handover is not None
        number = pod.told.handover.number
        return self.book.ask(pod.spec.name, number, live=live, said=self._said, now=self.now)

    def _said(self, name: str) -> HandoverObserved | None:
        seen = self.pods[name].seen() if name in self.pods else None
        return seen.observed.handover if seen is not None and seen.connected and seen.observed else None

    def _follow(self, planned: Plan) -> None:
        reshard = planned.reshard
        fenced = reshard.fenced if reshard is not None else None
        self.book.follow(
            fenced.number if fenced is not None else None,
            givers=planned.givers,
            takers=planned.takers,
            lasts=reshard.windows.lease if reshard is not None else 0.0,
            closed=reshard is not None and reshard.giving_back is not None,
        )

    def _note(self, world: World, planned: Plan) -> None:
        phase = planned.reshard.phase if planned.reshard else None
        if not self.phases or self.phases[-1] is not phase:
            self.phases.append(phase)
        before = world.reshard.handed if world.reshard else ()
        after = planned.reshard.handed if planned.reshard else ()
        self.committed += [(cut.first_shard_id, cut.last_shard_id) for cut in after if cut not in before]


@pytest.fixture
def fleet() -> Fleet:
    """4 shards in 2 pods."""
    return Fleet()


@pytest.fixture(scope="session")
def fleet_of() -> type[Fleet]:
    """So many shards, and further settings of the manifest."""
    return Fleet
