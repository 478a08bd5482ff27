"""The table in docs/lossless.md: each of its faults, done to real processes under load, and every event counted."""

import os
from pathlib import Path

import pytest
from faulttable.page import replace
from faulttable.scenario import perform
from faulttable.scenarios import IN_RUN_ORDER, SCENARIOS
from faulttable.table import cells, render, stable, stable_rows

PAGE = Path(__file__).parents[3] / "docs" / "lossless.md"
WRITE = "WRITE_LOSSLESS"
"""Set (by `make lossless`) to write the page with the figures of this run, which differ from run to run."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest.mark.parametrize("scenario", IN_RUN_ORDER, ids=lambda scenario: scenario.slug)
async def test_no_event_is_lost_doubled_or_out_of_order_through(scenario, worlds, rows):
    world = await worlds.get(scenario.settings)
    try:
        row = await perform(scenario, world)
    except BaseException:
        await worlds.close()  # the next scenario is not to suffer for this one
        raise

    rows[scenario] = row
    print(*cells(scenario, row), sep=" | ", flush=True)  # noqa: T201 - for `pytest -s`
    assert row.lost == (row.counted if scenario.bounded else 0)
    assert scenario.bounded is (row.counted > 0)
    assert row.delivered == row.sent - row.lost
    assert (row.doubled, row.disordered, row.unexplained) == (0, 0, 0)
    assert row.identifies == scenario.identifies


async def test_the_page_tells_what_this_run_found(rows):
    if os.environ.get(WRITE):
        assert set(rows) == set(SCENARIOS), "the page is written after all scenarios have run"
        PAGE.write_text(replace(PAGE.read_text(), render({scenario: rows[scenario] for scenario in SCENARIOS})))

    told = stable_rows(PAGE.read_text())
    found = {scenario.title: stable(cells(scenario, row)) for scenario, row in rows.items()}

    assert {title: told.get(title) for title in found} == found
