"""The page docs/kubernetes-table.md: what stands between its markers, and which of it is the same in every run."""

from collections.abc import Iterable, Mapping

from faulttable.table import BEGIN, END

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
_STABLE = ("fault", "lost", "doubled, no key", "out of order", "identifies")


def render(rows: Mapping[Scenario, Row]) -> str:
    """Give the table, a line a scenario, and what each of them does."""
    table = [HEADINGS, ["---"] + ["---:"] * (len(HEADINGS) - 1), *(cells(each, row) for each, row in rows.items())]
    words = [f"- **{scenario.title}**: {scenario.words}" for scenario in rows]
    return "\n".join([*map(_line, table), "", *words]) + "\n"


def cells(scenario: Scenario, row: Row) -> list[str]:
    numbers = (row.sent, row.delivered, row.lost, row.repeated, row.doubled, row.again, row.disordered, row.identifies)
    return [scenario.title, *(f"{each:,}" for each in numbers), f"{row.gap:.2f} s", f"{row.seconds:.0f}"]


def stable_rows(page: str) -> dict[str, list[str]]:
    """Give by fault the cells that no run may change."""
    generated = page.split(BEGIN)[1].split(END, maxsplit=1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in generated.splitlines() if line[:2] == "| "
    ]
    if not rows or tuple(rows[0]) != HEADINGS:
        raise ValueError("the table has other columns")
    return {row[0]: stable(row) for row in rows[2:]}


def stable(row: Iterable[str]) -> list[str]:
    named = dict(zip(HEADINGS, row, strict=True))
    return [named[heading] for heading in _STABLE]


def _line(row: Iterable[str]) -> str:
    return f"| {' | '.join(row)} |"
