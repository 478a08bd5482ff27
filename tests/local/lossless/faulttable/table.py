"""The page docs/lossless.md: what stands between its markers, and which of it is the same in every run."""

from collections.abc import Mapping

from .page import Table
from .scenario import Row, Scenario

HEADINGS = (
    "fault",
    "sent",
    "delivered",
    "lost",
    "repeated, same key",
    "doubled, no key",
    "out of order",
    "identifies",
    "longest gap",
)
TABLE = Table(HEADINGS, promised=("fault", "lost", "doubled, no key", "out of order", "identifies"))
stable, stable_rows = TABLE.stable, TABLE.stable_rows


def render(rows: Mapping[Scenario, Row]) -> str:
    """Give the table, a line a scenario, and what each of them does."""
    return TABLE.render({each: cells(each, row) for each, row in rows.items()})


def cells(scenario: Scenario, row: Row) -> list[str]:
    all_counted = scenario.bounded and row.lost == row.counted
    lost = f"{row.lost:,}, all counted" if all_counted else f"{row.lost:,}"
    numbers = (row.repeated, row.doubled, row.disordered, row.identifies)
    return [
        scenario.title,
        f"{row.sent:,}",
        f"{row.delivered:,}",
        lost,
        *(f"{each:,}" for each in numbers),
        f"{row.gap:.2f} s",
    ]
