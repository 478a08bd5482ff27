"""What users are told while the number of shards changes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.status import status, with_rows
from gateway_operator.core.status_model import GatewayStatus, Phase, RangeStatus, RolloutStatus
from gateway_operator.core.world import (
    Aborted,
    GatewayInfo,
    InstanceSeen,
    InstanceSpec,
    Plan,
    PlannedInstance,
    PodSpec,
    Reshard,
    ReshardPhase,
    ReshardRequest,
    ShardSet,
    World,
)
from gateway_operator.model import DiscordGateway, parse_manifest
from shardpod.contract import Observed, ShardObserved, ShardRange, SinkObserved

NOW = 1000.0
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEDGER = LedgerView(
    known=True, total=1000, remaining=990, reserve=100, reset_at=8200.0, max_concurrency=1, waiting=0, seen_at=NOW
)


def cut(first: int, last: int) -> ShardRange:
    return ShardRange(first_shard_id=first, last_shard_id=last)


ACTIVE = ShardSet(1, 2, (cut(0, 1),))
PENDING = ShardSet(2, 4, (cut(0, 1), cut(2, 3)))


def gateway(**spec: Any) -> DiscordGateway:
    return parse_manifest(
        {
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
    )


def pod(epoch: int, held: ShardRange, *shards: ShardObserved, **changes: Any) -> InstanceSeen:
    spec = PodSpec(f"mybot-e{epoch}-{held.first_shard_id}-{held.last_shard_id}", epoch, held)
    observed = Observed(pod=spec.name, epoch=epoch, shards=shards)
    seen = InstanceSeen(InstanceSpec(spec, epoch, "now"), running=True, connected=True, observed=observed)
    return replace(seen, **changes)


def connected(shard_id: int, guilds: int = 5) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="connected", guilds=guilds)


def identifying(shard_id: int) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="identifying")


OLD = pod(1, cut(0, 1), connected(0), connected(1))
NEW = (pod(2, cut(0, 1), connected(0), connected(1)), pod(2, cut(2, 3), connected(2), identifying(3)))


def reshard(phase: ReshardPhase, **changes: Any) -> Reshard:
    begun = NOON.timestamp() - 60
    built = Reshard(PENDING, phase, "spec.shards is 4", started_at=begun, progressed_at=begun + 50)
    return replace(built, **changes)


def status_of(
    running: Reshard | None,
    *instances: InstanceSeen,
    waiting_for: str | None = None,
    manifest: DiscordGateway | None = None,
    request: ReshardRequest = ReshardRequest(),  # noqa: B008 -- frozen
    aborted: tuple[int, float] | None = None,
    outdated: tuple[str, ...] = (),
) -> GatewayStatus:
    seen = {one.spec.name: one for one in instances or (OLD, *NEW)}
    world = World(
        info=GatewayInfo("wss://x", 2, 1000, 990, 8200.0, 1, NOW),
        active=ACTIVE,
        instances=seen,
        reshard=running,
        request=request,
        ledger=LEDGER,
        wall_now=NOON.timestamp(),
        aborted=aborted,
    )
    sets = (ACTIVE,) if running is None else (ACTIVE, running.pending)
    pods = [
        PodSpec(f"mybot-e{one.epoch}-{held.first_shard_id}-{held.last_shard_id}", one.epoch, held)
        for one in sets
        for held in one.ranges
    ]
    plan = Plan(
        active=ACTIVE,
        pods=tuple(pods),
        instances=tuple(
            PlannedInstance(
                one.spec,
                "active",
                chosen=one.spec.pod in pods,
                up_to_date=one.spec.name not in outdated,
                settled=True,
            )
            for one in seen.values()
        ),
        reshard=running,
        request=request,
        waiting_for=waiting_for,
    )
    summary = status(manifest or gateway(), world, plan, LEDGER, NOW, wall_now=NOON)
    return with_rows(summary, manifest or gateway(), world, plan)


def told(made: GatewayStatus, kind: str) -> tuple[str, str]:
    condition = made.condition(kind)
    return condition.status, condition.reason


def test_the_phase_and_all_counts_are_the_active_sets():
    made = status_of(reshard(ReshardPhase.STARTING))

    assert made.phase is Phase.RUNNING
    assert (made.shards, made.ready_shards, made.guilds) == (2, 2, 10)
    assert told(made, "Ready") == ("True", "AllShardsConnected")
    assert told(made, "Progressing") == ("True", "Resharding")
    assert told(made, "Resharding") == ("True", "Starting")
    assert told(made, "Degraded") == ("False", "NothingWrong")


def test_both_sets_are_told_of():
    made = status_of(reshard(ReshardPhase.STARTING))

    assert made.active is not None
    assert made.pending is not None
    assert (made.active.epoch, made.active.shard_count, made.active.ready) == (1, 2, 2)
    assert (made.pending.epoch, made.pending.shard_count, made.pending.ready) == (2, 4, 3)
    assert made.pending.ranges[1] == RangeStatus(first_shard_id=2, last_shard_id=3)


def test_the_rows_are_of_both_sets_in_order():
    made = status_of(reshard(ReshardPhase.STARTING))

    assert [(row.epoch, row.shard_count, row.shard_id, row.state) for row in made.shard_rows] == [
        (1, 2, 0, "connected"),
        (1, 2, 1, "connected"),
        (2, 4, 0, "connected"),
        (2, 4, 1, "connected"),
        (2, 4, 2, "connected"),
        (2, 4, 3, "identifying"),
    ]
    assert [(row.epoch, row.instance) for row in made.pods] == [
        (1, "mybot-e1-0-1.1"),
        (2, "mybot-e2-0-1.2"),
        (2, "mybot-e2-2-3.2"),
    ]


def test_a_shard_of_the_new_set_that_says_nothing_has_a_row_as_well():
    made = status_of(reshard(ReshardPhase.STARTING), OLD)

    assert [(row.epoch, row.state, row.problem) for row in made.shard_rows[2:]] == [
        (2, "unknown", "its pod is not running")
    ] * 4


@pytest.mark.parametrize("phase", [ReshardPhase.STARTING, ReshardPhase.WARMING, ReshardPhase.HANDING_OVER])
def test_nobody_knows_when_a_paused_reshard_is_done(phase):
    assert status_of(reshard(phase)).reshard.eta is not None
    assert status_of(reshard(phase), request=ReshardRequest(paused=True)).reshard.eta is None


def test_a_reshard_that_is_given_back_does_not_wait_for_the_end_of_a_pause():
    aborting = reshard(ReshardPhase.ABORTING, handed=(cut(0, 1),), progressed_at=NOON.timestamp())

    assert status_of(aborting, request=ReshardRequest(paused=True)).reshard.eta is not None


def test_the_reshard_is_shaped_as_the_resources():
    made = status_of(reshard(ReshardPhase.HANDING_OVER, handed=(cut(0, 1),)), waiting_for="the bot is away")

    assert made.model_dump(mode="json", by_alias=True)["reshard"] == {
        "phase": "HandingOver",
        "reason": "spec.shards is 4",
        "from": 2,
        "to": 4,
        "ranges": 2,
        "handedRanges": [{"firstShardId": 0, "lastShardId": 1}],
        "startedAt": "2026-03-01T11:59:00Z",
        "eta": "2026-03-01T12:00:25Z",
        "progress": "1 of 2 ranges handed over",
        "message": "from 2 to 4 shards: 1 of 2 ranges handed over, waiting: the bot is away, done in about 25 s",
        "waitingFor": "the bot is away",
        "paused": False,
    }


def test_it_survives_its_way_through_json():
    made = status_of(reshard(ReshardPhase.HANDING_OVER, handed=(cut(0, 1),)))

    assert GatewayStatus.model_validate_json(made.model_dump_json(by_alias=True)) == made


@pytest.mark.parametrize(
    ("running", "message"),
    [
        (reshard(ReshardPhase.PREPARING), "not begun yet"),
        (reshard(ReshardPhase.STARTING), "3 of 4 new shards are connected, done in about 1 min 8 s"),
        (
            reshard(ReshardPhase.WARMING),
            "all new shards are connected, and both sets watch what comes in, done in about 1 min 3 s",
        ),
        (reshard(ReshardPhase.HANDING_OVER), "0 of 2 ranges handed over, done in about 30 s"),
        (
            reshard(ReshardPhase.DRAINING, handed=(cut(0, 3),)),
            "all is handed over, done in about 20 s",
        ),
        (
            reshard(ReshardPhase.ABORTING, handed=(cut(0, 1),), aborted_because="nothing moved"),
            "1 of 2 ranges still to be given back, given up: nothing moved",
        ),
    ],
)
def test_each_phase_says_how_far_it_is(running, message):
    made = status_of(running)

    assert told(made, "Resharding") == ("True", running.phase)
    assert made.condition("Resharding").message == f"from 2 to 4 shards: {message}"
    assert made.condition("Progressing").message == f"from 2 to 4 shards: {message}"


def test_an_estimate_that_was_wrong_is_not_told():
    late = reshard(ReshardPhase.HANDING_OVER, progressed_at=NOON.timestamp() - 3600)
    made = status_of(late, waiting_for="the bot is away")

    assert made.reshard is not None
    assert made.reshard.eta is None
    assert made.reshard.message == "from 2 to 4 shards: 0 of 2 ranges handed over, waiting: the bot is away"


def test_what_the_progress_says_already_is_not_waited_for():
    made = status_of(reshard(ReshardPhase.STARTING), waiting_for="3 of 4 new shards are connected")

    assert made.reshard is not None
    assert made.reshard.waiting_for is None


def test_that_it_is_paused_is_told():
    made = status_of(reshard(ReshardPhase.WARMING), request=ReshardRequest(paused=True))

    assert made.reshard is not None
    assert made.reshard.paused


def test_what_is_wrong_with_the_new_set_keeps_the_reshard_waiting_and_degrades_nothing():
    failing = pod(2, cut(0, 1), connected(0), problem="ended 3 times")
    refused = pod(2, cut(2, 3), ShardObserved(shard_id=2, state="refused", close_code=4010))

    made = status_of(reshard(ReshardPhase.STARTING), OLD, failing, refused, waiting_for="shards connect")

    assert made.phase is Phase.RUNNING
    assert told(made, "Degraded") == ("False", "NothingWrong")
    assert made.reshard is not None
    first, second, third = (made.reshard.waiting_for or "").split("; ")
    assert first == "shards connect"
    assert second.startswith("Discord refused the shard's number (4010)")
    assert third == "mybot-e2-0-1.2: ended 3 times"


def test_a_bot_that_takes_nothing_degrades_whichever_set_says_so():
    down = pod(2, cut(0, 1), connected(0))
    assert down.observed is not None
    sink = SinkObserved(up=False, problem="refused")
    down = replace(down, observed=down.observed.model_copy(update={"sink": sink}))

    assert told(status_of(reshard(ReshardPhase.WARMING), OLD, down), "Degraded") == ("True", "BotUnreachable")


def test_trouble_of_the_active_set_still_degrades():
    failing = replace(OLD, problem="ended 3 times")

    assert told(status_of(reshard(ReshardPhase.WARMING), failing, *NEW), "Degraded") == ("True", "PodFailing")


def test_a_restart_waits_for_the_pods_of_the_active_set_alone():
    made = status_of(reshard(ReshardPhase.STARTING))

    assert made.rollout == RolloutStatus(restarts=0, pods=1, replaced=1, leaving=0)


def test_only_a_pod_of_the_active_set_that_is_replaced_is_told_of_as_progress():
    old = status_of(reshard(ReshardPhase.STARTING), outdated=("mybot-e1-0-1.1",))
    new = status_of(reshard(ReshardPhase.STARTING), outdated=("mybot-e2-0-1.2",))

    assert told(old, "Progressing") == ("True", "ReplacingPods")
    assert told(new, "Progressing") == ("True", "Resharding")


def test_the_former_set_ends_without_delaying_anything():
    former = pod(0, cut(0, 1))

    made = status_of(None, OLD, former)

    assert told(made, "Progressing") == ("True", "FormerShardsEnding")
    assert made.condition("Progressing").message == (
        "the shard set before this one is being closed: 1 pod of it is still there"
    )
    assert made.rollout is not None
    assert made.rollout.complete
    assert (made.pending, made.reshard) == (None, None)
    assert [row.epoch for row in made.shard_rows] == [1, 1]


def test_what_was_given_up_and_is_still_asked_for_says_when_it_is_tried_again():
    made = status_of(None, OLD, manifest=gateway(shards=4), aborted=Aborted(4, NOON.timestamp() - 600, 4))

    assert told(made, "Resharding") == ("False", "ReshardHeldBack")
    assert told(made, "Progressing") == ("False", "ReshardHeldBack")
    assert made.condition("Resharding").message == (
        "a reshard to 4 shards was given up and is begun again in 50 min (spec.shards is 4); sooner by "
        "`discord-gateway reshard --to 4`"
    )
