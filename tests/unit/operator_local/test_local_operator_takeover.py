"""When an instance that is being ended, and of which nothing is heard, counts as dead (architecture: Takeover)."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway_operator.control import PodHeard
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.leases import LeaseBook
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.revision import revision
from gateway_operator.core.world import GatewayInfo, InstanceSpec, PodSpec, ShardSet
from gateway_operator.model import load_manifest
from gateway_operator.operator import TAKEOVER_AFTER, Operator, keep_passing
from gateway_operator.seams import InstanceHere
from shardpod.contract import Observed, ShardObserved, ShardRange

MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {name: mybot}
spec:
  tokenSecretRef: {name: mybot, key: token}
  intents: [Guilds]
  shards: 2
  delivery: {sink: {http: {url: "http://bot.example/"}}}
"""
HELD = ShardRange(first_shard_id=0, last_shard_id=1)
POD = PodSpec("mybot-e1-0-1", 1, HELD)
REVISION = revision(load_manifest(MANIFEST).spec, secrets_digest="digest", restarts=0)
OLD, NEW = (InstanceSpec(POD, number, REVISION, given_name=name) for number, name in ((1, "old"), (2, "new")))


class Surroundings:
    """Two instances of one pod: the old one is being ended, and the new one is to take over."""

    problem = None
    info = GatewayInfo("wss://gateway.example", 2, 1000, 1000, 2e5, 1, 0.0)

    def __init__(self):
        self.here = {}
        self.heard = {}
        self.assigned = {}

    async def observe(self):
        return dict(self.here)

    async def apply(self, spec): ...

    async def stop(self, name): ...

    async def remove(self, name): ...

    def pods(self):
        return self.heard

    def assign(self, assignments):
        self.assigned = assignments

    def remembered_shard_set(self):
        return ShardSet(epoch=1, shard_count=2, ranges=(HELD,))

    def remembered_checkpoints(self):
        return {}

    def remember_checkpoints(self, checkpoints): ...

    def remembered_reshard(self):
        return ReshardRecord()

    def remember_reshard(self, record): ...

    def last_number(self):
        return 2

    def remember_last_number(self, number): ...

    def restarts(self):
        return 0

    async def flush(self): ...


@pytest.fixture
def around():
    return Surroundings()


@pytest.fixture
def operator(around, clock):
    return Operator(
        load_manifest(MANIFEST),
        secrets_digest="digest",
        discord=around,
        pods=around,
        control=around,
        ledger=IdentifyLedger(started_at=clock()),
        leases=LeaseBook(),
        memory=around,
        changed=asyncio.Event(),
        clock=clock,
        calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def old(around, operator, clock):
    """The old instance: it runs, as far as its node has told, and is being ended. `heard`: seconds ago, or None."""

    def put(*, heard=None, connected=False, ending=True, running=True, started_at=0.0, scratch=frozenset()):
        around.here["old"] = InstanceHere(
            spec=OLD, running=running, problem=None, started_at=started_at, scratch=scratch, ending=ending
        )
        around.here["new"] = InstanceHere(spec=NEW, running=True, problem=None)
        around.heard = {"new": said("new", connected=True, at=clock())}
        if heard is not None:
            around.heard["old"] = said("old", connected=connected, at=clock() - heard, shards=(0, 1))

    return put


def said(name, *, connected, at, shards=()):
    observed = Observed(
        pod=POD.name,
        instance=name,
        epoch=1,
        shard_count=2,
        shards=tuple(ShardObserved(shard_id=one, state="connected") for one in shards),
    )
    return PodHeard(connected=connected, observed=observed, heard_at=at)


async def waits_for_the_old(operator, around):
    """Whether the new one is told that another has its shards, by which it does not identify or resume them."""
    await operator.reconcile()
    return any(peer.instance == "old" for peer in around.assigned["new"].peers) and _seen_old(operator).running


def _seen_old(operator):
    return operator._world.instances["old"]


async def test_an_operator_that_has_just_begun_waits_for_its_word(operator, around, old, clock):
    clock.advance(TAKEOVER_AFTER)
    old()

    assert await waits_for_the_old(operator, around)


async def test_one_of_which_nothing_is_heard_since_the_operator_began_counts_as_dead(operator, around, old, clock):
    clock.advance(TAKEOVER_AFTER + 0.1)
    old(scratch=frozenset({0, 1}))

    assert not await waits_for_the_old(operator, around)
    assert _seen_old(operator).scratch == frozenset(), "its node is lost, and the directory with it"
    assert "nothing is heard" in _seen_old(operator).problem


async def test_time_counts_from_its_last_word(operator, around, old, clock):
    clock.advance(1000.0)
    old(heard=TAKEOVER_AFTER)
    assert await waits_for_the_old(operator, around)

    clock.advance(0.1)
    assert not await waits_for_the_old(operator, around)


async def test_time_counts_from_when_it_was_seen_to_start(operator, around, old, clock):
    clock.advance(1000.0)
    old(started_at=clock() - TAKEOVER_AFTER)
    assert await waits_for_the_old(operator, around)

    clock.advance(0.1)
    assert not await waits_for_the_old(operator, around)


async def test_one_that_is_connected_lives_however_long_it_says_nothing(operator, around, old, clock):
    clock.advance(1000.0)
    old(heard=900.0, connected=True)

    assert await waits_for_the_old(operator, around)


async def test_one_that_nobody_ends_is_waited_for_without_end(operator, around, old, clock):
    """In doubt it holds them: only who is to be gone soon anyway may be taken for dead."""
    clock.advance(100_000.0)
    old(heard=90_000.0, ending=False)

    assert await waits_for_the_old(operator, around)


async def test_one_that_comes_back_lives_again(operator, around, old, clock):
    clock.advance(1000.0)
    old(heard=900.0)
    assert not await waits_for_the_old(operator, around)

    old(heard=0.0, connected=True)
    assert await waits_for_the_old(operator, around)


async def test_what_the_dead_one_said_last_is_told_with_the_problem(operator, around, old, clock):
    clock.advance(1000.0)
    old(heard=900.0)
    around.heard["old"] = PodHeard(
        connected=False,
        observed=around.heard["old"].observed.model_copy(update={"why_not_ready": "out of luck"}),
        heard_at=0.0,
    )
    await operator.reconcile()

    assert _seen_old(operator).problem == "nothing is heard of it any more; it last said: out of luck"


# The loop.


@pytest.mark.looptime(start=1000.0)
async def test_a_pass_that_raises_is_followed_by_the_next_and_a_change_meanwhile_is_not_lost():
    changed, passes = asyncio.Event(), []

    async def one_pass():
        passes.append(asyncio.get_running_loop().time())
        if len(passes) == 1:
            changed.set()
            raise RuntimeError("it was made to fail")

    task = asyncio.create_task(keep_passing(changed, one_pass))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(passes) == 2
    assert passes[1] - passes[0] < 0.2
