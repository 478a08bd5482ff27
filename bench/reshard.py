"""What a reshard takes: time, the delay of events whose guilds change hands, memory, and the cost of watching.

The simulated Discord is in this process, as in drain.py, so each event is timed from Discord to the bot by one clock. A
reshard is followed by what the operator stores of it, which is before it acts on it. Exit status 1 if a goal is missed,
or if an event was lost, doubled or came out of order.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from discord_simulator import DEFAULT_TOKEN, Simulator, SimulatorSettings, settle
from discord_simulator.events import SHARD_0_TYPES
from drain import note_sending
from machine import COMMAND, BotProcess, PodProcesses, Up, manifest, wait_until
from page import write_section
from reshard_result import AROUND, RATE, Case, Result, Settings, report
from watched import measure_watching

GUILDS = 1_600
CALM_SECONDS, AFTERWARDS_SECONDS = 10.0, 10.0
"""Of load before the reshard is asked for, and with the new set alone."""
LOOK_EVERY, SAMPLE_EVERY = 0.02, 1.0


QUICK = Settings(max_skew=0.5, fence_timeout=1.0, settle=1.0, drain_delay=2.0)
CASES = (Case(4, 8, shards_a_pod=2, max_concurrency=4), Case(16, 32, shards_a_pod=8, max_concurrency=16))


@dataclass
class Course:
    """A reshard as it was stored: when each phase began."""

    began: dict[str, float] = field(default_factory=dict)
    all_connected: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, reshard: dict[str, Any] | None) -> bool:
        """Whether it is over."""
        if reshard is None:
            return bool(self.began)
        self.began.setdefault(reshard["phase"], time.monotonic())
        if "Warming" in self.began:
            self.all_connected.set()
        return False


def stored(state: Path) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError):
        reshard: dict[str, Any] | None = json.loads((state / "reshard.json").read_bytes())["reshard"]
        return reshard
    return None


async def follow(state: Path, course: Course, within: float) -> float:
    """Until it is over; when that was."""
    deadline = time.monotonic() + within
    while not course.note(stored(state)):
        if time.monotonic() > deadline:
            raise SystemExit(f"gave up waiting {within:.0f} s for the reshard: {stored(state)}")
        await asyncio.sleep(LOOK_EVERY)
    return time.monotonic()


def pss(pods: list[PodProcesses]) -> float:
    return statistics.mean(pod.pss_mb() for pod in pods)


async def sample(pods: list[PodProcesses], into: list[float]) -> None:
    """A pod's memory on average, again and again."""
    while True:
        into.append(await asyncio.to_thread(pss, pods))
        await asyncio.sleep(SAMPLE_EVERY)


@contextmanager
def on_simulator(
    simulator: Simulator, directory: Path, bot: BotProcess, case: Case, settings: Settings
) -> Iterator[Up]:
    """`discord-gateway up` with the simulator of this process as its Discord."""
    ca = directory / "secrets" / "simulator" / "ca.crt"
    ca.parent.mkdir(parents=True)
    ca.write_bytes(simulator.ca_pem)
    discord = f"discord: {{baseURL: {simulator.rest_url_tls}, caSecretRef: {{name: simulator, key: ca.crt}}}}"
    text = manifest(shards=case.old, pods=case.old // case.shards_a_pod, url=bot.url, discord=discord)
    up = Up(directory)
    with up.running(f"{text}  {settings.line()}\n", token=DEFAULT_TOKEN):
        yield up


async def measure(
    case: Case, settings: Settings, simulator: Simulator, up: Up, bot: BotProcess, directory: Path
) -> Result:
    sent = note_sending(simulator)
    result = Result(case, case.expected(settings))
    await asyncio.to_thread(up.wait_for_shards, case.old)
    old_pods = up.pods()
    simulator.start_load(RATE)
    first = simulator.ledger.next_number
    await asyncio.sleep(CALM_SECONDS)
    result.before = await asyncio.to_thread(pss, old_pods)
    calm = range(first, simulator.ledger.next_number)

    state, course = directory / "state", Course()
    over = asyncio.create_task(follow(state, course, 3 * result.expected + 60))
    order = (COMMAND, "reshard", f"--to={case.new}", "--no-follow", f"--state-dir={state}")
    await asyncio.to_thread(subprocess.run, order, check=True, stdout=subprocess.DEVNULL)
    await course.all_connected.wait()
    known = {pod.address for pod in old_pods}
    new_pods = [pod for pod in await asyncio.to_thread(up.pods) if pod.address not in known]
    pending: list[float] = []
    sampling = asyncio.create_task(sample(new_pods, pending))
    ended = await over
    sampling.cancel()
    await asyncio.sleep(AFTERWARDS_SECONDS)
    result.pending, result.active = max(pending), await asyncio.to_thread(pss, new_pods)
    edges = [*course.began.values(), ended]
    result.seconds = ended - edges[0]
    result.phases = {phase: edges[at + 1] - edges[at] for at, phase in enumerate(course.began)}
    result.rules_broken = len(simulator.ledger.violations)
    simulator.stop_load()
    await asyncio.to_thread(account_for, simulator, bot, result)
    evaluate(simulator, bot, sent, calm, result)
    return result


def account_for(simulator: Simulator, bot: BotProcess, result: Result) -> None:
    def all_arrived() -> bool:
        # Whichever set's session an event came by, its number is the same.
        arrivals = [(number, key, guild) for _, number, key, guild in bot.arrivals()]
        result.account = settle(simulator.ledger.rows(), arrivals, kinds={"load"})
        return not result.account.lost

    wait_until(all_arrived, "the last event", within=20, poll=1.0, or_go_on=True)


def sessions(simulator: Simulator) -> dict[str, Any]:
    summary: dict[str, Any] = simulator.ledger.summary()
    found: dict[str, Any] = summary["sessions"]
    return found


def evaluate(simulator: Simulator, bot: BotProcess, sent: dict[int, float], calm: range, result: Result) -> None:
    case = result.case
    arrived = {number: (at, key) for at, number, key, _ in reversed(bot.arrivals())}  # the first arrival counts
    new = {session for session, state in sessions(simulator).items() if state["shard"][1] == case.new}
    ranges: list[list[tuple[float, float, bool]]] = [[] for _ in range(case.ranges)]
    for number, event_type, guild, kind, _receivers in simulator.ledger.rows():
        if kind != "load" or number not in arrived:
            continue
        at, key = arrived[number]
        delay = at - sent[number]
        if number in calm:
            result.calm.append(delay)
        shard = 0 if guild is None or event_type in SHARD_0_TYPES else (int(guild) >> 22) % case.new
        by_new_set = key.rpartition(":")[0] in new
        ranges[shard // case.shards_a_pod].append((sent[number], delay, by_new_set))
    for events in ranges:
        # What the new set delivered first was sent just before the fence, or after it.
        began = min(at for at, _, by_new_set in events if by_new_set)
        result.moved += [delay for at, delay, _ in events if began <= at < began + AROUND]


async def run(case: Case, settings: Settings) -> Result:
    discord = SimulatorSettings(guilds=GUILDS, max_concurrency=case.max_concurrency)
    with tempfile.TemporaryDirectory(prefix="dgw-reshard-") as name:
        directory = Path(name)
        bot = BotProcess(directory)
        bot.start()
        try:
            async with Simulator(discord) as simulator, contextlib.AsyncExitStack() as stack:
                running = on_simulator(simulator, directory, bot, case, settings)
                up = await asyncio.to_thread(running.__enter__)
                stack.push_async_exit(lambda *error: asyncio.to_thread(running.__exit__, *error))
                return await measure(case, settings, simulator, up, bot, directory)
        finally:
            bot.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of the cost of watching; the median counts (default 5)")
    parser.add_argument("--only", default="", help="only the reshard from so many shards")
    parser.add_argument("--quick", action="store_true", help="short windows: to see that it runs, not for the page")
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    settings = QUICK if arguments.quick else Settings()
    watching = measure_watching(arguments.runs)
    cases = [case for case in CASES if arguments.only in ("", str(case.old))]
    results = [uvloop.run(run(case, settings)) for case in cases]
    text = report(settings, results, watching)
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "reshard", text)
    return 0 if all(result.reached for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
