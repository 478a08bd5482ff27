"""What reshard.py measures: its settings and cases, the result of one, and the tables of all."""

import math
import statistics
from dataclasses import dataclass, field

from discord_simulator import Account
from machine import percentile
from watched import Watching

RATE = 500.0
AROUND = 1.0
"""Seconds from the first event on that a range's new pods deliver: what is sent then may be held."""
BUCKET_INTERVAL = 5.0
TIME_GOAL, DELAY_GOAL_MS, MEMORY_GOAL = 1.15, 250.0, 1.2


@dataclass(frozen=True)
class Settings:
    """`spec.reshard`, in seconds; as by default."""

    max_skew: float = 5.0
    fence_timeout: float = 2.0
    settle: float = 5.0
    drain_delay: float = 30.0

    @property
    def history(self) -> float:
        """For so long both sets watch (docs/resharding.md)."""
        return 5 * self.max_skew + 4 * self.fence_timeout

    def line(self) -> str:
        return (
            f"reshard: {{auto: false, maxSkew: {self.max_skew * 1000:.0f}ms, "
            f"fenceTimeout: {self.fence_timeout * 1000:.0f}ms, settle: {self.settle * 1000:.0f}ms, "
            f"drainDelay: {self.drain_delay * 1000:.0f}ms}}"
        )


@dataclass(frozen=True)
class Case:
    old: int
    new: int
    shards_a_pod: int
    max_concurrency: int

    @property
    def title(self) -> str:
        return f"{self.old} → {self.new} shards, {self.ranges} ranges"

    @property
    def ranges(self) -> int:
        return self.new // self.shards_a_pod

    def expected(self, settings: Settings) -> float:
        """Seconds: identifies in their buckets, watching, a pause for each range, and the old set's last time."""
        identifying = math.ceil(self.new / self.max_concurrency) * BUCKET_INTERVAL
        return identifying + settings.history + self.ranges * settings.settle + settings.drain_delay


@dataclass
class Result:
    """Times in seconds, memory in MB a pod. `moved`: delays of events of a range at its handover, `calm`: before.

    `before`: a pod of the old set without a reshard. `pending`: one of the new set, at most, while it was pending;
    `active`: when it had delivered everything for some seconds.
    """

    case: Case
    expected: float
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    calm: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    before: float = 0.0
    pending: float = 0.0
    active: float = 0.0
    account: Account = field(default_factory=Account)
    rules_broken: int = 0

    @property
    def added_ms(self) -> float:
        return (percentile(self.moved, 0.99) - statistics.median(self.calm)) * 1000

    @property
    def reached(self) -> bool:
        in_time = self.seconds <= TIME_GOAL * self.expected and self.added_ms <= DELAY_GOAL_MS
        return (
            in_time
            and self.pending <= MEMORY_GOAL * self.active
            and self.account.exactly_once
            and not self.rules_broken
        )


def report(settings: Settings, results: list[Result], watching: Watching) -> str:
    what = (
        f"Under {RATE:.0f} events/s, with `maxSkew` {settings.max_skew:g} s, `fenceTimeout` "
        f"{settings.fence_timeout:g} s, `settle` {settings.settle:g} s and `drainDelay` {settings.drain_delay:g} s."
    )
    tables = (_times(results), _delays(results), _memory(results), _watching(watching), _accounts(results))
    return "\n".join([what, *(line for table in tables for line in ("", *table))])


def _table(head: str, *rows: str) -> list[str]:
    columns = head.count("|") - 2
    return [head, "|---|" + "---:|" * columns, *rows]


def _times(results: list[Result]) -> list[str]:
    return _table(
        f"| time, in s; the goal is {TIME_GOAL:g} times what the settings ask for | asked for | took | ratio | of it |",
        *(
            f"| {one.case.title} | {one.expected:.0f} | {one.seconds:.1f} | {one.seconds / one.expected:.2f} | "
            + ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in one.phases.items())
            + " |"
            for one in results
        ),
    )


def _delays(results: list[Result]) -> list[str]:
    return _table(
        f"| from Discord to the bot, in ms; the goal is {DELAY_GOAL_MS:.0f} ms added | calm: median "
        "| at a handover: events | median | 99th percentile | longest | added |",
        *(
            f"| {one.case.title} | {statistics.median(one.calm) * 1000:.1f} "
            f"| {len(one.moved):,} | {statistics.median(one.moved) * 1000:.1f} "
            f"| {percentile(one.moved, 0.99) * 1000:.1f} | {max(one.moved) * 1000:.1f} | {one.added_ms:.0f} |"
            for one in results
        ),
    )


def _memory(results: list[Result]) -> list[str]:
    return _table(
        f"| PSS of a pod, in MB; the goal is {MEMORY_GOAL:g} times | old set, before | new set, pending: the most "
        "| new set, active | pending ÷ active |",
        *(
            f"| {one.case.title} | {one.before:.1f} | {one.pending:.1f} | {one.active:.1f} "
            f"| {one.pending / one.active:.2f} |"
            for one in results
        ),
    )


def _watching(watching: Watching) -> list[str]:
    return _table(
        "| µs of CPU per event | reading it | watching adds: old set | new set | ratio: old set | new set |",
        f"| without queue and delivery | {watching.floor:.1f} | {watching.old:.1f} | {watching.new:.1f} "
        f"| {1 + watching.old / watching.floor:.1f} | {1 + watching.new / watching.floor:.1f} |",
    )


def _accounts(results: list[Result]) -> list[str]:
    return [
        f"Events, {one.case.title}: sent {one.account.sent:,}, delivered {one.account.delivered:,}, lost "
        f"{len(one.account.lost)}, doubled {len(one.account.doubled)}, repeated {len(one.account.repeated)}, out of "
        f"order {len(one.account.order_violations)}; rules of Discord broken: {one.rules_broken}.  "
        for one in results
    ]
