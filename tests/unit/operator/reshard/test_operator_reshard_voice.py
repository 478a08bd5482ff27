"""The bot's voice at the end of a reshard, and its being told of the new set."""

import pytest

from gateway_operator.core.reshard_voice import REJOIN_AT_MOST
from gateway_operator.core.world import ReshardPhase

PASS = 0.5  # as the fleet's
HANDING_OVER, DRAINING, ABORTING = ReshardPhase.HANDING_OVER, ReshardPhase.DRAINING, ReshardPhase.ABORTING


def resharding(fleet_of, *, voice="rejoin", says, **reshard):
    """A fleet whose new pods say this of voice, up to the last commit."""
    fleet = fleet_of(4, reshard={"voice": voice, "drainDelay": "30s", **reshard})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: fleet.of_epoch(2))
    for pod in fleet.of_epoch(2):
        pod.says |= says
    fleet.until(lambda fleet: len(fleet.committed) == 4)
    return fleet


def some(fleet):
    """One of the new set's pods."""
    return fleet.of_epoch(2)[-1]


def told(fleet, field):
    """The epochs whose instances are told to."""
    return {one.epoch for one in fleet.planned.assignments.values() if getattr(one, field)}


def passes(fleet, seconds):
    for _ in range(int(seconds / PASS)):
        fleet.pass_()


def test_without_voice_the_old_set_drains_as_soon_as_the_new_one_has_said_so(fleet_of):
    fleet = resharding(fleet_of, says={})
    passes(fleet, 3 * PASS)

    assert fleet.phase is DRAINING


def test_voice_is_brought_over_by_the_new_set_alone_once_all_is_handed_over(fleet_of):
    fleet = fleet_of(4, reshard={"voice": "rejoin"})
    fleet.reshard_to(8)
    while fleet.active.shard_count == 4:
        fleet.pass_()
        handed_all = fleet.reshard is not None and len(fleet.reshard.handed) == 4
        assert told(fleet, "rejoin_voice") == ({2} if handed_all else set())
    fleet.settle_down()

    assert told(fleet, "rejoin_voice") == set()


def test_the_old_set_stays_until_every_new_pod_has_sent_all(fleet_of):
    fleet = resharding(fleet_of, says={"voice_to_rejoin": 2})
    passes(fleet, 60)
    assert fleet.phase is HANDING_OVER
    assert fleet.waiting_for == "voice is being brought over to the new shards, 8 guilds to go"

    for pod in fleet.of_epoch(2):
        pod.says["voice_to_rejoin"] = 0
    some(fleet).says["voice_to_rejoin"] = 1
    passes(fleet, 5)
    assert fleet.waiting_for == "voice is being brought over to the new shards, 1 guild to go"

    some(fleet).says["voice_to_rejoin"] = 0
    passes(fleet, 2 * PASS)
    assert fleet.phase is DRAINING
    assert "voice" not in fleet.waiting_for


@pytest.mark.parametrize("trouble", ["has not been told", "has no connection", "does not run"])
def test_a_pod_that_does_not_say_is_waited_for(fleet_of, trouble):
    fleet = resharding(fleet_of, says={})
    pod = some(fleet)
    match trouble:
        case "has not been told":
            pod.says["voice_to_rejoin"] = None
        case "has no connection":
            pod.connected = False
        case "does not run":
            pod.running = False
    fleet.operate()
    assert fleet.phase is HANDING_OVER
    assert fleet.waiting_for == f"{pod.spec.name} has not said yet whether it has voice to bring over"

    pod.says.clear()
    pod.running = pod.connected = True
    passes(fleet, 3 * PASS)
    assert fleet.phase is DRAINING


def test_after_five_minutes_it_goes_on_and_says_what_is_left_behind(fleet_of):
    fleet = resharding(fleet_of, says={"voice_to_rejoin": 2})
    passes(fleet, REJOIN_AT_MOST - 10)
    assert fleet.phase is HANDING_OVER

    passes(fleet, 15)
    assert fleet.phase is DRAINING
    assert told(fleet, "rejoin_voice") == {2}
    assert "voice in 8 guilds was not brought over within 5 min, and ends with them" in fleet.waiting_for


def test_an_operator_that_is_started_again_goes_on_waiting_no_longer_than_that(fleet_of):
    fleet = resharding(fleet_of, says={"voice_to_rejoin": 2})
    passes(fleet, REJOIN_AT_MOST / 2)
    fleet.crash()
    passes(fleet, 10)
    assert fleet.phase is HANDING_OVER
    assert told(fleet, "rejoin_voice") == {2}

    passes(fleet, REJOIN_AT_MOST / 2)
    assert fleet.phase is DRAINING


def test_with_wait_it_waits_without_a_limit_and_is_not_given_up(fleet_of):
    fleet = resharding(fleet_of, voice="wait", says={"voice": 0}, abortAfter="1m")
    some(fleet).says["voice"] = 3
    passes(fleet, 600)
    assert fleet.phase is HANDING_OVER
    assert told(fleet, "rejoin_voice") == set()
    assert (
        fleet.waiting_for
        == "the bot is in voice in 3 guilds, which would end with the old shards (spec.reshard.voice: wait)"
    )

    some(fleet).says["voice"] = 0
    passes(fleet, 2 * PASS)
    assert fleet.phase is DRAINING


def test_with_wait_a_pod_that_does_not_say_is_waited_for(fleet_of):
    fleet = resharding(fleet_of, voice="wait", says={"voice": None})
    passes(fleet, 30)

    assert fleet.phase is HANDING_OVER
    assert "has not said yet whether the bot is in voice" in fleet.waiting_for


@pytest.mark.parametrize("voice", ["rejoin", "wait"])
def test_a_person_may_still_give_it_up(fleet_of, voice):
    fleet = resharding(fleet_of, voice=voice, says={"voice": 2, "voice_to_rejoin": 2})
    passes(fleet, 5)
    fleet.request(abort=True)
    fleet.pass_()

    assert fleet.phase is ABORTING
    assert told(fleet, "rejoin_voice") == set()
    fleet.until_phase(None)
    assert fleet.active.shard_count == 4


def test_a_standstill_before_the_last_range_is_still_given_up(fleet_of):
    fleet = fleet_of(4, reshard={"voice": "wait", "abortAfter": "1m"})
    fleet.reshard_to(8)
    fleet.until(lambda fleet: len(fleet.committed) == 3)
    for pod in fleet.pods.values():
        pod.says["watching_for"] = 0.0
    passes(fleet, 90)

    assert fleet.phases[-2:] != [HANDING_OVER, DRAINING]
    assert ABORTING in fleet.phases


@pytest.mark.parametrize(("events", "epochs"), [(True, {2}), (False, set())])
def test_the_bot_is_told_while_the_old_set_drains_if_that_is_wanted(fleet_of, events, epochs):
    fleet = fleet_of(4, reshard={"events": events})
    fleet.reshard_to(8)
    while fleet.phase is not DRAINING:
        fleet.pass_()
        assert fleet.phase is DRAINING or told(fleet, "announce") == set()
    assert told(fleet, "announce") == epochs

    fleet.until(lambda fleet: fleet.reshard is None)
    fleet.settle_down()
    assert told(fleet, "announce") == set()


def test_the_old_set_stays_until_the_order_to_tell_the_bot_has_come(fleet_of):
    fleet = fleet_of(4, reshard={"events": True, "drainDelay": "0s"})
    fleet.reshard_to(8)
    fleet.until_phase(DRAINING)
    (teller,) = [pod for pod in fleet.of_epoch(2) if pod.spec.pod.range.first_shard_id == 0]
    teller.connected = False
    passes(fleet, 10)
    assert fleet.phase is DRAINING
    assert fleet.waiting_for == f"{teller.spec.name} has still to tell the bot"

    teller.connected = True
    passes(fleet, 5)
    assert fleet.reshard is None
