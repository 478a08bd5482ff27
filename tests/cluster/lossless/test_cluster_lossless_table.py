"""The counting and the form of the table, without a cluster; and that the page has a row for each scenario."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clustertable.counting import count_run, missing
from clustertable.scenario import Row, Scenario
from clustertable.scenarios import SCENARIOS
from clustertable.services import Connection, Taken, longest_gap
from clustertable.table import HEADINGS, cells, render, stable, stable_rows
from faulttable.page import BEGIN, END, replace, words

PAGE = Path(__file__).parents[3] / "docs" / "kubernetes-table.md"
NOTHING = dict.fromkeys(Row.__slots__, 0)
FINE = Row(**NOTHING | {"sent": 5000, "delivered": 5000, "repeated": 7, "gap": 0.5, "seconds": 20.0})
ROWS = [
    (1, "GUILD_CREATE", "7", "session", [("a", 1)]),
    (2, "MESSAGE_CREATE", "7", "load", [("a", 2)]),
    (3, "MESSAGE_CREATE", "7", "load", [("a", 3), ("b", 1)]),
    (4, "MESSAGE_CREATE", "7", "load", [("a", 4)]),
    (5, "MESSAGE_CREATE", "8", "load", []),
]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def scenario():
    return Scenario(title="a fault", words="What it does.", act=None)


def taken(*keys):
    return [Taken(key, "7", "") for key in keys]


def test_what_was_sent_since_the_run_began_and_never_arrived_is_lost():
    counted = count_run(ROWS, 3, taken("b:1"))

    assert (counted.sent, counted.delivered, counted.lost) == (2, 1, [4])


def test_load_of_an_earlier_run_that_comes_again_is_repeated_and_what_sessions_began_with_is_not():
    counted = count_run(ROWS, 3, taken("a:1", "a:2", "a:3", "a:4"))

    assert (counted.repeated, counted.lost, counted.doubled, counted.unexplained) == ([2], [], [], [])


def test_an_event_that_both_sets_delivered_is_doubled():
    assert count_run(ROWS, 3, taken("a:3", "b:1", "a:4")).doubled == [3]


def test_what_nobody_sent_is_unexplained():
    assert count_run(ROWS, 3, taken("c:9")).unexplained == ["c:9"]


def test_an_event_is_missing_until_one_of_its_keys_has_arrived_and_never_when_it_went_nowhere():
    assert missing(ROWS, 3, taken()) == {3, 4}
    assert missing(ROWS, 3, taken("b:1", "a:4")) == set()


def test_the_longest_gap_is_that_of_a_session_which_was_resumed():
    told = [
        ("a", "session disconnected", 0),
        ("b", "session disconnected", 1),
        ("a", "session resumed", 2),
        ("b", "session ended", 9),
        ("a", "session disconnected", 10),
        ("a", "session resumed", 15),
        ("c", "session resumed", 99),
    ]

    assert longest_gap(Connection(who, what, NOON + timedelta(seconds=at)) for who, what, at in told) == 5.0


def test_a_row_has_a_cell_for_each_heading():
    assert len(cells(scenario(), FINE)) == len(HEADINGS)


def test_figures_that_vary_from_run_to_run_change_nothing_that_is_compared():
    other = Row(**NOTHING | {"sent": 1, "delivered": 1, "gap": 9.0, "seconds": 99.0})

    assert stable(cells(scenario(), FINE)) == stable(cells(scenario(), other))


@pytest.mark.parametrize("figure", ["lost", "doubled", "disordered", "identifies"])
def test_a_figure_that_is_promised_is_compared(figure):
    assert stable(cells(scenario(), Row(**NOTHING | {figure: 1}))) != stable(cells(scenario(), FINE))


def test_a_written_page_is_read_back():
    written = replace(f"before\n{BEGIN}\nold\n{END}\nafter\n", render({scenario(): FINE}))

    assert stable_rows(written) == {"a fault": stable(cells(scenario(), FINE))}
    assert words(written) == ["- **a fault**: What it does."]


def test_the_page_has_a_row_for_each_scenario_in_its_order_and_says_what_it_does():
    page = PAGE.read_text()

    assert list(stable_rows(page)) == [each.title for each in SCENARIOS]
    assert words(page) == [f"- **{each.title}**: {each.words}" for each in SCENARIOS]


def test_no_two_scenarios_have_the_same_name():
    assert len({each.slug for each in SCENARIOS}) == len(SCENARIOS)
