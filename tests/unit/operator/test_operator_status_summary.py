"""The summary of every pass counts without rows what the rows would add up to."""

import gc
from datetime import UTC, datetime
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_operator.core.digest import digest
from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.status import status, with_rows
from gateway_operator.core.world import InstanceSeen, InstanceSpec, Plan, PlannedInstance, PodSpec, ShardSet, World
from gateway_operator.model import load_manifest
from shardpod.contract import Observed, ShardObserved, ShardRange

MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  delivery: {sink: {http: {url: "http://bot:8080/"}}}
"""
GATEWAY = load_manifest(MANIFEST)
LEDGER = LedgerView(True, 1000, 990, 100, 5e3, 1, 0)
RANGES = tuple(ShardRange(first_shard_id=first, last_shard_id=first + 1) for first in (0, 2, 4))
ACTIVE = ShardSet(1, 6, RANGES)
PODS = tuple(PodSpec(f"mybot-e1-{cut.first_shard_id}-{cut.last_shard_id}", 1, cut) for cut in RANGES)

states = st.sampled_from(["connected", "resuming", "released", "awaiting_transfer", "refused", "disconnected"])
shards = st.lists(st.tuples(st.integers(0, 7), states, st.integers(0, 3)), max_size=4, unique_by=lambda shard: shard[0])
instances = st.lists(
    st.tuples(st.sampled_from(PODS), shards, st.booleans(), st.booleans(), st.sampled_from([1, 1, 1, 2])), max_size=6
)


def build(pod: PodSpec, number: int, said: list[tuple[int, str, int]], epoch: int, *, connected: bool) -> InstanceSeen:
    reported = tuple(ShardObserved(shard_id=one, state=state, guilds=guilds) for one, state, guilds in said)
    observed = Observed(pod=pod.name, epoch=epoch, shards=reported, dead_letters=number)
    return InstanceSeen(InstanceSpec(pod, number, ""), running=True, connected=connected, observed=observed)


@settings(deadline=None)
@given(instances)
def test_whatever_pods_say_summary_and_rows_agree(given_instances):
    seen, planned = {}, []
    for number, (pod, said, connected, chosen, epoch) in enumerate(given_instances, 1):
        one = build(pod, number, said, epoch, connected=connected)
        seen[one.spec.name] = one
        planned.append(PlannedInstance(one.spec, "active", chosen=chosen))
    plan = Plan(active=ACTIVE, pods=PODS, instances=tuple(planned))
    world = World(active=ACTIVE, instances=seen)
    summary = status(GATEWAY, world, plan, LEDGER, 0.0, wall_now=datetime(2026, 1, 1, tzinfo=UTC))
    whole = with_rows(summary, GATEWAY, world, plan)

    assert (summary.shard_rows, summary.pods) == ((), ())
    assert whole.model_copy(update={"shard_rows": (), "pods": ()}) == summary
    assert len(whole.shard_rows) == 6
    assert summary.ready_shards == sum(row.state == "connected" for row in whole.shard_rows)
    assert summary.guilds == sum(row.guilds for row in whole.shard_rows)
    assert summary.dead_letters == sum(pod.dead_letters for pod in whole.pods)


def test_what_a_report_comes_to_is_made_once_and_of_that_report():
    first, second = (
        Observed(pod="a", shards=(ShardObserved(shard_id=0, state="connected", guilds=n),)) for n in (1, 2)
    )

    assert digest(first) is digest(first)
    assert (digest(first).guilds, digest(second).guilds) == ({0: 1}, {0: 2})


def test_a_report_is_not_kept_for_what_it_came_to():
    observed = Observed(pod="a")
    digest(observed)
    gone = ref(observed)
    del observed
    gc.collect()

    assert gone() is None
