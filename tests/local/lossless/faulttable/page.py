"""A page with a table between two markers: written by a run, and held against the next one."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
_COUNTED = re.compile(r"[\d,]+(?=, all counted)")


class Told(Protocol):
    """What a row is about: `words` tell a reader what happens."""

    @property
    def title(self) -> str: ...

    @property
    def words(self) -> str: ...


def slug(title: str) -> str:
    """The title as a test's name."""
    kept = "".join(letter if letter.isalnum() else " " for letter in title.lower())
    return "-".join(kept.split())


@dataclass(frozen=True, slots=True)
class Table:
    """Its columns, and those of them that no run may change."""

    headings: tuple[str, ...]
    promised: tuple[str, ...]

    def render(self, rows: Mapping[Told, list[str]]) -> str:
        """Give the table, a line a scenario, and what each of them does."""
        table = [self.headings, ["---"] + ["---:"] * (len(self.headings) - 1), *rows.values()]
        words = [f"- **{scenario.title}**: {scenario.words}" for scenario in rows]
        return "\n".join([*(f"| {' | '.join(row)} |" for row in table), "", *words]) + "\n"

    def stable_rows(self, page: str) -> dict[str, list[str]]:
        """Give by scenario the cells that no run may change."""
        _, generated, _ = _parts(page)
        rows = [_split(line) for line in generated.splitlines() if line.startswith("| ")]
        if not rows or tuple(rows[0]) != self.headings:
            raise ValueError("the table has other columns")
        return {row[0]: self.stable(row) for row in rows[2:]}

    def stable(self, row: Iterable[str]) -> list[str]:
        """Of a loss on purpose it is promised that all of it was counted, not how much."""
        named = dict(zip(self.headings, row, strict=True))
        return [_COUNTED.sub("n", named[heading]) for heading in self.promised]


def replace(page: str, generated: str) -> str:
    """Give the page with `generated` between its markers; raises `ValueError` if they are not there, once each."""
    before, _, after = _parts(page)
    return f"{before}{BEGIN}\n{generated}{END}{after}"


def words(page: str) -> list[str]:
    """Give the lines that say what each scenario is."""
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
