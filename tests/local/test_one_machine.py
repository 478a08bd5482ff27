"""Events flow from a simulated Discord to a bot through real processes, and every one of them is accounted for."""

import asyncio
import signal

import pytest
from aiohttp import web

EVENTS, RATE = 1500, 500
REFUSALS = 15
UNDECIDED = {"unknown", "disconnected", "identifying"}
"""States of shards whose pods and workers are just beginning, or who wait for Discord's answer."""


@pytest.mark.parametrize(
    "world", [{"compression": name} for name in ("zstd-stream", "zlib-stream", "none")], indirect=True
)
async def test_every_event_arrives_once_and_in_order_while_shards_lose_their_connections(world):
    await world.up.start()
    await world.up.wait_for_shards()

    world.simulator.start_load(RATE, events=EVENTS)
    for number, (shard, how) in enumerate((("0/4", "tcp-reset"), ("1/4", "reconnect"), ("2/4", "close")), 1):
        await world.wait_until(lambda at=number: len(world.bot.deliveries) > at * EVENTS // 4, "some of the events")
        world.simulator.kill(shard, how)
    await world.wait_for_all_events()

    account = world.account()
    assert account.sent >= EVENTS
    assert account.exactly_once, account.report()
    assert account.misread == []
    assert world.simulator.ledger.summary()["identifies"] == 4


async def test_nothing_is_lost_while_the_bot_is_away_and_its_events_arrive_in_order_when_it_is_back(world):
    await world.up.start()
    await world.up.wait_for_shards()

    world.simulator.start_load(RATE, events=EVENTS)
    await world.wait_until(lambda: len(world.bot.deliveries) > EVENTS // 4, "some of the events")
    await world.bot.stop()
    await world.simulator.wait_load_done()
    await world.bot.start()
    await world.wait_for_all_events()

    account = world.account()
    assert (account.lost, account.doubled, account.order_violations) == ([], [], []), account.report()


@pytest.mark.parametrize("world", [{"timeout": "2s"}], indirect=True)
async def test_a_bot_that_answers_500_429_or_not_at_all_gets_every_event_again_with_the_same_key(world):
    await world.up.start()
    await world.up.wait_for_shards()
    refused = []

    async def refuse_some(request):
        if len(refused) >= REFUSALS:
            return None
        refused.append(request.headers["Idempotency-Key"])
        match len(refused) % 3:
            case 0:
                return web.Response(status=500)
            case 1:
                return web.Response(status=429, headers={"Retry-After": "1"})
            case _:
                await asyncio.sleep(60)  # longer than `timeout`: the pod gives up first
        return None

    world.bot.answer = refuse_some
    world.simulator.start_load(RATE, events=EVENTS // 3)
    await world.wait_for_all_events()

    account = world.account()
    assert len(refused) == REFUSALS
    assert account.exactly_once, account.report()
    assert set(refused) <= {key for _, key, _ in world.bot.deliveries}
    assert max(world.bot.attempts) > 1


async def test_sigterm_ends_it_with_status_0_and_leaves_the_sessions_resumable(world):
    await world.up.start()
    await world.up.wait_for_shards()

    status = await world.up.end(signal.SIGTERM)

    assert status == 0
    assert "is killed" not in world.up.log.read_text()
    await world.wait_until(lambda: not any(connected(world)), "Discord to notice that the connections are closed")
    assert connected(world) == [False] * 4


async def test_pods_outlive_a_killed_operator_and_the_next_one_takes_them_over_without_an_identify(world):
    await world.up.start()
    await world.up.wait_for_shards()
    pods = world.up.pod_pids()

    await world.up.end(signal.SIGKILL)
    world.simulator.start_load(RATE, events=EVENTS // 3)
    await world.wait_for_all_events()
    await world.up.start()
    await world.up.wait_for_shards()

    assert world.up.pod_pids() == pods
    assert world.simulator.ledger.summary()["identifies"] == 4
    assert world.account().exactly_once, world.account().report()


async def test_a_token_that_discord_refuses_ends_up_with_one_line_and_status_2(world):
    await world.up.start(token="wrong-token")

    status = await asyncio.wait_for(world.up.process.wait(), 30)

    assert status == 2
    (line,) = [line for line in world.up.log.read_text().splitlines() if not line.startswith("{")]
    assert "Discord refused the token" in line
    assert "wrong-token" not in world.up.log.read_text()


@pytest.mark.parametrize("world", [{"granted_intents": 53575421}], indirect=True)
async def test_privileged_intents_that_are_not_granted_are_named_in_the_status_and_not_tried_again(world):
    await world.up.start()

    statuses = []

    async def failed():
        statuses.append(await world.up.status())
        return statuses[-1] is not None and statuses[-1]["phase"] == "Failed" and not states(statuses[-1]) & UNDECIDED

    await world.wait_until(failed, "the phase Failed, and Discord's answer to every Identify")
    status = statuses[-1]

    words = " ".join(condition["message"] for condition in status["conditions"])
    assert "Server Members Intent" in words
    assert "Developer Portal" in words
    assert "refused" in states(status)
    assert states(status) <= {"refused", "awaiting_permit", "connecting"}
    refusals = [breach for breach in world.simulator.ledger.violations if breach.rule == "disallowed-intents"]
    assert 1 <= len(refusals) <= 4, "each shard has tried once at most"


async def test_status_and_readiness_say_in_words_that_the_bot_is_away(world):
    await world.bot.stop()
    await world.up.start()

    async def told():
        status = await world.up.status()
        return status is not None and "takes no events" in str(status["conditions"])

    await world.wait_until(told, "the bot's absence in the status")

    status = await world.up.status()
    assert status["phase"] == "Degraded"


def connected(world):
    """Of each session that lives, whether it has a connection."""
    return [session["connected"] for session in world.simulator.sessions]


def states(status):
    return {row["state"] for row in status["shardRows"]}
