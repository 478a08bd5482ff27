"""The election step by step, on a virtual clock: two replicas, one Lease, and an API server that can fail."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway_operator.kube.elector import Leadership, LeaseConflictError

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_leader_makes_the_lease_and_takes_it_when_it_has_stood_for_its_duration(api, replica):
    first = replica("a")

    at = await first.until("acquired")

    assert 15.0 <= at <= 20.0
    assert first.elector.leads()
    assert api.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000006Z",
        "renewTime": "2026-01-02T03:04:05.000006Z",
        "leaseTransitions": 1,
    }


async def test_a_leader_renews_every_two_seconds_and_the_other_waits(api, replica):
    first, second = replica("a"), replica("b")
    await asyncio.sleep(20)
    writes = api.writes
    await asyncio.sleep(600)

    assert api.writes - writes == 300
    assert sorted(len(one.events) for one in (first, second)) == [0, 1]
    assert [first.elector.leads(), second.elector.leads()].count(True) == 1


async def test_a_leader_that_dies_is_followed_when_its_lease_has_run_out(api, replica):
    first = replica("a")
    await first.until("acquired")
    second = replica("b")
    await asyncio.sleep(10)
    first.elector._leases = None  # as after kill -9: nothing is renewed or given back
    died_at = now()
    taken_at = await second.until("acquired")

    assert 13.0 <= taken_at - died_at <= 15.0 + 2 * 2.4
    assert api.spec["leaseTransitions"] == 2


async def test_a_leader_that_stops_gives_the_lease_back_and_the_other_takes_over_at_its_next_try(api, replica):
    first = replica("a")
    await first.until("acquired")
    second = replica("b")
    await asyncio.sleep(5)
    await first.stop()
    assert first.events[-1][1] == "lost"
    assert not first.elector.leads()
    await first.elector.release()
    released_at = now()

    assert api.spec["holderIdentity"] == ""
    assert await second.until("acquired") - released_at <= 2.5
    assert api.spec["holderIdentity"] == "b"


async def test_who_does_not_hold_the_lease_gives_nothing_back(api, replica):
    first = replica("a")
    await first.until("acquired")
    second = replica("b")
    await asyncio.sleep(5)
    await second.stop()
    await second.elector.release()

    assert api.spec["holderIdentity"] == "a"


async def test_a_lease_that_cannot_be_given_back_is_told_and_runs_out(api, replica):
    first = replica("a")
    await first.until("acquired")
    await first.stop()
    api.down = True
    with capture_logs() as logs:
        await first.elector.release()

    assert {log["event"] for log in logs} == {"the Lease could not be given back"}


async def test_without_the_api_server_a_leader_stops_in_time_and_takes_up_again_with_a_transition_more(api, replica):
    first = replica("a")
    await first.until("acquired")
    leadership = first.leaderships[0]
    await asyncio.sleep(30)
    with capture_logs() as logs:
        api.down = True
        down_at = now()
        lost_at = await first.until("lost")
        assert not first.elector.leads()
        await asyncio.sleep(60 - (lost_at - down_at))
        api.down = False
        again_at = await first.until("acquired")

    assert 8.0 <= lost_at - down_at <= 10.0
    assert again_at - down_at <= 60 + 2.5
    assert api.spec["leaseTransitions"] == 2
    assert not leadership.leads(), "the first time of leading is over for good"
    assert first.leaderships[1].leads()
    assert len([log for log in logs if "cannot be read" in log["event"]]) == 1, "told once"


async def test_leading_ends_ten_seconds_after_the_start_of_the_last_renewal(api, replica, reached):
    first = replica("a")
    await first.until("acquired")
    api.slow = 1.5
    await asyncio.sleep(30)
    written = api.writes
    await reached(lambda: api.writes > written)
    started = now()
    await asyncio.sleep(1.6)
    api.down = True

    assert await first.until("lost") == pytest.approx(started + 10.0, abs=0.11)


async def test_an_answer_that_comes_after_the_deadline_renews_nothing(api, replica):
    first = replica("a")
    await first.until("acquired")
    second = replica("b")
    await asyncio.sleep(1)
    api.slow = 30.0
    lost_at = await first.until("lost")
    assert lost_at <= now()
    await asyncio.sleep(200)
    assert [event for _, event in first.events] == ["acquired", "lost"]
    assert second.events == []

    api.slow = 0.0
    await asyncio.sleep(30)
    assert [first.elector.leads(), second.elector.leads()].count(True) == 1


async def test_an_acquisition_whose_answer_was_lost_is_found_at_the_next_try(api, replica, reached):
    first = replica("a")
    await asyncio.sleep(14)
    api.lose_answers = True
    await reached(lambda: api.spec.get("holderIdentity") == "a")
    assert not first.elector.leads()
    api.lose_answers = False
    await first.until("acquired")

    assert api.spec["leaseTransitions"] == 2


async def test_a_container_that_is_started_again_takes_its_pods_lease_at_once(api, replica):
    first = replica("a")
    await first.until("acquired")
    await first.stop()
    started_at = now()
    second = replica("a")

    assert await second.until("acquired") - started_at <= 0.1
    assert api.spec["leaseTransitions"] == 2


async def test_a_leader_whose_lease_is_anothers_ceases_at_once(api, replica):
    first = replica("a")
    await first.until("acquired")
    api.lease["spec"]["holderIdentity"] = "c"
    api.lease["metadata"]["resourceVersion"] = "taken"
    taken_at = now()

    assert await first.until("lost") - taken_at <= 2.1


async def test_a_conflict_is_a_renewal_that_failed_and_no_reason_to_stop(api, replica):
    first = replica("a")
    await first.until("acquired")
    replace = api.replace
    conflicts = iter([True, True, True])

    async def conflicting(lease):
        if next(conflicts, False):
            raise LeaseConflictError
        await replace(lease)

    api.replace = conflicting
    await asyncio.sleep(60)

    assert [event for _, event in first.events] == ["acquired"]
    assert first.elector.leads()


async def test_a_deleted_lease_is_taken_again_only_when_it_has_stood_for_its_duration(api, replica):
    first, second = replica("a"), replica("b")
    await asyncio.sleep(30)
    api.lease = None
    deleted_at = now()
    await asyncio.sleep(14.9)
    assert not first.elector.leads()
    assert not second.elector.leads()
    await asyncio.sleep(10)

    assert [first.elector.leads(), second.elector.leads()].count(True) == 1
    assert max(at for at, event in first.events + second.events if event == "acquired") >= deleted_at + 15


async def test_a_process_that_was_paused_does_not_believe_that_it_still_leads(api, replica):
    first = replica("a")
    await first.until("acquired")
    second = replica("b")
    await asyncio.sleep(3)
    first.paused_until = now() + 60
    await second.until("acquired")
    assert not first.elector.leads()
    await asyncio.sleep(70)

    assert [event for _, event in first.events] == ["acquired", "lost"]
    assert second.elector.leads()


async def test_a_lease_held_for_longer_than_ours_is_waited_for_as_long_as_its_holder_says(api, replica):
    api.lease = {
        "metadata": {"uid": "1", "resourceVersion": "1"},
        "spec": {"holderIdentity": "of another version", "leaseDurationSeconds": 60, "leaseTransitions": 7},
    }
    first = replica("a")

    assert await first.until("acquired") >= 60
    assert api.spec["leaseTransitions"] == 8


async def test_what_others_wrote_into_the_lease_is_kept(api, replica):
    api.lease = {"metadata": {"uid": "1", "resourceVersion": "1"}, "spec": {"strategy": "Oldest"}}
    first = replica("a")
    await first.until("acquired")

    assert api.spec["strategy"] == "Oldest"


async def test_a_cancelled_election_ends_the_leadership_before_anybody_else_can_lead(replica):
    first = replica("a")
    await first.until("acquired")
    await first.stop()

    assert first.events[-1][1] == "lost"
    assert not first.leaderships[0].leads()


async def test_a_leadership_that_was_over_once_is_not_renewed():
    time = 0.0
    leadership = Leadership(10.0, lambda: time)
    leadership.renewed(12.0)
    time = 11.9
    assert leadership.leads()
    time = 12.0
    assert not leadership.leads()
    leadership.renewed(22.0)
    assert not leadership.leads()
