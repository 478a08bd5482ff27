"""Where a shard's session comes from: a peer, a checkpoint, or nowhere."""

from dataclasses import replace

import pytest
import yaml

from gateway_operator.core.checkpoints import another_session, with_reports
from gateway_operator.core.plan import plan
from gateway_operator.core.revision import revision
from gateway_operator.core.world import GatewayInfo, InstanceSeen, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import Assignment, Checkpoint, Observed, Peer, ShardObserved

INFO = GatewayInfo("wss://gateway.example/", 2, 1000, 1000, 5000.0, 1, 0.0)


def gateway(**spec: object) -> DiscordGateway:
    manifest = {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "metadata": {"name": "mybot"},
        "spec": {
            "tokenSecretRef": {"name": "mybot", "key": "token"},
            "intents": ["Guilds"],
            "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
            **spec,
        },
    }
    return load_manifest(yaml.safe_dump(manifest))


def checkpoint(shard_id: int, session: str = "s", seq: int = 7, shard_count: int = 2) -> Checkpoint:
    return Checkpoint(
        shard_id=shard_id, shard_count=shard_count, session_id=session, seq=seq, resume_gateway_url="wss://resume"
    )


def report(*states: str, remote: str | None = None, **changes: object) -> Observed:
    shards = tuple(
        ShardObserved(shard_id=shard_id, state=state, checkpoint_remote=remote and checkpoint(shard_id, remote))
        for shard_id, state in enumerate(states)
    )
    return Observed.model_validate({"pod": "mybot-e1-0-1", "epoch": 1, "shards": shards, **changes})


class Planning:
    """A gateway of one pod of two shards, after its first start."""

    def __init__(self) -> None:
        first = plan(gateway(), World(info=INFO), 0.0)
        self.first = first.instances[0].spec
        self.world = World(info=INFO, active=first.active, last_number=1)

    def assigned(self, *instances: InstanceSeen, checkpoints=(), restarts: int = 0) -> dict[str, Assignment]:
        world = replace(
            self.world,
            instances={one.spec.name: one for one in instances},
            checkpoints={(one.shard_id, one.shard_count): one for one in checkpoints},
            restarts=restarts,
        )
        return dict(plan(gateway(), world, 0.0).assignments)


@pytest.fixture
def planning() -> Planning:
    return Planning()


def test_an_instance_that_comes_back_gets_the_sessions_that_nobody_else_may_hold(planning):
    dead = InstanceSeen(planning.first, running=False)
    [assigned] = planning.assigned(dead, checkpoints=[checkpoint(0), checkpoint(1, shard_count=9)]).values()

    assert assigned.checkpoints == (checkpoint(0),)
    assert assigned.peers == ()


def test_a_connected_instance_is_not_sent_what_it_knows_better(planning):
    busy = InstanceSeen(planning.first, running=True, connected=True, observed=report("connected", "resuming"))
    waiting = replace(busy, observed=report("connected", "awaiting_transfer"))

    assert planning.assigned(busy, checkpoints=[checkpoint(0), checkpoint(1)])[busy.spec.name].checkpoints == ()
    assert planning.assigned(waiting, checkpoints=[checkpoint(0), checkpoint(1)])[busy.spec.name].checkpoints == (
        checkpoint(1),
    )


def test_a_successor_gets_its_predecessor_as_peer_and_no_checkpoints(planning):
    old = InstanceSeen(
        planning.first,
        running=True,
        connected=True,
        observed=report("connected", "connected", http_address="127.0.0.1:7"),
    )
    assigned = planning.assigned(old, checkpoints=[checkpoint(0), checkpoint(1)], restarts=1)

    successor = assigned["mybot-e1-0-1.2"]
    assert successor.peers == (
        Peer(pod="mybot-e1-0-1", instance="mybot-e1-0-1.1", address="127.0.0.1:7", range=planning.first.pod.range),
    )
    assert successor.checkpoints == ()
    assert assigned["mybot-e1-0-1.1"].role == "draining"
    assert assigned["mybot-e1-0-1.1"].peers == assigned["mybot-e1-0-1.1"].checkpoints == ()


@pytest.mark.parametrize("away", [{"connected": False}, {"running": False, "scratch": frozenset({0})}])
def test_a_peer_that_is_away_has_no_address_and_is_waited_for(planning, away):
    old = InstanceSeen(planning.first, running=True, connected=True, observed=report("connected", "connected"))
    new = InstanceSeen(replace(planning.first, number=2), running=True)
    assigned = planning.assigned(replace(old, **away), new)["mybot-e1-0-1.2"]

    assert [peer.address for peer in assigned.peers] == [None]


def test_what_the_peer_has_given_is_not_asked_of_it_again_and_its_checkpoints_are_free(planning):
    gone = InstanceSeen(planning.first, running=True, connected=True, observed=report("released", "released"))
    new = InstanceSeen(replace(planning.first, number=2), running=True)
    assigned = planning.assigned(gone, new, checkpoints=[checkpoint(0)])["mybot-e1-0-1.2"]

    assert assigned.peers == ()
    assert assigned.checkpoints == (checkpoint(0),)


def test_reports_alone_change_no_assignment(planning):
    old = InstanceSeen(planning.first, running=True, connected=True, observed=report("connected", "connected"))
    new = InstanceSeen(
        replace(planning.first, number=2),
        running=True,
        connected=True,
        observed=report("awaiting_transfer", "awaiting_transfer"),
    )
    before = planning.assigned(old, new, checkpoints=[checkpoint(0)])
    busier = report("released", "connected", remote="s", queue={"events": 70}, counters={"received": 900})
    after = planning.assigned(
        replace(old, observed=busier),
        replace(new, observed=report("connected", "awaiting_transfer")),
        checkpoints=[checkpoint(0, seq=99)],
    )

    assert after == before


# Checkpoints.


def test_a_report_without_a_session_takes_none_away():
    known = with_reports({}, [report("connected", "connected", remote="a")])

    assert with_reports(known, [report("connecting", "awaiting_permit")]) == known
    assert known[0, 2] == checkpoint(0, "a")


def test_a_new_session_takes_the_place_of_the_old_one():
    known = with_reports({}, [report("connected", remote="a"), report("connected", remote="b")])

    assert known == {(0, 2): checkpoint(0, "b")}
    assert another_session({(0, 2): checkpoint(0, "a")}, known)


def test_what_is_settled_of_a_session_stays_settled():
    known = {(0, 2): checkpoint(0, "a", seq=50)}

    assert with_reports(known, [report("connected", remote="a")]) == known
    assert not another_session(known, {(0, 2): checkpoint(0, "a", seq=90)})


def test_who_gave_a_shard_away_does_not_bring_its_old_session_back():
    known = {(0, 2): checkpoint(0, "new")}

    assert with_reports(known, [report("released", remote="old")]) == known


# Revisions.


def test_a_revision_changes_with_whatever_a_running_instance_cannot_follow():
    base = gateway()
    made = {
        revision(base.spec, secrets_digest="x", restarts=0),
        revision(base.spec, secrets_digest="y", restarts=0),
        revision(base.spec, secrets_digest="x", restarts=1),
        *(
            revision(gateway(**changed).spec, secrets_digest="x", restarts=0)
            for changed in (
                {"intents": ["Guilds", "GuildMessages"]},
                {"presence": {"status": "idle"}},
                {"discord": {"compression": "none"}},
                {"sharding": {"shardsPerWorker": 2}},
                {"sharding": {"maxWorkers": 2}},
                {"delivery": {"sink": {"http": {"url": "http://bot:8081/"}}}},
            )
        ),
    }

    assert len(made) == 9


@pytest.mark.parametrize(
    "changed", [{"sharding": {"shardsPerPod": 4}}, {"reshard": {"identifyReserve": 5}}, {"shards": 2}]
)
def test_a_revision_is_the_same_where_nothing_concerns_the_pod(changed):
    same = revision(gateway().spec, secrets_digest="x", restarts=0)

    assert revision(gateway(**changed).spec, secrets_digest="x", restarts=0) == same
