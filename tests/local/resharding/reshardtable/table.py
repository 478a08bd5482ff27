"""The page docs/resharding-table.md: what stands between its markers, and which of it is the same in every run."""

from collections.abc import Mapping

from faulttable.page import Table

from .scenario import Row, Scenario

HEADINGS = (
    "reshard",
    "sent",
    "delivered",
    "lost",
    "repeated, same key",
    "doubled",
    "repeated after a crash, same content",
    "out of order",
    "identifies",
    "ranges handed over",
    "longest delay",
    "seconds",
)
TABLE = Table(HEADINGS, promised=("reshard", "lost", "doubled", "out of order"))
stable, stable_rows = TABLE.stable, TABLE.stable_rows


def render(rows: Mapping[Scenario, Row]) -> str:
    """Give the table, a line a scenario, and what each of them does."""
    return TABLE.render({each: cells(each, row) for each, row in rows.items()})


def cells(scenario: Scenario, row: Row) -> list[str]:
    numbers = (row.sent, row.delivered, row.lost, row.repeated, row.doubled, row.again, row.disordered, row.identifies)
    return [
        scenario.title,
        *(f"{each:,}" for each in (*numbers, row.ranges)),
        f"{row.delay:.2f} s",
        f"{row.seconds:.0f}",
    ]
