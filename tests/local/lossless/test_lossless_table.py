"""The table's form, without running anything; and that the page has the rows that there are scenarios."""

from pathlib import Path

import pytest
from faulttable.page import BEGIN, END, replace, words
from faulttable.scenario import Row, Scenario
from faulttable.scenarios import IN_RUN_ORDER, SCENARIOS
from faulttable.table import HEADINGS, cells, render, stable, stable_rows

PAGE = Path(__file__).parents[3] / "docs" / "lossless.md"
NOTHING = dict.fromkeys(Row.__slots__, 0)
FINE = Row(**NOTHING | {"sent": 5000, "delivered": 5000, "repeated": 7, "gap": 0.5})


def scenario(**fields):
    return Scenario(title="a fault", words="What it does.", act=None, **fields)


def test_a_row_has_a_cell_for_each_heading():
    assert len(cells(scenario(), FINE)) == len(HEADINGS)


def test_figures_that_vary_from_run_to_run_change_nothing_that_is_compared():
    other = Row(**NOTHING | {"sent": 1, "delivered": 1, "gap": 9.0})

    assert stable(cells(scenario(), FINE)) == stable(cells(scenario(), other))


@pytest.mark.parametrize("figure", ["lost", "doubled", "disordered", "identifies"])
def test_a_figure_that_is_promised_is_compared(figure):
    assert stable(cells(scenario(), Row(**NOTHING | {figure: 1}))) != stable(cells(scenario(), FINE))


def test_of_drops_on_purpose_it_is_compared_that_all_were_counted_and_not_how_many():
    some, more = (Row(**NOTHING | {"lost": lost, "counted": lost}) for lost in (1200, 7))
    uncounted = Row(**NOTHING | {"lost": 7, "counted": 6})

    assert stable(cells(scenario(bounded=True), some)) == stable(cells(scenario(bounded=True), more))
    assert stable(cells(scenario(bounded=True), some)) != stable(cells(scenario(bounded=True), uncounted))


def test_a_written_page_is_read_back_and_keeps_what_is_around_its_markers():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    written = replace(page, render({scenario(): FINE}))

    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert stable_rows(written) == {"a fault": stable(cells(scenario(), FINE))}
    assert words(written) == ["- **a fault**: What it does."]


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(ValueError, match="the page has no"):
        replace(page, "")


def test_the_page_has_a_row_for_each_scenario_in_its_order_and_says_what_it_does():
    page = PAGE.read_text()

    assert list(stable_rows(page)) == [each.title for each in SCENARIOS]
    assert words(page) == [f"- **{each.title}**: {each.words}" for each in SCENARIOS]


def test_no_two_scenarios_have_the_same_name():
    assert len({each.slug for each in SCENARIOS}) == len(SCENARIOS)


def test_every_scenario_is_run_once():
    assert len(IN_RUN_ORDER) == len(SCENARIOS)
    assert set(IN_RUN_ORDER) == set(SCENARIOS)
