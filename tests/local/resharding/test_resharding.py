"""The table in docs/resharding-table.md: reshards of real processes under load, and every event counted."""

import os
from pathlib import Path

import pytest
from faulttable.page import replace
from reshardtable.run import RATE
from reshardtable.scenario import perform
from reshardtable.scenarios import SCENARIOS
from reshardtable.table import cells, render, stable, stable_rows
from reshardtable.world import FENCE_TIMEOUT

PAGE = Path(__file__).parents[3] / "docs" / "resharding-table.md"
WRITE = "WRITE_RESHARDING"
"""Set (by `make resharding`) to write the page with the figures of this run, which differ from run to run."""

LEASE = 2 * FENCE_TIMEOUT
"""For so long at most, a new owner delivers what it may have to give back (I3)."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
async def test_no_event_is_lost_doubled_or_out_of_order_through(scenario, worlds, rows):
    world = await worlds.get(scenario.settings)
    try:
        row = await perform(scenario, world)
    except BaseException:
        await worlds.close()  # the next scenario is not to suffer for this one
        raise

    rows[scenario] = row
    print(*cells(scenario, row), sep=" | ", flush=True)  # noqa: T201 - for `pytest -s`
    assert (row.lost, row.doubled, row.disordered, row.unexplained) == (0, 0, 0, 0)
    assert row.delivered == row.sent - row.not_owed
    assert row.not_owed == 0 or scenario.refused
    assert row.again <= scenario.crashes * LEASE * RATE
    if not scenario.crashes:
        assert row.repeated == 0
    if scenario.identifies is not None:
        assert row.identifies == scenario.identifies
    if scenario.most_identifies is not None:
        assert row.identifies <= scenario.most_identifies
    if scenario.ranges is not None:
        assert row.ranges == scenario.ranges


async def test_the_page_tells_what_this_run_found(rows):
    if os.environ.get(WRITE):
        assert set(rows) == set(SCENARIOS), "the page is written after all scenarios have run"
        PAGE.write_text(replace(PAGE.read_text(), render({scenario: rows[scenario] for scenario in SCENARIOS})))

    told = stable_rows(PAGE.read_text())
    found = {scenario.title: stable(cells(scenario, row)) for scenario, row in rows.items()}

    assert {title: told.get(title) for title in found} == found
