"""How long one pass of the operator takes, plan and status, with 16,000 shards in 1,000 pods, also during a reshard.

Pure: nothing runs. Exit status 1 if a pass with so many pods takes longer than the goal. `--profile` tells where the
time goes.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway_operator.core.status import status, with_rows
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.core.world import Plan, ReshardPhase
from page import write_section
from planner_world import CASES, LEDGER, NOW, PODS, SHARDS, WALL, Case, Scenery

GOAL_MS = 100.0


def milliseconds(passes: int, call: Callable[[], object]) -> float:
    """The median of some calls, in CPU time: nothing in them waits, and other processes shall not count."""
    took = []
    for _ in range(passes):
        began = time.process_time()
        call()
        took.append((time.process_time() - began) * 1000)
    return statistics.median(took)


@dataclass(frozen=True)
class Row:
    case: Case
    pods: int
    plan: float
    status: float
    rows: float

    @property
    def whole_pass(self) -> float:
        return self.plan + self.status


def measure(case: Case, passes: int, *, profiled: bool) -> Row:
    scenery = Scenery(case)
    planned = scenery.plan()
    check(scenery, planned)
    if profiled:
        profile(case, scenery)

    def tell() -> GatewayStatus:
        return status(scenery.gateway, scenery.world, planned, LEDGER, NOW, wall_now=datetime.fromtimestamp(WALL, UTC))

    def all_rows() -> object:
        return with_rows(tell(), scenery.gateway, scenery.world, planned)

    took = [milliseconds(passes, call) for call in (scenery.plan, tell, all_rows)]
    return Row(case, len(scenery.world.instances), *took)


def check(scenery: Scenery, planned: Plan) -> None:
    """The pass must do what it is measured for: keep all that runs, and judge what is under way."""
    before, after = scenery.reshard, planned.reshard
    assert len(planned.instances) == len(planned.assignments) == len(scenery.world.instances)
    assert not planned.remove
    if before is None or after is None:
        assert before is after
    elif before.handover is None:
        assert after.phase is ReshardPhase.HANDING_OVER, planned.waiting_for
    else:
        assert after.fenced is not None, planned.waiting_for
        assert planned.givers
        assert planned.takers


def profile(case: Case, scenery: Scenery) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(scenery.plan)
    print(f"--- {case.title}")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def report(rows: list[Row]) -> str:
    what = (
        f"The median of some passes, in ms of CPU; the goal is {GOAL_MS:.0f} ms with {SHARDS:,} shards in {PODS:,} "
        "pods, those of both sets together, for plan and status in one pass. Where there are more, there is no goal. "
        "The rows of the status, one a shard, are made when somebody asks for them."
    )
    return "\n".join(
        [
            what,
            "",
            "| shards | pods | plan | status | with rows |",
            "|---|---:|---:|---:|---:|",
            *(
                f"| {row.case.title} | {row.pods:,} | {row.plan:.0f} | {row.status:.0f} | {row.rows:.0f} |"
                for row in rows
            ),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=15, help="of each figure; the median counts (default 15)")
    parser.add_argument("--profile", action="store_true", help="print where the time of one pass goes")
    parser.add_argument("--only", default="", help="only rows whose title contains this")
    parser.add_argument("--write", type=Path, help="put the result into this page, between its markers")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case.title]
    rows = [measure(case, arguments.passes, profiled=arguments.profile) for case in cases]
    text = report(rows)
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, "planner", text)
    return 0 if all(row.whole_pass <= GOAL_MS for row in rows if row.case.in_goal) else 1


if __name__ == "__main__":
    sys.exit(main())
