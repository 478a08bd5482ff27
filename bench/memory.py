"""The memory of shard pods, started as a user would start them: idle, and with a bot that is away and full queues.

PSS is what counts: pages that processes share are divided among them, as they are on a node that runs several pods. A
pod is its supervisor and its workers; the goal is what its queue holds, 60 MB, and 40 MB for each worker. Exit status 1
if it is missed.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from machine import NOBODY_LISTENS, BotProcess, PodProcesses, Up, manifest
from page import write_section

SHARDS, PODS = 16, 2
GUILDS = 1_600
SUPERVISOR_MB, WORKER_MB = 60.0, 40.0
EVENTS = 900_000
"""Half an hour of 500 events/s, sent as fast as the simulator can."""
AS_FAST_AS_IT_GOES = 1_000_000
SAMPLE_SECONDS = 1.0
SETTLE_SECONDS = 5.0
"""After the last event: it is on its way, and what waits is still being written to disk."""


@dataclass
class Peak:
    """The most that one pod's processes took, and its queue held, at any time. In MB of 1,048,576 bytes."""

    workers: int
    pss: float = 0.0
    queue: float = 0.0
    events: int = 0

    @property
    def limit(self) -> float:
        return self.queue + SUPERVISOR_MB + WORKER_MB * self.workers


def sample(pods: list[tuple[PodProcesses, Peak]]) -> None:
    for pod, peak in pods:
        peak.pss = max(peak.pss, pod.pss_mb())
        peak.queue = max(peak.queue, pod.gauge("queue_bytes") / 1024**2)
        peak.events = max(peak.events, int(pod.gauge("queue_events")))


def measure(directory: Path, url: str, events: int, queue: str) -> list[Peak]:
    """The peaks of all pods while `events` are sent and for some seconds more; `queue` is the manifest's."""
    directory.mkdir()
    up = Up(directory)
    text = manifest(shards=SHARDS, pods=PODS, url=url, delivery=f"queue: {queue}")
    options = ("--simulator", f"--simulator-guilds={GUILDS}", f"--simulator-max-concurrency={SHARDS}")
    with up.running(text, *options):
        up.wait_for_shards(SHARDS)
        if url != NOBODY_LISTENS:
            time.sleep(SETTLE_SECONDS)  # the guilds are on their way to the bot
        pods = [(pod, Peak(pod.workers)) for pod in up.pods()]
        if events:
            up.simulator("/load", {"rate": AS_FAST_AS_IT_GOES, "events": events})
            while not up.simulator("/load")["done"]:
                time.sleep(SAMPLE_SECONDS)
                sample(pods)
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            time.sleep(SAMPLE_SECONDS)
            sample(pods)
    return [peak for _, peak in pods]


def measure_all(directory: Path, events: int) -> dict[str, list[Peak]]:
    bot = BotProcess(directory)
    bot.start()
    try:
        idle = measure(directory / "idle", bot.url, 0, "{}")
    finally:
        bot.kill()
    return {
        "idle": idle,
        "bot away, `queue` as by default": measure(directory / "by-events", NOBODY_LISTENS, events, "{}"),
        "bot away, `queue.maxEvents: 1000000`": measure(
            directory / "by-bytes", NOBODY_LISTENS, events, "{maxEvents: 1000000}"
        ),
    }


def report(peaks: dict[str, list[Peak]], events: int) -> str:
    what = (
        f"The most that a pod's processes took (PSS, in MB), with {PODS} pods of {SHARDS // PODS} shards and "
        f"{GUILDS:,} guilds in all. Where the bot is away {events:,} events came, more than the queues may hold."
    )
    return "\n".join(
        [
            what,
            "",
            "| pod | workers | events queued | queue | PSS | goal: queue + 60 + 40 a worker |",
            "|---|---:|---:|---:|---:|---:|",
            *(
                f"| {case}, {number} | {peak.workers} | {peak.events:,} | {peak.queue:.1f} | {peak.pss:.1f} "
                f"| {peak.limit:.1f} |"
                for case, pods in peaks.items()
                for number, peak in enumerate(pods, start=1)
            ),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help=f"while the bot is away (default {EVENTS:,})")
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dgw-mem-") as name:
        peaks = measure_all(Path(name), arguments.events)
    text = report(peaks, arguments.events)
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "memory", text)
    complete = all(len(pods) == PODS for pods in peaks.values())
    return 0 if complete and all(peak.pss <= peak.limit for pods in peaks.values() for peak in pods) else 1


if __name__ == "__main__":
    sys.exit(main())
