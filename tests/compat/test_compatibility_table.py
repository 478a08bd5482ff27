"""The table's form, without running any library."""

import pytest
from compatibility.behaviours import SUBJECTS, Behaviour, Examination, Finding
from compatibility.table import BEGIN, END, render, replace

ALL_RIGHT = Examination("1.2.3", {behaviour: Finding("fine") for behaviour in Behaviour})


def test_each_subject_has_a_row_with_its_version_and_a_cell_for_each_behaviour():
    heading, _, first, *rest = render(dict.fromkeys(SUBJECTS, ALL_RIGHT)).splitlines()

    assert first == "| discord.py 1.2.3 | zlib-stream |" + " fine |" * len(Behaviour)
    assert len(rest) == len(SUBJECTS) - 1
    assert heading.count("|") == first.count("|")


def test_a_fault_shows_in_its_cell_alone():
    findings = ALL_RIGHT.findings | {Behaviour.RECONNECT: Finding("fine", "lost 3 events")}

    row = render({SUBJECTS[0]: Examination("1.2.3", findings)}).splitlines()[2]

    assert (row.count("**no**"), row.count("fine")) == (1, len(Behaviour) - 1)


def test_only_what_is_between_the_markers_is_replaced_and_the_same_table_changes_nothing():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    once = replace(page, "| new |\n")

    assert once == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    assert replace(once, "| new |\n") == once


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="the page has no"):
        replace(page, "| new |\n")
