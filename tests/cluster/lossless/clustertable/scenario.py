"""A fault as a scenario, and what came of it as a row of the table."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from faulttable.page import slug

from .run import Run
from .world import World


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act` does the fault while load runs, and returns when it is over; `words` tell a reader what it does.

    `shards`: with how many it begins, 0 for no gateway at all. `identifies`: how many there are to be. `crashes`: how
    many of its faults end a shard pod without a word: only then may events come again, with their keys. `leases`: how
    many of its faults may leave what a new owner delivered under its lease to be delivered again, by content.
    """

    title: str
    words: str
    act: Callable[[Run], None]
    shards: int = 8
    identifies: int = 0
    crashes: int = 0
    leases: int = 0

    @property
    def slug(self) -> str:
        return slug(self.title)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a scenario: the table's columns, in numbers. `gap` and `seconds` in seconds."""

    sent: int
    delivered: int
    lost: int
    repeated: int
    doubled: int
    again: int
    disordered: int
    identifies: int
    gap: float
    seconds: float


def perform(scenario: Scenario, world: World) -> Row:
    """Load, the fault, a second more of load; then wait for everything, and count."""
    run = Run.begin(world)
    run.load(1)
    began = time.monotonic()
    scenario.act(run)
    seconds = time.monotonic() - began
    run.load(1)
    outcome = run.end()
    counted = outcome.counted
    assert counted.unexplained == [], "all that came was sent by Discord"
    assert outcome.violations == [], "Discord's rules were kept"
    return Row(
        sent=counted.sent,
        delivered=counted.delivered,
        lost=len(counted.lost),
        repeated=len(counted.repeated),
        doubled=len(counted.doubled),
        again=len(counted.again),
        disordered=len(counted.disordered),
        identifies=outcome.identifies,
        gap=outcome.gap,
        seconds=seconds,
    )
