"""The page docs/lossless.md: what stands between its markers, and which of it is the same in every run."""

import re
from collections.abc import Iterable, Mapping

from .scenario import Row, Scenario

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
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
_STABLE = ("fault", "lost", "doubled, no key", "out of order", "identifies")
_NUMBER = re.compile(r"[\d,]+")


def render(rows: Mapping[Scenario, Row]) -> str:
    """Give the table, a line a scenario, and what each of them does."""
    table = [HEADINGS, ["---"] + ["---:"] * (len(HEADINGS) - 1), *(cells(each, row) for each, row in rows.items())]
    words = [f"- **{scenario.title}**: {scenario.words}" for scenario in rows]
    return "\n".join([*map(_line, table), "", *words]) + "\n"


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


def replace(page: str, generated: str) -> str:
    """Give the page with `generated` between its markers; raises `ValueError` if they are not there, once each."""
    before, _, after = _parts(page)
    return f"{before}{BEGIN}\n{generated}{END}{after}"


def stable_rows(page: str) -> dict[str, list[str]]:
    """Give by fault the cells that no run may change: of a loss on purpose that all of it was counted, not how much."""
    _, generated, _ = _parts(page)
    rows = [_split(line) for line in generated.splitlines() if line.startswith("| ")]
    if not rows or tuple(rows[0]) != HEADINGS:
        raise ValueError("the table has other columns")
    return {row[0]: stable(row) for row in rows[2:]}


def stable(row: Iterable[str]) -> list[str]:
    named = dict(zip(HEADINGS, row, strict=True))
    if named["lost"].endswith("counted"):
        named["lost"] = _NUMBER.sub("n", named["lost"], count=1)
    return [named[heading] for heading in _STABLE]


def words(page: str) -> list[str]:
    """Give the lines that say what each fault is."""
    _, generated, _ = _parts(page)
    return [line for line in generated.splitlines() if line.startswith("- **")]


def _parts(page: str) -> tuple[str, str, str]:
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    before, rest = page.split(BEGIN)
    generated, after = rest.split(END)
    return before, generated, after


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _figure(number: int) -> str:
    return f"{number:,}"


def _line(row: Iterable[str]) -> str:
    return f"| {' | '.join(row)} |"
