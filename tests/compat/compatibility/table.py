"""The table in docs/compatibility.md: the same for the same findings, on every machine."""

from collections.abc import Mapping

from compatibility.behaviours import Behaviour, Examination, Subject

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def render(examined: Mapping[Subject, Examination]) -> str:
    """Give one row for each subject, in their order, and one column for each behaviour."""
    heading = ["library", "compression", *(behaviour.value for behaviour in Behaviour)]
    rows = [_row(subject, examination) for subject, examination in examined.items()]
    return "\n".join(_line(cells) for cells in [heading, ["---"] * len(heading), *rows]) + "\n"


def replace(page: str, table: str) -> str:
    """Give the page with `table` between its markers; raises `ValueError` if they are not there, once each."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _row(subject: Subject, examination: Examination) -> list[str]:
    found = (examination.findings[behaviour] for behaviour in Behaviour)
    return [
        f"{subject.package} {examination.version}",
        subject.compression,
        *("**no**" if finding.fault else finding.shown for finding in found),
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
