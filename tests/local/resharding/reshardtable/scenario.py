"""A reshard as a scenario, and what came of it as a row of the table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faulttable.page import slug

from .run import Run
from .world import USUAL, Settings, World


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act` reshards while load runs, and returns when it is over; `words` tell a reader what it does.

    `identifies` and `ranges`: how many there are to be; None where a crash or an abort makes that differ. `crashes`:
    how many of its faults may have happened between a lease and its commit.
    """

    title: str
    words: str
    act: Callable[[Run], Awaitable[None]]
    settings: Settings = USUAL
    identifies: int | None = None
    most_identifies: int | None = None
    ranges: int | None = None
    crashes: int = 0
    refused: bool = False

    @property
    def slug(self) -> str:
        return slug(self.title)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a scenario: the table's columns, in numbers. `delay` and `seconds` in seconds."""

    sent: int
    delivered: int
    lost: int
    repeated: int
    doubled: int
    again: int
    disordered: int
    unexplained: int
    identifies: int
    ranges: int
    delay: float
    seconds: float
    not_owed: int = 0


async def perform(scenario: Scenario, world: World) -> Row:
    """Load, the reshard, a second more of load; then wait for everything, and count."""
    run = Run(world, refused=scenario.refused)
    run.begin()
    await run.load(1)
    await scenario.act(run)
    await run.load(1)
    await run.end()
    counted = await run.count()
    assert run.ended_sessions == set() or scenario.refused, "sessions are closed so that they could be resumed"
    assert counted.unexplained == [], "all that came was sent by Discord"
    assert run.violations == [], "Discord's rules were kept"
    return Row(
        sent=counted.sent,
        delivered=counted.delivered,
        lost=len(counted.lost),
        repeated=len(counted.repeated),
        doubled=len(counted.doubled),
        again=len(counted.again),
        disordered=len(counted.disordered),
        unexplained=len(counted.unexplained),
        identifies=run.identifies,
        ranges=run.times_said('"handover committed"'),
        delay=counted.longest_delay,
        seconds=run.seconds,
        not_owed=len(counted.not_owed),
    )
