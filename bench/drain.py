"""How fast a backlog drains when the bot is back, and what live events of guilds without one wait for meanwhile.

In a third of the guilds nothing happens while the bot is away, so they have no backlog. Their events are timed from the
simulated Discord, which is in this process, to the bot, which notes each by the same clock: first without a drain, then
during it, at the same rate.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from discord_simulator import DEFAULT_TOKEN, Simulator, SimulatorSettings
from discord_simulator.events import Event
from discord_simulator.generator import EventGenerator
from discord_simulator.session import Session
from machine import BotProcess, Up, manifest, percentile, wait_until
from page import write_section

SHARDS, PODS = 16, 2
GUILDS = 1_500
WITHOUT_BACKLOG = GUILDS // 3
LIVE_RATE, LIVE_SECONDS = 500.0, 10.0
AT_ONCE = 250
"""Events of the backlog between two pauses, in which the simulator sends them."""
BATCH = 100
AGEING_SECONDS = 4.0
"""Until all that waits is on disk as well, as after any outage of more than seconds."""
SINK_UP_POLL = 0.02


@dataclass
class Result:
    """Times in seconds. `calm` and `meanwhile`: delays of events of guilds without a backlog."""

    backlog: int
    seconds: float
    calm: list[float]
    meanwhile: list[float]


def note_sending(simulator: Simulator) -> dict[int, float]:
    """When each event was sent: the ledger writes it down at that moment."""
    sent: dict[int, float] = {}
    record = simulator.ledger.record

    def timed(event: Event, deliveries: Sequence[tuple[Session, int]]) -> None:
        sent[event.number] = time.monotonic()
        record(event, deliveries)

    simulator.ledger.record = timed
    return sent


async def live_load(simulator: Simulator) -> range:
    """Numbers of the events that were sent meanwhile."""
    first = simulator.ledger.next_number
    simulator.start_load(LIVE_RATE, duration=LIVE_SECONDS)
    await simulator.wait_load_done()
    return range(first, simulator.ledger.next_number)


async def send_backlog(simulator: Simulator, guild_ids: list[int], events: int) -> range:
    """As fast as it goes, to these guilds alone, which no load of the simulator's own can do. Numbers as above."""
    first = simulator.ledger.next_number
    generator = EventGenerator(guild_ids, "backlog")
    for number in range(events):
        simulator._discord.publish(generator.next())  # noqa: SLF001 -- faster than any load it offers
        if number % AT_ONCE == 0:
            await asyncio.sleep(0.001)
    return range(first, simulator.ledger.next_number)


def wait_for_all(bot: BotProcess, last: int) -> None:
    wait_until(lambda: len({number for _, number, *_ in bot.arrivals()}) >= last, "all events", within=120, poll=1.0)


async def measure(simulator: Simulator, up: Up, bot: BotProcess, events: int) -> Result:
    sent = note_sending(simulator)
    await asyncio.to_thread(up.wait_for_shards, SHARDS)
    pods = up.pods()

    def queued() -> int:
        return int(sum(pod.gauge("queue_events") for pod in pods))

    calm = await live_load(simulator)
    await asyncio.to_thread(wait_until, lambda: not queued(), "an empty queue", within=20)
    bot.kill()
    chosen = simulator.guild_ids[:WITHOUT_BACKLOG]
    backlog = await send_backlog(simulator, simulator.guild_ids[WITHOUT_BACKLOG:], events)
    await asyncio.to_thread(wait_until, lambda: queued() >= events, "the backlog", within=60)
    await asyncio.sleep(AGEING_SECONDS)
    await asyncio.to_thread(bot.start)
    # Each pod asks for the bot with backoff: until it knows, its live events wait for its next question, not in a turn.
    await asyncio.to_thread(
        wait_until,
        lambda: all(pod.gauge("sink_up") for pod in pods),
        "pods that know that the bot is back",
        within=20,
        poll=SINK_UP_POLL,
    )
    meanwhile = await live_load(simulator)
    await asyncio.to_thread(wait_for_all, bot, simulator.ledger.next_number - 1)
    return evaluate(simulator, bot, sent, set(map(str, chosen)), calm=calm, backlog=backlog, meanwhile=meanwhile)


def evaluate(
    simulator: Simulator,
    bot: BotProcess,
    sent: dict[int, float],
    chosen: set[str],
    *,
    calm: range,
    backlog: range,
    meanwhile: range,
) -> Result:
    arrived = {number: at for at, number, *_ in reversed(bot.arrivals())}  # the first arrival counts
    began, ended = (pick(arrived[number] for number in backlog) for pick in (min, max))

    def delays(numbers: range) -> list[float]:
        return [
            arrived[number] - sent[number]
            for number, _, guild, _, _ in simulator.ledger.rows(numbers.start, numbers.stop - 1)
            if guild in chosen
        ]

    in_drain = range(meanwhile.start, max((number for number in meanwhile if sent[number] <= ended), default=0) + 1)
    return Result(len(backlog), ended - began, delays(calm), delays(in_drain))


@contextmanager
def on_simulator(simulator: Simulator, directory: Path, bot: BotProcess) -> Iterator[Up]:
    """`discord-gateway up` with the simulator of this process as its Discord."""
    ca = directory / "secrets" / "simulator" / "ca.crt"
    ca.parent.mkdir(parents=True)
    ca.write_bytes(simulator.ca_pem)
    discord = f"discord: {{baseURL: {simulator.rest_url_tls}, caSecretRef: {{name: simulator, key: ca.crt}}}}"
    sink = f"batch: {{maxEvents: {BATCH}}}"
    up = Up(directory)
    text = manifest(shards=SHARDS, pods=PODS, url=bot.url, discord=discord, sink=sink)
    with up.running(text, token=DEFAULT_TOKEN):
        yield up


async def run(events: int) -> Result:
    settings = SimulatorSettings(guilds=GUILDS, max_concurrency=SHARDS)
    with tempfile.TemporaryDirectory(prefix="dgw-drain-") as name:
        bot = BotProcess(Path(name))
        bot.start()
        try:
            async with Simulator(settings) as simulator, contextlib.AsyncExitStack() as stack:
                running = on_simulator(simulator, Path(name), bot)
                up = await asyncio.to_thread(running.__enter__)
                stack.push_async_exit(lambda *error: asyncio.to_thread(running.__exit__, *error))
                return await measure(simulator, up, bot, events)
        finally:
            bot.kill()


def report(result: Result) -> str:
    def row(name: str, delays: list[float]) -> str:
        return (
            f"| {name} | {len(delays):,} | {statistics.median(delays) * 1000:.1f} "
            f"| {percentile(delays, 0.99) * 1000:.1f} |"
        )

    calm, meanwhile = result.calm, result.meanwhile
    medians = statistics.median(meanwhile) / statistics.median(calm)
    high = percentile(meanwhile, 0.99) / percentile(calm, 0.99)
    what = (
        f"{result.backlog:,} events of {GUILDS - WITHOUT_BACKLOG:,} guilds, in {PODS} pods, drain in "
        f"{result.seconds:.1f} s: {result.backlog / result.seconds:,.0f} events/s, in batches of {BATCH}, while "
        f"{LIVE_RATE:.0f} live events/s come. Of these, the events of {WITHOUT_BACKLOG} guilds without a backlog:"
    )
    return "\n".join(
        [
            what,
            "",
            "| from Discord to the bot, in ms | events | median | 99th percentile |",
            "|---|---:|---:|---:|",
            row("without a drain", calm),
            row("during it", meanwhile),
            f"| ratio | | {medians:.1f} | {high:.1f} |",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=180_000)
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    text = report(uvloop.run(run(arguments.events)))
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "drain", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
