"""How long each shard is without its session while `discord-gateway restart` replaces the pods, under load.

Two pods with 8 shards each, 500 events/s, a bot, and some restarts in a row. Each gap is measured twice: by the pods,
from asking the old one for the session to RESUMED, and by the simulated Discord. Exit status 1 if the goal is missed,
or if an event was lost, doubled or came out of order.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from discord_simulator import Account, settle
from machine import BotProcess, Up, manifest, percentile, wait_until
from page import write_section

SHARDS, PODS = 16, 2
GUILDS = 1_600
RATE = 500
GOAL_SECONDS = 1.0
SETTLE_SECONDS = 3.0
"""Of load before the first restart and after each."""


def gaps(up: Up) -> list[float]:
    """The last gap of each shard, as its pod measured it."""
    status = up.status()
    assert status is not None
    return [row["gapSeconds"] for row in status["shardRows"]]


def account(ledger: dict[str, Any], bot: BotProcess) -> Account:
    arrived = ((number, key, guild) for _, number, key, guild in bot.arrivals())
    return settle(ledger["events"], arrived)


def measure(up: Up, bot: BotProcess, restarts: int) -> tuple[list[float], list[float], Account]:
    """Gaps as the pods measured them, the longest of each session as Discord did, and the account."""
    measured: list[float] = []
    up.wait_for_shards(SHARDS)
    up.simulator("/load", {"rate": RATE})
    for _ in range(restarts):
        time.sleep(SETTLE_SECONDS)
        up.restart()
        up.wait_for_shards(SHARDS)
        measured += gaps(up)
    time.sleep(SETTLE_SECONDS)
    up.simulator("/load", method="DELETE")
    ledger = up.simulator("/ledger")
    wait_until(lambda: not account(ledger, bot).lost, "the last event", within=20, or_go_on=True)
    seen = [session["longest_gap"] for session in ledger["sessions"].values()]
    return measured, seen, account(ledger, bot)


def report(restarts: int, measured: list[float], seen: list[float], settled: Account) -> str:
    def row(name: str, gaps: list[float]) -> str:
        figures = (statistics.median(gaps), percentile(gaps, 0.99), max(gaps))
        return f"| {name} | {len(gaps)} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |"

    what = (
        f"{restarts} restarts of {PODS} pods with {SHARDS} shards in all, under {RATE} events/s; "
        f"the goal is {GOAL_SECONDS:g} s for 99 of 100 gaps."
    )
    events = (
        f"Events: sent {settled.sent:,}, delivered {settled.delivered:,}, lost {len(settled.lost)}, doubled "
        f"{len(settled.doubled)}, repeated {len(settled.repeated)}, out of order {len(settled.order_violations)}."
    )
    return "\n".join(
        [
            what,
            "",
            "| gap of a shard, in seconds | gaps | median | 99th percentile | longest |",
            "|---|---:|---:|---:|---:|",
            row("each, by the pods: from asking for the session to RESUMED", measured),
            row("the longest of each session, by the simulated Discord: without a socket", seen),
            "",
            events,
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dgw-restart-") as name:
        bot, up = BotProcess(Path(name)), Up(Path(name))
        bot.start()
        try:
            options = ("--simulator", f"--simulator-guilds={GUILDS}", f"--simulator-max-concurrency={SHARDS}")
            with up.running(manifest(shards=SHARDS, pods=PODS, url=bot.url), *options):
                measured, seen, settled = measure(up, bot, arguments.restarts)
        finally:
            bot.kill()
    text = report(arguments.restarts, measured, seen, settled)
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "restart", text)
    in_time = max(percentile(measured, 0.99), percentile(seen, 0.99)) < GOAL_SECONDS
    return 0 if in_time and settled.exactly_once else 1


if __name__ == "__main__":
    sys.exit(main())
