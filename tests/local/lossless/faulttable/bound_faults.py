"""A queue whose bound is passed: on purpose, and counted; or not, as reading is paused."""

import json
from collections import Counter

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from .scenario import Scenario
from .world import RATE, Run, Settings

SHED = frozenset({"TYPING_START", "PRESENCE_UPDATE"})
DROPPING = "events are being dropped"


async def _dropped(run: Run) -> Counter[tuple[str, str]]:
    """What the pods have counted, by reason and type."""
    counted: Counter[tuple[str, str]] = Counter()
    status = await run.machine.status()
    assert status is not None
    async with aiohttp.ClientSession() as session:
        for pod in status.pods:
            async with session.get(f"http://{pod.http_address}/metrics") as response:
                text = await response.text()
            for family in text_string_to_metric_families(text):
                if family.name == "discord_gateway_events_dropped":
                    for sample in family.samples:
                        if sample.name.endswith("_total"):
                            counted[sample.labels["reason"], sample.labels["type"]] += int(sample.value)
    return counted


async def _bound_passed(run: Run) -> None:
    since = run.machine.log_size()
    await run.bot.stop()
    await run.until(lambda: run.machine.said(DROPPING, since), "the bound to be passed")
    await run.load(4)
    run.simulator.stop_load()
    await run.bot.start()
    await run.world.is_whole()
    counted = await _dropped(run)
    missing = run.missing()
    lost = Counter(run.types_of(missing).values())
    by_type: Counter[str] = Counter()
    for (_, event_type), number in counted.items():
        by_type[event_type] += number
    assert lost == by_type, "what is lost is what was counted, type for type"
    assert {event_type for reason, event_type in counted if reason == "shed"} == SHED
    assert {reason for reason, _ in counted} == {"shed", "queue_full"}, "both were meant to happen"
    first = _first_drops(run, since)
    assert set(first) == {"shed"}, f"shedFirst goes first: {first}"
    run.counted = sum(counted.values())
    run.start_load(RATE)


def _first_drops(run: Run, since: int) -> list[str]:
    """Why each worker dropped its first event, by what it logged from offset `since` on: it tells of that one alone."""
    lines = run.machine.log.read_bytes()[since:].splitlines()
    return [json.loads(line)["reason"] for line in lines if DROPPING.encode() in line]


async def _paused(run: Run) -> None:
    await run.bot.stop()
    await run.until(lambda: run.machine.said("nothing more is read from Discord"), "a queue to be full")
    await run.load(4)
    await run.bot.start()
    await run.until(lambda: run.machine.said("reading goes on"), "the queue to have room")


BOUND_FAULTS = (
    Scenario(
        "the queue's bound passed on purpose",
        "`queue: {maxEvents: 1000, shedFirst: [TYPING_START, PRESENCE_UPDATE]}`, and the bot down until much more "
        "would wait. What `shedFirst` names is dropped first, then the oldest; each drop is counted in `/metrics`, by "
        "reason and type, and nothing is lost but what was counted.",
        _bound_passed,
        settings=Settings(queue="{maxEvents: 1000, shedFirst: [TYPING_START, PRESENCE_UPDATE]}"),
        bounded=True,
    ),
    Scenario(
        "the queue's bound reached, overflow `pause`",
        "`queue: {maxEvents: 1000, overflow: pause}`, and a short stop of the bot: the pods stop reading, and Discord "
        "waits for them.",
        _paused,
        settings=Settings(queue="{maxEvents: 1000, overflow: pause}"),
    ),
)
