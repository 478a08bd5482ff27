"""What users are told of a gateway's state.

This file is longer than 400 lines: its tests share the gateway built at the top.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from gateway_operator.core.identify_ledger import LedgerView
from gateway_operator.core.plan import plan
from gateway_operator.core.spoken import spoken_duration
from gateway_operator.core.status import status, with_rows
from gateway_operator.core.status_model import GatewayStatus, Phase, PodRow, RangeStatus, RolloutStatus, ShardRow
from gateway_operator.core.world import GatewayInfo, InstanceSeen, InstanceSpec, PodSpec, World
from gateway_operator.model import DiscordGateway, load_manifest
from shardpod.contract import (
    Counters,
    Observed,
    QueueObserved,
    ShardObserved,
    ShardRange,
    SinkObserved,
    SpoolObserved,
)

NOW = 1000.0
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INFO = GatewayInfo(
    url="wss://gateway.discord.gg/",
    recommended_shards=4,
    total=1000,
    remaining=990,
    reset_at=NOW + 7200,
    max_concurrency=1,
    read_at=NOW,
)
LEDGER = LedgerView(
    known=True, total=1000, remaining=990, reserve=100, reset_at=NOW + 7200, max_concurrency=1, waiting=0
)
UNKNOWN_LEDGER = replace(LEDGER, known=False, total=0, remaining=0)


def gateway(**spec: Any) -> DiscordGateway:
    manifest = {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "metadata": {"name": "mybot"},
        "spec": {
            "tokenSecretRef": {"name": "mybot", "key": "token"},
            "intents": ["Guilds"],
            "sharding": {"shardsPerPod": 2},
            "delivery": {"sink": {"http": {"url": "http://bot:8080/path?key=hidden"}}},
            **spec,
        },
    }
    return load_manifest(yaml.safe_dump(manifest))


REVISION = plan(gateway(), World(info=INFO), NOW).instances[0].spec.revision


def spec(name: str, number: int = 1) -> InstanceSpec:
    first, last = (int(part) for part in name.split("-")[2:])
    return InstanceSpec(PodSpec(name, 1, ShardRange(first_shard_id=first, last_shard_id=last)), number, REVISION)


def pod(name: str, *shards: ShardObserved, epoch: int = 1, number: int = 1, **changes: Any) -> InstanceSeen:
    one = spec(name, number)
    observed = Observed(
        pod=name, instance=one.name, epoch=epoch, shard_count=4, range=one.pod.range, shards=shards, **changes
    )
    return InstanceSeen(one, running=True, connected=True, observed=observed)


FIRST = spec("mybot-e1-0-1")


def connected(shard_id: int, **changes: Any) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="connected", **changes)


def refused(shard_id: int, close_code: int | None) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="refused", close_code=close_code)


ALL_CONNECTED = {
    "mybot-e1-0-1": pod("mybot-e1-0-1", connected(0, guilds=5, latency=0.0421), connected(1, guilds=6)),
    "mybot-e1-2-3": pod("mybot-e1-2-3", connected(2, guilds=7), connected(3), queue=QueueObserved(events=9)),
}


def status_of(
    pods: dict[str, InstanceSeen],
    *,
    manifest: DiscordGateway | None = None,
    info: GatewayInfo | None = INFO,
    info_problem: str | None = None,
    ledger: LedgerView = LEDGER,
) -> GatewayStatus:
    manifest = manifest or gateway()
    active = plan(gateway(), World(info=INFO), NOW).active if info else None
    instances = {seen.spec.name: seen for seen in pods.values()}
    world = World(info=info, info_problem=info_problem, active=active, instances=instances, last_number=1)
    return full_status(manifest, world, ledger)


def full_status(manifest: DiscordGateway, world: World, ledger: LedgerView) -> GatewayStatus:
    planned = plan(manifest, world, NOW)
    summary = status(manifest, world, planned, ledger, NOW, wall_now=NOON)
    return with_rows(summary, manifest, world, planned)


def told(made: GatewayStatus, kind: str) -> tuple[str, str]:
    condition = made.condition(kind)
    return condition.status, condition.reason


def test_a_gateway_whose_shards_are_all_connected_is_ready():
    made = status_of(ALL_CONNECTED)

    assert made.phase is Phase.RUNNING
    assert (made.shards, made.ready_shards, made.guilds) == (4, 4, 18)
    assert told(made, "Ready") == ("True", "AllShardsConnected")
    assert told(made, "Progressing") == ("False", "Complete")
    assert told(made, "Resharding") == ("False", "NotResharding")
    assert told(made, "Degraded") == ("False", "NothingWrong")
    assert told(made, "IdentifyBudgetOK") == ("True", "BudgetLeft")


def test_the_status_is_shaped_as_the_resources():
    for_the_command = {"name", "shard_rows", "pods", "rollout", "dead_letters"}
    made = status_of(ALL_CONNECTED).model_dump(mode="json", by_alias=True, exclude={"conditions", *for_the_command})

    assert made == {
        "phase": "Running",
        "shards": 4,
        "readyShards": 4,
        "guilds": 18,
        "active": {
            "epoch": 1,
            "shardCount": 4,
            "ranges": [{"firstShardId": 0, "lastShardId": 1}, {"firstShardId": 2, "lastShardId": 3}],
            "ready": 4,
        },
        "pending": None,
        "reshard": None,
        "sessionStartLimit": {
            "total": 1000,
            "remaining": 990,
            "resetAt": "2026-03-01T14:00:00Z",
            "maxConcurrency": 1,
        },
        "recommendedShards": 4,
    }


def test_the_status_survives_its_way_through_json():
    made = status_of(ALL_CONNECTED)

    assert GatewayStatus.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_each_shard_has_a_row():
    rows = status_of(ALL_CONNECTED).shard_rows

    assert [row.shard_id for row in rows] == [0, 1, 2, 3]
    assert rows[0] == ShardRow(
        shard_id=0,
        shard_count=4,
        epoch=1,
        pod="mybot-e1-0-1",
        instance="mybot-e1-0-1.1",
        state="connected",
        guilds=5,
        latency_ms=42.1,
    )
    assert (rows[3].pod, rows[3].queue_events) == ("mybot-e1-2-3", 9)


def test_each_pod_has_a_row():
    counted = pod(
        "mybot-e1-2-3",
        connected(2),
        ready=True,
        queue=QueueObserved(events=9, events_longest=12, oldest_age=1.26),
        spool=SpoolObserved(events=4, bytes=400),
        dead_letters=6,
        counters=Counters(delivered=70, dropped={"overflow": 2, "too_old": 1}, transfers=2, worker_restarts=1),
        http_address="127.0.0.1:80",
    )

    rows = status_of({"mybot-e1-2-3": counted}).pods

    assert rows == (
        PodRow(
            name="mybot-e1-0-1",
            instance="mybot-e1-0-1.2",
            role="active",
            epoch=1,
            range=RangeStatus(first_shard_id=0, last_shard_id=1),
            up_to_date=True,
            connected=False,
            ready=False,
        ),
        PodRow(
            name="mybot-e1-2-3",
            instance="mybot-e1-2-3.1",
            role="active",
            epoch=1,
            range=RangeStatus(first_shard_id=2, last_shard_id=3),
            up_to_date=True,
            connected=True,
            ready=True,
            queue_events=9,
            queue_longest=12,
            oldest_age=1.3,
            spool_events=4,
            spool_bytes=400,
            dead_letters=6,
            delivered=70,
            dropped=3,
            transfers=2,
            worker_restarts=1,
            http_address="127.0.0.1:80",
        ),
    )


def test_before_discord_has_answered_the_gateway_is_pending():
    made = status_of({}, info=None, ledger=UNKNOWN_LEDGER)

    assert made.phase is Phase.PENDING
    assert made.active is None
    assert made.session_start_limit is None
    assert told(made, "Ready") == ("False", "WaitingForDiscord")
    assert told(made, "Progressing") == ("True", "WaitingForDiscord")
    assert told(made, "IdentifyBudgetOK") == ("Unknown", "WaitingForDiscord")


def test_a_discord_that_cannot_be_asked_is_named():
    made = status_of({}, info=None, info_problem="cannot reach https://x: refused", ledger=UNKNOWN_LEDGER)

    assert told(made, "Ready") == ("False", "DiscordRestUnreachable")
    assert made.condition("Degraded").message == (
        "cannot reach https://x: refused; no shard can start, and it is tried again"
    )


def test_running_shards_stay_ready_while_discord_cannot_be_asked():
    made = status_of(ALL_CONNECTED, info_problem="GET /gateway/bot answered 503")

    assert made.phase is Phase.DEGRADED
    assert told(made, "Ready") == ("True", "AllShardsConnected")
    assert made.condition("Degraded").message.startswith(
        "GET /gateway/bot answered 503; running shards are not affected"
    )


def test_shards_on_their_way_are_counted_and_the_time_is_estimated():
    waiting = ShardObserved(shard_id=3, state="awaiting_permit", problem="1 shards come before this one")
    pods = {
        **ALL_CONNECTED,
        "mybot-e1-2-3": pod("mybot-e1-2-3", ShardObserved(shard_id=2, state="identifying"), waiting),
    }

    made = status_of(pods)

    assert made.phase is Phase.CONNECTING
    assert made.condition("Ready").message == "2 of 4 shards are connected"
    assert made.condition("Progressing").message == ("2 of 4 shards are connected; the others take up to about 10 s")
    assert made.shard_rows[3].problem == "1 shards come before this one"


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (None, "its pod is not running"),
        (InstanceSeen(FIRST, running=False), "its pod is not running"),
        (InstanceSeen(FIRST, running=False, problem="ended with code 1"), "ended with code 1"),
        (InstanceSeen(FIRST, running=True), "its pod is not connected to the operator"),
        (InstanceSeen(FIRST, running=True, connected=True), "its pod has not reported it yet"),
        (replace(ALL_CONNECTED["mybot-e1-0-1"], connected=False), "its pod is not connected to the operator"),
        (pod("mybot-e1-0-1", connected(0), epoch=7), "its pod has not reported it yet"),
    ],
)
def test_a_shard_whose_pod_says_nothing_is_unknown_and_the_row_says_why(seen, problem):
    pods = {**ALL_CONNECTED, "mybot-e1-0-1": seen}
    if seen is None:
        del pods["mybot-e1-0-1"]

    row = status_of(pods).shard_rows[0]

    assert (row.state, row.problem) == ("unknown", problem)


def test_a_pod_that_fails_is_named():
    pods = {**ALL_CONNECTED, "mybot-e1-0-1": InstanceSeen(FIRST, running=False, problem="ended 3 times")}

    made = status_of(pods)

    assert made.phase is Phase.DEGRADED
    assert told(made, "Degraded") == ("True", "PodFailing")
    assert made.condition("Degraded").message == "mybot-e1-0-1.1: ended 3 times"


def test_a_bot_that_takes_no_events_degrades_the_gateway_but_keeps_it_ready():
    down = pod(
        "mybot-e1-2-3",
        connected(2),
        connected(3),
        sink=SinkObserved(up=False, problem="connection refused"),
        queue=QueueObserved(events=41),
    )

    made = status_of({**ALL_CONNECTED, "mybot-e1-2-3": down})

    assert told(made, "Ready") == ("True", "AllShardsConnected")
    assert told(made, "Degraded") == ("True", "BotUnreachable")
    assert made.condition("Degraded").message == (
        "the bot at bot:8080 takes no events (connection refused); 41 wait for it"
    )


@pytest.mark.parametrize(
    ("close_code", "reason", "words"),
    [
        (4004, "TokenRefused", "Discord refused the token"),
        (4010, "InvalidShard", "150,000 guilds"),
        (4011, "ShardingRequired", "requires more shards"),
        (4012, "ApiVersionRefused", "A newer release"),
        (4013, "InvalidIntents", "spec.intents"),
        (4014, "DisallowedIntents", "Developer Portal, under Bot > Privileged Gateway Intents"),
        (4999, "RefusedByDiscord", "4999"),
        (None, "RefusedByDiscord", "without a close code"),
    ],
)
def test_a_refusal_is_explained_wherever_it_shows(close_code, reason, words):
    pods = {"mybot-e1-0-1": pod("mybot-e1-0-1", refused(0, close_code), refused(1, close_code))}

    made = status_of(pods)

    assert made.phase is Phase.FAILED
    assert told(made, "Ready") == ("False", reason)
    assert told(made, "Degraded") == ("True", reason)
    assert told(made, "Progressing") == ("False", "Refused")
    assert words in made.condition("Degraded").message
    assert words in (made.shard_rows[0].problem or "")
    assert made.condition("Degraded").message.endswith("(2 shards)")


def test_disallowed_intents_are_named_as_in_the_portal():
    pods = {"mybot-e1-0-1": pod("mybot-e1-0-1", refused(1, 4014))}

    made = status_of(pods, manifest=gateway(intents=["Guilds", "GuildMembers", "MessageContent"]))

    assert made.condition("Degraded").message == (
        "Discord refused the intents (4014): spec.intents asks for Server Members Intent and Message Content Intent, "
        "not all of it enabled for this bot. Enable it in the Developer Portal, under Bot > Privileged Gateway "
        "Intents, or take it out of spec.intents (shard 1)"
    )


def test_a_refusal_of_some_shards_only_degrades():
    pods = {**ALL_CONNECTED, "mybot-e1-2-3": pod("mybot-e1-2-3", connected(2), refused(3, 4011))}

    assert status_of(pods).phase is Phase.DEGRADED


def test_a_used_up_budget_says_until_when():
    made = status_of(ALL_CONNECTED, ledger=replace(LEDGER, remaining=100))

    assert told(made, "IdentifyBudgetOK") == ("False", "BudgetUsedUp")
    assert made.condition("IdentifyBudgetOK").message == (
        "100 of 1,000 identifies are left and 100 are kept back (spec.reshard.identifyReserve): connected shards are "
        "not affected, new sessions wait until 2026-03-01 14:00 UTC, for 2 h"
    )


def test_a_used_up_budget_whose_refill_is_not_known_says_so():
    made = status_of(ALL_CONNECTED, ledger=replace(LEDGER, remaining=0, reset_at=float("inf")))

    assert made.condition("IdentifyBudgetOK").message.endswith("until Discord says when the budget is refilled")
    assert made.session_start_limit is not None
    assert made.session_start_limit.reset_at is None


def test_a_wall_clock_in_another_zone_gives_the_same_instant():
    manifest = gateway()
    world = World(info=INFO)
    here = NOON.astimezone(timezone(timedelta(hours=9)))

    made = status(manifest, world, plan(manifest, world, NOW), LEDGER, NOW, wall_now=here)

    assert made.session_start_limit is not None
    assert made.session_start_limit.reset_at == NOON + timedelta(hours=2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (45, "45 s"), (59.1, "1 min"), (61, "1 min 1 s"), (12000, "3 h 20 min"), (86400, "1 d"), (-5, "1 s")],
)
def test_durations_are_spoken(seconds, words):
    assert spoken_duration(seconds) == words


# While a pod is replaced.


def released(shard_id: int) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="released")


def awaiting(shard_id: int) -> ShardObserved:
    return ShardObserved(shard_id=shard_id, state="awaiting_transfer")


def test_a_replacement_does_not_make_the_gateway_unready():
    replaced = {
        **ALL_CONNECTED,
        "old": pod("mybot-e1-0-1", connected(0, guilds=5), released(1)),
        "new": pod("mybot-e1-0-1", awaiting(0), connected(1, gap=0.25), number=2),
    }
    del replaced["mybot-e1-0-1"]

    made = status_of(replaced)

    assert made.phase is Phase.RUNNING
    assert made.ready_shards == 4
    assert [(row.instance, row.state, row.gap_seconds) for row in made.shard_rows[:2]] == [
        ("mybot-e1-0-1.1", "connected", None),
        ("mybot-e1-0-1.2", "connected", 0.25),
    ]
    assert [(row.instance, row.role) for row in made.pods] == [
        ("mybot-e1-0-1.2", "active"),
        ("mybot-e1-2-3.1", "active"),
        ("mybot-e1-0-1.1", "draining"),
    ]
    assert told(made, "Progressing") == ("True", "ReplacingPods")
    assert made.condition("Progressing").message == (
        "pods are being replaced, one after the other: 1 of 2 done, 1 old still hold something"
    )
    assert made.rollout == RolloutStatus(restarts=0, pods=2, replaced=1, leaving=1)


def test_a_shard_that_is_given_and_not_yet_taken_says_so():
    pods = {
        "old": pod("mybot-e1-0-1", released(0), connected(1)),
        "new": replace(pod("mybot-e1-0-1", number=2), connected=False),
    }

    row = status_of(pods).shard_rows[0]

    assert (row.state, row.problem) == ("released", "given to the pod's new instance, which has not reported it yet")


def test_a_rollout_is_complete_when_all_are_replaced_and_nobody_is_leaving():
    rollout = status_of(ALL_CONNECTED).rollout

    assert rollout is not None
    assert rollout.complete


def test_a_spool_that_cannot_be_written_degrades_the_gateway():
    full = pod("mybot-e1-2-3", connected(2), connected(3), spool=SpoolObserved(problem="No space left on device"))

    made = status_of({**ALL_CONNECTED, "mybot-e1-2-3": full})

    assert told(made, "Degraded") == ("True", "SpoolFailing")
    assert made.condition("Degraded").message == (
        "mybot-e1-2-3.1: events that wait cannot be written to disk (No space left on device); they are in memory "
        "only, and a crash of the pod would lose what Discord does not send again"
    )


def test_dead_letters_are_counted_and_degrade_nothing():
    made = status_of({**ALL_CONNECTED, "other": pod("mybot-e1-2-3", connected(2), connected(3), dead_letters=3)})

    assert made.dead_letters == 3
    assert made.phase is Phase.RUNNING
