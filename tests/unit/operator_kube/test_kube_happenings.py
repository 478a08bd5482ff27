"""What `kubectl describe` tells of a gateway: each change once, and nothing while only numbers go up."""

from itertools import pairwise

import pytest

from gateway_operator.core.status_model import Phase, RolloutStatus, ShardSetStatus
from gateway_operator.kube.events import event, event_name
from gateway_operator.kube.happenings import Happening, happenings

AWAY = (True, "BotUnreachable", "the bot takes no events; 5 wait for it")
USED_UP = (False, "BudgetUsedUp", "3 of 1000 identifies are left")
HELD_BACK = (False, "ReshardHeldBack", "32 shards were given up at noon")


def told(old, new):
    return [(one.type, one.reason) for one in happenings(old, new)]


def rollout(replaced, *, leaving=0):
    return RolloutStatus(restarts=0, pods=2, replaced=replaced, leaving=leaving)


def of_epoch(epoch):
    return ShardSetStatus(epoch=epoch, shard_count=32, ranges=(), ready=32)


def test_nothing_is_told_when_nothing_has_changed(status_of, reshard_of):
    busy = status_of(
        phase=Phase.DEGRADED,
        reshard=reshard_of("HandingOver", handed=1),
        Degraded=AWAY,
        IdentifyBudgetOK=USED_UP,
        Resharding=HELD_BACK,
        dead_letters=3,
        rollout=rollout(0, leaving=1),
    )

    assert told(status_of(), status_of()) == []
    assert told(busy, busy) == []


def test_numbers_in_messages_are_no_news(status_of, reshard_of):
    before = status_of(
        phase=Phase.CONNECTING,
        Ready=(False, "ShardsConnecting", "3 of 16 shards are connected"),
        Degraded=AWAY,
        IdentifyBudgetOK=USED_UP,
        reshard=reshard_of("Starting", message="3 of 32"),
        dead_letters=1,
    )
    after = status_of(
        phase=Phase.CONNECTING,
        Ready=(False, "ShardsConnecting", "4 of 16 shards are connected"),
        Degraded=(True, "BotUnreachable", "the bot takes no events; 6 wait for it"),
        IdentifyBudgetOK=(False, "BudgetUsedUp", "2 of 1000 identifies are left"),
        reshard=reshard_of("Starting", message="4 of 32"),
        dead_letters=2,
    )

    assert told(before, after) == []


def test_the_first_look_tells_how_it_stands(status_of):
    assert happenings(None, status_of()) == [Happening("Normal", "Running", "all 16 shards are connected")]


@pytest.mark.parametrize(
    ("phase", "type_"), [(Phase.CONNECTING, "Normal"), (Phase.PENDING, "Normal"), (Phase.FAILED, "Warning")]
)
def test_another_phase_is_told_with_why_it_is_ready_or_not(status_of, phase, type_):
    after = status_of(phase=phase, Ready=(False, "Any", "why not"))

    assert happenings(status_of(), after) == [Happening(type_, phase, "why not")]


def test_a_trouble_is_told_by_its_name_and_when_it_is_over(status_of):
    calm, wrong = status_of(), status_of(phase=Phase.DEGRADED, Degraded=AWAY)
    worse = status_of(phase=Phase.DEGRADED, Degraded=(True, "PodFailing", "a pod fails"))

    assert happenings(calm, wrong) == [Happening("Warning", "BotUnreachable", AWAY[2])]
    assert told(wrong, worse) == [("Warning", "PodFailing")]
    assert told(wrong, calm) == [("Normal", "Running"), ("Normal", "TroubleOver")]


def test_a_budget_that_is_used_up_is_told_and_when_there_is_one_again(status_of):
    calm, used_up = status_of(), status_of(IdentifyBudgetOK=USED_UP)

    assert told(calm, used_up) == [("Warning", "BudgetUsedUp")]
    assert told(used_up, calm) == [("Normal", "BudgetRefilled")]


def test_a_pause_is_told_where_there_is_such_a_condition(status_of):
    calm, paused = status_of(Paused=(False, "NotPaused", "-")), status_of(Paused=(True, "PausedByManifest", "paused"))

    assert told(calm, paused) == [("Normal", "PausedByManifest")]
    assert told(paused, calm) == [("Normal", "Continued")]


REPLACING = (True, "ReplacingPods", "pods are being replaced, one after the other: 0 of 2 done")


def test_replacing_pods_is_told_when_it_begins_and_when_it_is_done(status_of):
    calm = status_of(rollout=rollout(2))
    begun = status_of(rollout=rollout(0), Progressing=REPLACING)
    reconnecting = status_of(rollout=rollout(1, leaving=1), Progressing=(True, "ShardsConnecting", "15 of 16"))

    assert told(calm, begun) == [("Normal", "ReplacingPods")]
    assert told(begun, reconnecting) == []
    assert told(reconnecting, begun) == []
    assert told(begun, calm) == [("Normal", "PodsReplaced")]


def test_replacing_pods_that_is_only_interrupted_is_not_told_as_done(status_of):
    begun = status_of(rollout=rollout(1), Progressing=REPLACING)

    assert told(begun, status_of(rollout=rollout(1), Progressing=(True, "ShardsConnecting", "15 of 16"))) == []


def test_a_pod_that_was_started_again_is_not_told_as_replaced(status_of):
    assert told(status_of(rollout=rollout(2)), status_of(rollout=rollout(1))) == []


def test_a_reshard_is_told_phase_by_phase_to_its_end(status_of, reshard_of):
    way = [
        status_of(),
        *(
            status_of(reshard=reshard_of(phase, handed=handed))
            for phase, handed in [
                ("Preparing", 0),
                ("Starting", 0),
                ("Warming", 0),
                ("HandingOver", 0),
                ("HandingOver", 1),
                ("HandingOver", 2),
                ("Draining", 2),
            ]
        ),
        status_of(shards=32, active=of_epoch(2)),
    ]

    reasons = [one.reason for old, new in pairwise(way) for one in happenings(old, new)]

    assert reasons == [
        "ReshardPreparing",
        "ReshardStarting",
        "ReshardWarming",
        "ReshardHandingOver",
        "RangesHandedOver",
        "RangesHandedOver",
        "ReshardDraining",
        "ReshardDone",
    ]


def test_many_ranges_are_told_ten_times_at_most_and_the_last_always(status_of, reshard_of):
    way = [status_of(reshard=reshard_of("HandingOver", handed=handed, ranges=997)) for handed in range(998)]

    notes = [one for old, new in pairwise(way) for one in happenings(old, new)]

    assert len(notes) == 10
    assert notes[-1].message == "997 of 997 ranges handed over"


def test_a_reshard_that_is_given_up_is_a_warning(status_of, reshard_of):
    going, aborting = (status_of(reshard=reshard_of(phase, handed=1)) for phase in ("HandingOver", "Aborting"))
    given_back = status_of(reshard=reshard_of("Aborting", handed=0))

    assert told(going, aborting) == [("Warning", "ReshardAborting")]
    assert told(aborting, given_back) == []
    assert told(given_back, status_of()) == [("Warning", "ReshardAborted")]


def test_a_reshard_that_was_never_begun_is_only_withdrawn(status_of, reshard_of):
    preparing = status_of(reshard=reshard_of("Preparing"))
    further = status_of(reshard=reshard_of("Preparing", to=64))

    assert told(preparing, further) == [("Normal", "ReshardPreparing")]
    assert told(preparing, status_of()) == [("Normal", "ReshardWithdrawn")]


def test_a_person_who_pauses_a_reshard_reads_of_it(status_of, reshard_of):
    going, paused = status_of(reshard=reshard_of("Warming")), status_of(reshard=reshard_of("Warming", paused=True))

    assert told(going, paused) == [("Normal", "ReshardPaused")]
    assert told(paused, going) == [("Normal", "ReshardContinued")]


def test_a_reshard_that_is_held_back_is_told_once(status_of):
    assert told(status_of(), status_of(Resharding=HELD_BACK)) == [("Normal", "ReshardHeldBack")]


def test_the_first_dead_letter_is_told(status_of):
    assert told(status_of(), status_of(dead_letters=1)) == [("Warning", "DeadLetters")]


WRONG = Happening("Warning", "BotUnreachable", "the bot takes no events")


def test_an_event_is_of_its_resource(owner):
    body = event(owner, WRONG, now="2026-01-02T08:00:00Z", replica="operator-1")

    assert body["involvedObject"] == {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "namespace": "bots",
        "name": "mybot",
        "uid": owner.uid,
    }
    assert body["metadata"] == {"name": event_name(owner, WRONG), "namespace": "bots"}
    assert (body["type"], body["reason"], body["message"]) == ("Warning", "BotUnreachable", "the bot takes no events")


def test_the_same_said_again_is_counted_and_not_a_second_event(owner):
    first = event(owner, WRONG, now="2026-01-02T08:00:00Z", replica="operator-1")
    again = event(owner, WRONG, now="2026-01-02T12:00:00Z", replica="operator-2", before=first)

    assert again["metadata"]["name"] == first["metadata"]["name"]
    assert (first["count"], again["count"]) == (1, 2)
    assert again["firstTimestamp"] == first["firstTimestamp"] == "2026-01-02T08:00:00Z"
    assert again["lastTimestamp"] == "2026-01-02T12:00:00Z"


def test_another_message_is_another_event(owner):
    names = {
        event_name(owner, one)
        for one in (
            WRONG,
            Happening("Warning", "BotUnreachable", "another"),
            Happening("Normal", *("BotUnreachable", WRONG.message)),
        )
    }

    assert len(names) == 3


def test_a_message_that_is_too_long_is_cut(owner):
    body = event(owner, Happening("Normal", "Any", "x" * 5000), now="2026-01-02T08:00:00Z", replica="o")

    assert len(body["message"]) == 1024
