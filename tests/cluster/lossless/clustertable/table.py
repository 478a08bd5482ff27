"""The page docs/kubernetes-table.md: what stands between its markers, and which of it is the same in every run."""

from collections.abc import Mapping

from faulttable.page import Table

from .scenario import Row, Scenario

HEADINGS = (
    "fault",
    "sent",
    "delivered",
    "lost",
    "repeated, same key",
    "doubled, no key",
    "repeated after a crash, same content",
    "out of order",
    "identifies",
    "longest gap",
    "seconds",
)
TABLE = Table(HEADINGS, promised=("fault", "lost", "doubled, no key", "out of order", "identifies"))
stable, stable_rows = TABLE.stable, TABLE.stable_rows


def render(rows: Mapping[Scenario, Row]) -> str:
    """Give the table, a line a scenario, and what each of them does."""
    return TABLE.render({each: cells(each, row) for each, row in rows.items()})


def cells(scenario: Scenario, row: Row) -> list[str]:
    numbers = (row.sent, row.delivered, row.lost, row.repeated, row.doubled, row.again, row.disordered, row.identifies)
    return [scenario.title, *(f"{each:,}" for each in numbers), f"{row.gap:.2f} s", f"{row.seconds:.0f}"]
