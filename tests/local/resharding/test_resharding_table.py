"""The counting and the form of the table, without running anything; and that the page has a row for each scenario."""

from pathlib import Path

import pytest
from faulttable.page import BEGIN, END, replace, words
from reshardtable.arrivals import Arrival, count, numbers_by_key
from reshardtable.scenario import Row, Scenario
from reshardtable.scenarios import SCENARIOS
from reshardtable.table import HEADINGS, cells, render, stable, stable_rows

PAGE = Path(__file__).parents[3] / "docs" / "resharding-table.md"
NOTHING = dict.fromkeys(Row.__slots__, 0)
FINE = Row(**NOTHING | {"sent": 5000, "delivered": 5000, "repeated": 7, "delay": 0.5})
ROWS = [
    (1, "MESSAGE_CREATE", "7", "load", [("old", 10), ("new", 20)]),
    (2, "MESSAGE_CREATE", "7", "load", [("old", 11), ("new", 21)]),
    (3, "MESSAGE_CREATE", "7", "load", [("new", 22)]),
]


def scenario():
    return Scenario(title="a reshard", words="What it does.", act=None)


def counted(*arrivals, new_sessions=()):
    came = [Arrival(key, "7", content, at=0.0) for key, content in arrivals]
    return count(ROWS, came, numbers_by_key(ROWS), new_sessions)


def test_an_event_of_two_sessions_is_delivered_by_either_of_them():
    found = counted(("old:10", ""), ("new:21", "f"), ("new:22", ""))

    assert (found.sent, found.delivered) == (3, 3)
    assert not any((found.lost, found.repeated, found.again, found.doubled, found.disordered, found.unexplained))


def test_an_event_that_neither_session_delivered_is_lost():
    assert counted(("old:10", ""), ("new:22", "")).lost == [2]


def test_an_event_of_both_sessions_is_doubled_unless_its_content_tells():
    assert counted(("old:10", ""), ("new:20", "f"), ("old:10", "")).doubled == [1]
    assert counted(("old:10", "f"), ("new:20", "f")).again == [1]
    assert counted(("old:10", "f"), ("new:20", "g")).doubled == [1]


def test_an_event_that_comes_again_with_its_key_is_repeated():
    assert counted(("old:10", ""), ("old:10", "")).repeated == [1]


def test_an_event_after_a_later_one_of_its_guild_is_out_of_order_whichever_session_brings_it():
    assert counted(("old:11", ""), ("new:20", "")).disordered == [1]


def test_what_nobody_sent_is_unexplained():
    assert counted(("old:99", "")).unexplained == ["old:99"]


def test_only_where_it_is_said_so_an_event_of_the_new_set_alone_is_owed_by_nobody():
    assert counted().lost == [1, 2, 3]
    found = counted(new_sessions={"new"})
    assert (found.lost, found.not_owed) == ([1, 2], [3])


def test_a_row_has_a_cell_for_each_heading():
    assert len(cells(scenario(), FINE)) == len(HEADINGS)


def test_figures_that_vary_from_run_to_run_change_nothing_that_is_compared():
    other = Row(**NOTHING | {"sent": 1, "delivered": 1, "delay": 9.0, "seconds": 99.0})

    assert stable(cells(scenario(), FINE)) == stable(cells(scenario(), other))


@pytest.mark.parametrize("figure", ["lost", "doubled", "disordered"])
def test_a_figure_that_is_promised_is_compared(figure):
    assert stable(cells(scenario(), Row(**NOTHING | {figure: 1}))) != stable(cells(scenario(), FINE))


def test_a_written_page_is_read_back():
    written = replace(f"before\n{BEGIN}\nold\n{END}\nafter\n", render({scenario(): FINE}))

    assert stable_rows(written) == {"a reshard": stable(cells(scenario(), FINE))}
    assert words(written) == ["- **a reshard**: What it does."]


def test_the_page_has_a_row_for_each_scenario_in_its_order_and_says_what_it_does():
    page = PAGE.read_text()

    assert list(stable_rows(page)) == [each.title for each in SCENARIOS]
    assert words(page) == [f"- **{each.title}**: {each.words}" for each in SCENARIOS]


def test_no_two_scenarios_have_the_same_name():
    assert len({each.slug for each in SCENARIOS}) == len(SCENARIOS)
