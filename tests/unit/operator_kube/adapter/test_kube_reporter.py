"""The status that is written into the resource, and the Events: each once, whatever fails meanwhile."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.status_model import Phase
from gateway_operator.kube.api import EVENT, GATEWAY
from gateway_operator.kube.reporter import AT_MOST_EVERY, Reporter, status_patch

DOWN = (True, "BotDown", "the bot does not answer")


@pytest.fixture
def reporter_of(cluster, owner, clock):
    def build(previous=None):
        return Reporter(
            cluster,
            owner,
            previous=previous or {},
            clock=clock,
            calendar=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            replica="operator-0",
        )

    return build


@pytest.fixture
def report(reporter_of, clock, resource, cluster):
    """Report, and wait until the next may be written."""
    resource()
    cluster.done.clear()
    reporter = reporter_of()

    async def report(status, generation=1):
        await reporter.report(status, generation=generation)
        clock.advance(AT_MOST_EVERY)

    return report


def status(cluster):
    return cluster.look(GATEWAY, "mybot")["status"]


def told(cluster):
    return {one["reason"]: one["count"] for one in cluster.all_of(EVENT)}


# The status.


async def test_it_is_written_when_it_is_new(report, cluster, status_of):
    await report(status_of())
    await report(status_of())
    await report(status_of(guilds=7))

    assert cluster.done.count("patch DiscordGateway mybot") == 2
    assert status(cluster)["guilds"] == 7


async def test_it_is_written_once_a_second_at_most(reporter_of, resource, cluster, clock, status_of):
    resource()
    reporter = reporter_of()
    for guilds in range(10):
        await reporter.report(status_of(guilds=guilds), generation=1)
    assert status(cluster)["guilds"] == 0

    clock.advance(AT_MOST_EVERY)
    await reporter.report(status_of(guilds=10), generation=1)
    assert status(cluster)["guilds"] == 10


async def test_what_is_no_longer_true_is_taken_away(report, cluster, status_of, reshard_of):
    await report(status_of(reshard=reshard_of("Warming")))
    assert "reshard" in status(cluster)
    await report(status_of())

    assert "reshard" not in status(cluster)


async def test_the_next_operator_takes_away_what_the_one_before_has_written(
    reporter_of, resource, report, cluster, status_of, reshard_of
):
    await report(status_of(reshard=reshard_of("Warming")))
    await reporter_of(status(cluster)).report(status_of(), generation=1)

    assert "reshard" not in status(cluster)


async def test_the_next_operator_does_not_write_what_is_there_already(reporter_of, report, cluster, status_of):
    await report(status_of())
    cluster.done.clear()
    await reporter_of(status(cluster)).report(status_of(), generation=1)

    assert cluster.done == []


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("code", [0, 409, 422, 500])
async def test_a_write_that_fails_is_tried_again_and_ends_no_pass(report, cluster, status_of, lost, code):
    cluster.fail("patch DiscordGateway", code, lost=lost)
    await report(status_of())
    await report(status_of())

    assert status(cluster)["guilds"] == 1000
    assert "Running" in told(cluster)


async def test_a_resource_that_is_gone_ends_no_pass(reporter_of, status_of):
    await reporter_of().report(status_of(), generation=1)


async def test_commands_are_named_as_a_person_gives_them_on_a_cluster(report, cluster, status_of, reshard_of):
    """`kubectl describe` shows the resource: it must not send anybody to a command of another machine."""
    hint = "not now: `discord-gateway reshard --resume` lets it go on"
    waits = reshard_of("Starting", waiting_for=hint, message=f"it waits: {hint}")
    await report(status_of(Degraded=(True, "Paused", hint), reshard=waits))

    written = status(cluster)
    (degraded,) = [one for one in written["conditions"] if one["type"] == "Degraded"]
    for words in (degraded["message"], written["reshard"]["waitingFor"], written["reshard"]["message"]):
        assert "`kubectl dgw reshard --resume`" in words


async def test_to_begin_anew_means_to_make_the_resource_anew(report, cluster, status_of):
    anew = "give all parts 8, stop it and run `discord-gateway up --fresh`, which forgets the sessions"
    await report(status_of(Resharding=(False, "ReshardHeldBack", anew)))

    (condition,) = [one for one in status(cluster)["conditions"] if one["type"] == "Resharding"]
    assert condition["message"] == "give all parts 8, delete it and apply it again, which forgets the sessions"


# Events.


async def test_what_happens_is_told_once(report, cluster, status_of):
    await report(status_of())
    await report(status_of(guilds=8, Degraded=DOWN))
    await report(status_of(guilds=9, Degraded=DOWN))

    assert told(cluster) == {"Running": 1, "BotDown": 1}


async def test_what_happens_again_is_counted(report, cluster, status_of):
    for guilds in (1, 2, 3):
        await report(status_of(guilds=guilds))
        await report(status_of(guilds=guilds, Degraded=DOWN))

    assert told(cluster)["BotDown"] == 3


@pytest.mark.parametrize("request_", ["get Event", "create Event"])
@pytest.mark.parametrize("code", [0, 500])
async def test_an_event_that_could_not_be_told_is_told_later_also_if_nothing_changes(
    report, cluster, status_of, request_, code
):
    cluster.fail(request_, code)
    await report(status_of(phase=Phase.CONNECTING, Degraded=DOWN))
    for _ in range(2):
        await report(status_of(phase=Phase.CONNECTING, Degraded=DOWN))

    assert told(cluster) == {"Connecting": 1, "BotDown": 1}


async def test_an_event_that_changed_meanwhile_is_told_later(report, cluster, status_of):
    await report(status_of())
    await report(status_of(Degraded=DOWN))
    await report(status_of())
    cluster.fail("replace Event", 409)
    await report(status_of(guilds=8, Degraded=DOWN))
    await report(status_of(guilds=8, Degraded=DOWN))

    assert told(cluster)["BotDown"] == 2


async def test_an_event_that_is_refused_holds_up_no_other(report, cluster, status_of):
    cluster.fail("create Event", 403)
    await report(status_of(phase=Phase.CONNECTING, Degraded=DOWN))
    await report(status_of(phase=Phase.CONNECTING, Degraded=DOWN))

    assert told(cluster) == {"BotDown": 1}


async def test_what_waits_to_be_told_is_bounded(report, cluster, status_of):
    cluster.fail("get Event", 500, times=1000)
    for count in range(200):
        await report(status_of(guilds=count, **({"Degraded": DOWN} if count % 2 else {})))
    cluster.mend()
    for _ in range(3):
        await report(status_of())

    assert sum(told(cluster).values()) <= 50


# The merge patch.

values = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=1) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
statuses = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


@given(statuses, statuses)
def test_the_patch_leads_from_any_status_to_any_other(merged, before, after):
    assert merged(before, status_patch(before, after)) == after
