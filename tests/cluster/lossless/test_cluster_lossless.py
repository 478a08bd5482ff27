"""The table in docs/kubernetes-table.md: its faults, done to a real cluster under load, and every event counted."""

import os
from pathlib import Path

import pytest
from clustertable.run import RATE
from clustertable.scenario import perform
from clustertable.scenarios import SCENARIOS
from clustertable.table import cells, render, stable, stable_rows
from faulttable.page import replace
from harness import report

PAGE = Path(__file__).parents[3] / "docs" / "kubernetes-table.md"
WRITE = "WRITE_CLUSTER_TABLE"
"""Set to write the page with the figures of this run, which differ from run to run."""

LEASE_S = 2.0
"""Twice `reshard.fenceTimeout`: for so long at most, a new owner delivers what it may have to give back (I3)."""

pytestmark = pytest.mark.timeout(600, func_only=True)  # the cluster and the image take minutes of their own


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
def test_no_event_is_lost_doubled_or_out_of_order_through(scenario, worlds, rows):
    world = worlds.get(scenario.shards)
    try:
        row = perform(scenario, world)
    except BaseException as failed:
        failed.add_note(report.of_namespace(world.cluster, world.namespace))
        worlds.close()  # the next scenario is not to suffer for this one
        raise

    rows[scenario] = row
    print(*cells(scenario, row), sep=" | ", flush=True)  # noqa: T201 - for `pytest -s`
    assert (row.lost, row.doubled, row.disordered) == (0, 0, 0)
    assert row.delivered == row.sent > 0
    assert row.again <= scenario.leases * LEASE_S * RATE
    assert row.identifies == scenario.identifies
    if not scenario.crashes:
        assert row.repeated == 0


def test_the_page_tells_what_this_run_found(rows):
    if os.environ.get(WRITE):
        assert set(rows) == set(SCENARIOS), "the page is written after all scenarios have run"
        PAGE.write_text(replace(PAGE.read_text(), render({scenario: rows[scenario] for scenario in SCENARIOS})))

    told = stable_rows(PAGE.read_text())
    found = {scenario.title: stable(cells(scenario, row)) for scenario, row in rows.items()}

    assert {title: told.get(title) for title in found} == found
