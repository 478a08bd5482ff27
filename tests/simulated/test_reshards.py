"""Thousands of reshards on a virtual clock, with the code that runs in production and every fault in every step."""

import time

import pytest
from reshards.faults import FAULTS, STEPS
from reshards.mutants import MUTANTS
from reshards.table import as_table, cases, hits, missing, run_all

pytestmark = pytest.mark.timeout(7200)

AT_LEAST = 2000
SEEDS_OF_A_MUTANT = 400
MINIMUM_PER_CELL = 10


@pytest.fixture(scope="module")
def outcomes(seeds_each):
    """Of all runs; what broke is told at once, for a soak takes long."""
    began, every = time.monotonic(), []

    def wanted():
        yield cases(seeds_each)
        for more in (1, 2, 3):
            yield missing(every, min(seeds_each, MINIMUM_PER_CELL), more * 100_000)

    for one in (one for some in wanted() if some for one in run_all(some)):
        every.append(one)
        if one.violations:
            tell(one.command, one.shards, *one.violations)
        if len(every) % 500 == 0:
            tell(f"{len(every)} reshards", f"{time.monotonic() - began:.0f} s")
    tell(f"{len(every)} reshards, {sum(one.events for one in every)} events, {time.monotonic() - began:.0f} s")
    return every


def tell(*lines):
    print("", *lines, sep="\n    ", flush=True)  # noqa: T201 -- shown with -s, or when it fails


def test_no_reshard_loses_doubles_or_reorders_an_event_whatever_goes_wrong(outcomes):
    broken = [one.command for one in outcomes if one.violations]
    assert len(outcomes) >= AT_LEAST
    assert not broken


def test_every_fault_was_done_in_every_step(outcomes, shown_at_the_end):
    broken = sum(bool(one.violations) for one in outcomes)
    shown_at_the_end.append(f"{len(outcomes)} reshards, {broken} of them broken\n{as_table(outcomes)}")
    done = hits(outcomes)
    assert {(fault, step) for fault in FAULTS for step in STEPS if done[fault, step] < MINIMUM_PER_CELL} == set()


def test_reshards_without_a_fault_come_to_their_end(outcomes):
    calm = [one for one in outcomes if (one.fault, one.step) == ("none", "none")]
    assert calm
    assert {one.ended for one in calm} == {"done"}


def test_without_a_fault_most_ranges_go_over_at_the_first_try(outcomes):
    """Sessions that are only quiet are no reason to give one back: that takes as long as two sets are compared.

    Some are, in a model in which an answer may take as long as two sessions may differ.
    """
    calm = [one for one in outcomes if (one.fault, one.step) == ("none", "none")]
    assert sum(one.given_back for one in calm) <= len(calm) / 2


@pytest.mark.parametrize("part", MUTANTS)
def test_leaving_out_a_part_of_the_design_is_found_out(part):
    mutant = MUTANTS[part]
    wanted = [(number, *mutant.where[number % len(mutant.where)]) for number in range(SEEDS_OF_A_MUTANT)]
    broken = (
        (one, violation)
        for one in run_all(wanted, mutant.leave_out)
        for violation in one.violations
        if violation.startswith("I") and mutant.said in violation
    )
    found, violation = next(broken, (None, ""))
    assert found is not None, f"without the {part} nothing was noticed"
    tell(f"without the {part}: {found.command}: {violation}")


def test_a_seed_gives_the_same_run_again():
    case = (7, "new worker crashes", "live")
    first, second = run_all([case, case])
    assert first == second
