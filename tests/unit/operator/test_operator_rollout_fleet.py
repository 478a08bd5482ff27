"""Replacements of whole fleets under any history: a model of pods around the planner that runs in production.

Whatever is killed, told to stop, re-cut or restarted, and whenever: a session has one holder, only the first start
identifies, and in the end every shard is with the pod that the manifest wants.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway_operator.core.checkpoints import with_reports
from gateway_operator.core.plan import plan
from gateway_operator.core.world import GatewayInfo, InstanceSeen, InstanceSpec, Plan, ShardSet, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import Assignment, Checkpoint, Observed, ShardObserved

SHARDS = 6
INFO = GatewayInfo("wss://gateway.example/", SHARDS, 1000, 1000, 1e6, 1, 0.0)


@cache
def manifest(shards_per_pod: int) -> DiscordGateway:
    return load_manifest(
        yaml.safe_dump(
            {
                "apiVersion": "discordgateway.dev/v1alpha1",
                "kind": "DiscordGateway",
                "metadata": {"name": "mybot"},
                "spec": {
                    "tokenSecretRef": {"name": "mybot", "key": "token"},
                    "intents": ["Guilds"],
                    "sharding": {"shardsPerPod": shards_per_pod},
                    "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
                },
            }
        )
    )


@dataclass
class Pod:
    """An instance: what it holds is in its scratch as well, and outlives its process."""

    spec: InstanceSpec
    running: bool = False
    connected: bool = False
    stopping: bool = False
    holds: set[int] = field(default_factory=set)
    waits: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    assigned: Assignment | None = None
    observed: Observed | None = None

    def end(self) -> None:
        self.running = self.connected = self.stopping = False
        self.waits, self.released, self.assigned = set(), set(), None

    def report(self) -> None:
        if not self.connected or self.assigned is None:
            return
        states = [
            *((shard, "connected") for shard in self.holds),
            *((shard, "awaiting_transfer") for shard in self.waits),
            *((shard, "released") for shard in self.released),
        ]
        self.observed = Observed(
            pod=self.spec.pod.name,
            instance=self.spec.name,
            epoch=1,
            shard_count=SHARDS,
            http_address=f"{self.spec.name}:80",
            stopping=self.stopping,
            shards=tuple(
                ShardObserved(
                    shard_id=shard,
                    state=state,
                    checkpoint_remote=Checkpoint(
                        shard_id=shard, shard_count=SHARDS, session_id="s", seq=1, resume_gateway_url="wss://x"
                    )
                    if state == "connected"
                    else None,
                )
                for shard, state in states
            ),
        )


class Fleet(RuleBasedStateMachine):
    """Time passes only by `pass_`: the planner looks once and each pod does one step, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: dict[str, Pod] = {}
        self.active: ShardSet | None = None
        self.last_number = 0
        self.restarts = 0
        self.shards_per_pod = 3
        self.checkpoints: dict[tuple[int, int], Checkpoint] = {}
        self.identifies = 0
        self.planned: Plan | None = None

    # What the machine and the operator do.

    def world(self) -> World:
        instances = {
            name: InstanceSeen(
                spec=pod.spec,
                running=pod.running,
                connected=pod.connected and pod.observed is not None,
                observed=pod.observed,
                stopping=pod.running and pod.observed is not None and pod.observed.stopping,
                scratch=frozenset(pod.holds),
                told=pod.assigned.role if pod.connected and pod.assigned else None,
            )
            for name, pod in self.pods.items()
        }
        return World(
            info=INFO,
            active=self.active,
            instances=instances,
            checkpoints=self.checkpoints,
            restarts=self.restarts,
            last_number=self.last_number,
        )

    def operate(self) -> None:
        reports = [pod.observed for pod in self.pods.values() if pod.observed]
        self.checkpoints = dict(with_reports(self.checkpoints, reports))
        self.planned = plan(manifest(self.shards_per_pod), self.world(), 0.0)
        self.active, self.last_number = self.planned.active, self.planned.last_number
        for one in self.planned.instances:
            pod = self.pods.setdefault(one.spec.name, Pod(one.spec))
            if not pod.running:
                pod.spec, pod.running, pod.observed = one.spec, True, None
        for name in self.planned.remove:
            assert not self.pods[name].holds, f"{name} was removed and held a session"
            del self.pods[name]

    def step(self, pod: Pod) -> None:
        if not pod.running or pod.spec.name not in self.pods:
            return
        pod.connected = True
        assigned = self.planned.assignments.get(pod.spec.name)
        if assigned is None:
            return
        pod.assigned = assigned
        if assigned.role == "active" and not pod.stopping:
            self.take(pod, assigned)
        if pod.stopping and not pod.holds and not pod.waits:
            pod.end()
        if assigned.role != "active" or pod.stopping:
            pod.released |= pod.waits
            pod.waits = set()
        pod.report()

    def take(self, pod: Pod, assigned: Assignment) -> None:
        pod.released = set()
        for shard in pod.spec.pod.shards:
            if shard in pod.holds:
                continue
            pod.waits.add(shard)
            peers = [peer for peer in assigned.peers if peer.range.first_shard_id <= shard <= peer.range.last_shard_id]
            answers = [self.ask(peer.instance, shard) if peer.address else None for peer in peers]
            if not any(answers):
                if None in answers:
                    continue
                others = [other.spec.name for other in self.pods.values() if shard in other.holds]
                assert others == [], f"{pod.spec.name} begins shard {shard}, which {others} still holds"
                known = {checkpoint.shard_id for checkpoint in assigned.checkpoints}
                self.identifies += shard not in known
            pod.waits.discard(shard)
            pod.holds.add(shard)

    def ask(self, instance: str, shard: int) -> bool | None:
        """Whether the peer gave it; None if it does not answer."""
        peer = self.pods.get(instance)
        if peer is None or not peer.running or not peer.connected:
            return None
        if shard not in peer.holds:
            return False
        peer.holds.discard(shard)
        peer.released.add(shard)
        return True

    # What happens.

    @rule(order=st.randoms(use_true_random=False))
    def pass_(self, order: Any) -> None:
        self.operate()
        pods = list(self.pods.values())
        order.shuffle(pods)
        for pod in pods:
            self.step(pod)

    @rule(which=st.integers(0, 9))
    def kill(self, which: int) -> None:
        running = [pod for pod in self.pods.values() if pod.running]
        if running:
            running[which % len(running)].end()

    @rule(which=st.integers(0, 9))
    def tell_to_stop(self, which: int) -> None:
        running = [pod for pod in self.pods.values() if pod.running]
        if running:
            running[which % len(running)].stopping = True

    @rule()
    def lose_the_channel(self) -> None:
        for pod in self.pods.values():
            pod.connected = False

    @rule()
    def operator_begins_anew(self) -> None:
        for pod in self.pods.values():
            pod.connected, pod.observed = False, None

    @rule()
    def restart_is_asked_for(self) -> None:
        self.restarts += 1

    @rule(shards=st.integers(1, SHARDS))
    def recut(self, shards: int) -> None:
        self.shards_per_pod = shards

    @invariant()
    def a_session_has_one_holder(self) -> None:
        held = [shard for pod in self.pods.values() for shard in pod.holds]
        assert len(held) == len(set(held))

    @invariant()
    def nothing_identifies_but_once(self) -> None:
        assert self.identifies <= SHARDS

    def teardown(self) -> None:
        """Left in peace, it comes to rest as the manifest wants it."""
        for _ in range(40):
            self.operate()
            for pod in list(self.pods.values()):
                self.step(pod)
        assert {pod.spec.name for pod in self.pods.values()} == {one.spec.name for one in self.planned.instances}
        assert all(one.chosen and one.up_to_date and one.settled for one in self.planned.instances), self.planned
        assert sum(len(pod.holds) for pod in self.pods.values()) == SHARDS
        assert all(pod.holds == set(pod.spec.pod.shards) for pod in self.pods.values())


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
