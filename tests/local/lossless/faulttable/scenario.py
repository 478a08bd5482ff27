"""A fault as a scenario, and what came of it as a row of the table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .page import slug
from .world import USUAL, Run, Settings, World


@dataclass(frozen=True, slots=True)
class Scenario:
    """`act` does the fault while load runs, and returns when it is over; `words` tell a reader what it does.

    `identifies`: how many there are to be. `bounded`: the queue's bound is passed on purpose, so drops are expected,
    and `act` has to note how many were counted.
    """

    title: str
    words: str
    act: Callable[[Run], Awaitable[None]]
    settings: Settings = USUAL
    identifies: int = 0
    bounded: bool = False

    @property
    def slug(self) -> str:
        return slug(self.title)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a scenario: the table's columns, in numbers. `gap` in seconds."""

    sent: int
    delivered: int
    lost: int
    counted: int
    repeated: int
    doubled: int
    disordered: int
    unexplained: int
    identifies: int
    gap: float


async def perform(scenario: Scenario, world: World) -> Row:
    """Load, the fault, a second more of load; then wait for everything, and count."""
    run = Run(world)
    run.begin()
    await run.load(1)
    await scenario.act(run)
    await run.load(1)
    await run.end()
    account = run.account()
    return Row(
        sent=account.sent,
        delivered=account.delivered,
        lost=len(account.lost),
        counted=run.counted,
        repeated=len(account.repeated),
        doubled=len(account.doubled),
        disordered=len(set(account.order_violations) - run.replayed),
        unexplained=len(account.unknown) + len(account.misread),
        identifies=run.identifies,
        gap=max(run.longest_gap, run.deaf),
    )
