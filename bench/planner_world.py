"""Worlds as large as the largest gateway's, for planner.py: what the adapters would have gathered, and no more."""

from dataclasses import dataclass

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.layout import pods_of, wanted_ranges
from gateway_operator.core.plan import plan
from gateway_operator.core.revision import revision
from gateway_operator.core.world import (
    GatewayInfo,
    InstanceSeen,
    InstanceSpec,
    LeaseView,
    Plan,
    PodSpec,
    Reshard,
    ReshardPhase,
    ReshardRequest,
    ShardSet,
    World,
)
from gateway_operator.model import DiscordGateway, load_manifest
from machine import manifest
from shardpod.contract import Checkpoint, Handover, HandoverObserved, Observed, ShardObserved, SinkObserved

SHARDS_A_POD = 16
SHARDS, PODS = 16_000, 1_000
NOW, WALL = 10_000.0, 1_800_000_000.0
LONG_AGO = 600.0
LEDGER = LedgerView(
    known=True, total=60_000, remaining=40_000, reserve=100, reset_at=NOW + 1e4, max_concurrency=16, waiting=0
)


@dataclass(frozen=True)
class Case:
    """A world to plan in. `old`, `new`: shards of the two sets, 0 for no reshard; `in_goal`: it has as many as that."""

    title: str
    old: int
    new: int = 0
    phase: ReshardPhase = ReshardPhase.HANDING_OVER
    step: str | None = None
    in_goal: bool = True


CASES = (
    Case("no reshard", SHARDS),
    Case("4,000 → 12,000, warming", 4_000, 12_000, ReshardPhase.WARMING),
    Case("4,000 → 12,000, a range compared", 4_000, 12_000, step="rehearse"),
    Case("4,000 → 12,000, a range on its way", 4_000, 12_000, step="go"),
    Case("16,000 → 32,000, a range compared", 16_000, 32_000, step="rehearse", in_goal=False),
    Case("16,000 → 32,000, a range on its way", 16_000, 32_000, step="go", in_goal=False),
)


class Scenery:
    """All that a pass may know, half way through a reshard where there is one."""

    def __init__(self, case: Case) -> None:
        text = manifest(shards=case.old, pods=case.old // SHARDS_A_POD, url="http://bot:8080/")
        self.gateway: DiscordGateway = load_manifest(text)
        spec = self.gateway.spec
        self._revision = revision(spec, secrets_digest="", restarts=0)
        self.active = ShardSet(1, case.old, wanted_ranges(spec, case.old))
        self.reshard = self._reshard(case) if case.new else None
        sets = [self.active, *([self.reshard.pending] if self.reshard else [])]
        pods = [(pod, one.shard_count) for one in sets for pod in pods_of("bench", one)]
        seen = [self._instance(pod, shard_count, number) for number, (pod, shard_count) in enumerate(pods, start=1)]
        self.world = World(
            info=GatewayInfo("wss://gateway.discord.gg/", case.old, 60_000, 40_000, NOW + 1e4, 16, NOW - 10),
            active=self.active,
            instances={one.spec.name: one for one in seen},
            checkpoints={
                (shard.shard_id, shard_count): shard.checkpoint_remote
                for one, (_, shard_count) in zip(seen, pods, strict=True)
                if one.observed is not None
                for shard in one.observed.shards
                if shard.checkpoint_remote is not None
            },
            last_number=len(seen),
            last_epoch=2,
            last_handover=1,
            reshard=self.reshard,
            request=ReshardRequest(to=case.new, manifest_shards=case.old) if case.new else ReshardRequest(),
            lease=LeaseView(until=NOW + 3, since=NOW - 1, opened=True) if case.step == "go" else LeaseView(),
            ledger=LEDGER,
            wall_now=WALL,
        )

    def plan(self) -> Plan:
        return plan(self.gateway, self.world, NOW)

    def _reshard(self, case: Case) -> Reshard:
        cuts = wanted_ranges(self.gateway.spec, case.new)
        half = len(cuts) // 2 if case.phase is ReshardPhase.HANDING_OVER else 0
        handover = (
            Handover.model_validate(
                {"number": 1, "range": cuts[half], "from_epoch": 1, "to_epoch": 2, "step": case.step}
            )
            if case.step
            else None
        )
        return Reshard(
            pending=ShardSet(2, case.new, cuts),
            phase=case.phase,
            reason=f"{case.new} shards were asked for by the command",
            started_at=WALL - LONG_AGO,
            progressed_at=WALL - 10,
            handed=cuts[:half],
            handover=handover,
            last_handover=1,
            went_at=WALL - 2,
            connected=case.new,
        )

    def _instance(self, pod: PodSpec, shard_count: int, number: int) -> InstanceSeen:
        spec = InstanceSpec(pod, number, self._revision)
        observed = Observed(
            pod=pod.name,
            instance=spec.name,
            term=1,
            n=number,
            epoch=pod.epoch,
            shard_count=shard_count,
            range=pod.range,
            ready=True,
            http_address=f"10.0.{number // 250}.{number % 250}:8080",
            shards=tuple(_shard(shard_id, shard_count) for shard_id in pod.shards),
            sink=SinkObserved(up=True),
            handover=self._said(pod),
            watching_for=LONG_AGO if self.reshard else None,
        )
        return InstanceSeen(spec, running=True, connected=True, observed=observed, told="active")

    def _said(self, pod: PodSpec) -> HandoverObserved | None:
        handover = self.reshard.handover if self.reshard else None
        if handover is None:
            return None
        if pod.epoch == handover.from_epoch:
            return HandoverObserved(number=1, role="giver", state="fenced") if handover.step == "go" else None
        return HandoverObserved(number=1, role="taker", state="live" if handover.step == "go" else "rehearsed")


def _shard(shard_id: int, shard_count: int) -> ShardObserved:
    checkpoint = Checkpoint(
        shard_id=shard_id,
        shard_count=shard_count,
        session_id=f"{shard_count:08x}{shard_id:08x}",
        seq=100_000 + shard_id,
        resume_gateway_url="wss://gateway-us-east1-b.discord.gg",
        guilds=1_000,
    )
    return ShardObserved(
        shard_id=shard_id,
        state="connected",
        guilds=1_000,
        all_guilds_loaded=True,
        latency=0.04,
        session_id=checkpoint.session_id,
        seq=checkpoint.seq,
        acknowledged_seq=checkpoint.seq,
        checkpoint_local=checkpoint,
        checkpoint_remote=checkpoint,
        calm_for=LONG_AGO,
    )
