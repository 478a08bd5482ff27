"""The hot path, measured: microseconds of CPU per event of the worker, beside its floors, in one run.

Every figure is the median of several runs in fresh processes. Look at the ratios: the microseconds are this machine's.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page import write_section

HERE = Path(__file__).parent
PACED_RATE = 4_000.0


@dataclass(frozen=True)
class Case:
    """One load, and the subjects that are measured under it side by side."""

    title: str
    compression: str
    shards: int
    events: int
    subjects: tuple[str, ...]
    rate: float | None = None


RECEIVERS = ("floor-websockets", "floor-picows", "worker")
SPOOLS = (*RECEIVERS, "worker-spool-idle", "worker-spool-used")
SINKS = ("worker-http", "worker-http-batch", "worker-aiohttp")
CASES = (
    *(
        Case(
            f"saturated, {compression}, {shards} shard{'s' * (shards > 1)}",
            compression,
            shards,
            96_000,
            SPOOLS if compression == "zstd-stream" else RECEIVERS,
        )
        for compression in ("none", "zlib-stream", "zstd-stream")
        for shards in (1, 16)
    ),
    Case("paced at 4,000/s, zstd-stream, 16 shards", "zstd-stream", 16, 16_000, SPOOLS, PACED_RATE),
    Case("over HTTP, zstd-stream, 16 shards", "zstd-stream", 16, 24_000, SINKS),
)


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[int]:
    """Run a script of this folder that prints its port."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def measure(case: Case, subject: str, port: int, bot_port: int) -> float:
    command = [sys.executable, str(HERE / "subject.py"), subject, f"--port={port}", f"--bot-port={bot_port}"]
    command += [
        f"--compression={case.compression}",
        f"--shards={case.shards}",
        f"--events={case.events // case.shards}",
    ]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout
    return float(json.loads(output)["us"])


def run_case(case: Case, runs: int) -> dict[str, float]:
    source = [str(HERE / "load_source.py"), f"--compression={case.compression}", f"--shards={case.shards}"]
    source += [f"--events={case.events // case.shards}"] + ([f"--rate={case.rate}"] if case.rate else [])
    with program(*source) as port, program(str(HERE / "bot.py")) as bot_port:
        figures: dict[str, list[float]] = {subject: [] for subject in case.subjects}
        for _ in range(runs):  # in turn, so that a slow minute of the machine touches all of them
            for subject in case.subjects:
                figures[subject].append(measure(case, subject, port, bot_port))
    return {subject: statistics.median(values) for subject, values in figures.items()}


def receivers_table(results: dict[Case, dict[str, float]]) -> list[str]:
    lines = [
        "| load | floor, websockets | floor, picows | worker | worker minus picows floor | worker ÷ picows floor |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for case, figures in results.items():
        if case.subjects[: len(RECEIVERS)] == RECEIVERS:
            websockets, floor, worker = (figures[subject] for subject in RECEIVERS)
            lines.append(
                f"| {case.title} | {websockets:.1f} | {floor:.1f} | {worker:.1f} "
                f"| {worker - floor:.1f} | {worker / floor:.2f} |"
            )
    return lines


def spools_table(results: dict[Case, dict[str, float]]) -> list[str]:
    lines = [
        "| load | worker without files | spool idle | spool in use | idle ÷ without | in use ÷ websockets floor |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for case, figures in results.items():
        if case.subjects == SPOOLS:
            websockets, _, without, idle, used = (figures[subject] for subject in SPOOLS)
            lines.append(
                f"| {case.title} | {without:.1f} | {idle:.1f} | {used:.1f} "
                f"| {idle / without:.2f} | {used / websockets:.2f} |"
            )
    return lines


def sinks_table(results: dict[Case, dict[str, float]]) -> list[str]:
    lines = [
        "| load | one POST an event | batches of 100 | one POST an event, by aiohttp's client |",
        "|---|---:|---:|---:|",
    ]
    for case, figures in results.items():
        if case.subjects == SINKS:
            lines.append(f"| {case.title} | " + " | ".join(f"{figures[subject]:.1f}" for subject in SINKS) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each figure; the median counts (default 5)")
    parser.add_argument("--write", type=Path, help="put the tables into this page, between its markers")
    parser.add_argument("--only", default="", help="only loads whose title contains this")
    arguments = parser.parse_args()
    results: dict[Case, dict[str, float]] = {}
    for case in (case for case in CASES if arguments.only in case.title):
        print(f"measuring: {case.title} ...", file=sys.stderr, flush=True)
        results[case] = run_case(case, arguments.runs)
    tables = [*receivers_table(results), "", *spools_table(results), "", *sinks_table(results)]
    text = "\n".join(["µs of CPU per event:", "", *tables])
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "hotpath", text)


if __name__ == "__main__":
    main()
