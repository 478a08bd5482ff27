"""Many reshards on all processors: every fault in every step, and what came of them."""

import gc
import multiprocessing
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from .faults import FAULTS, STEPS
from .run import Outcome, run

PROCESSORS = 2
PATIENCE = 15
"""Seconds of a processor for one run, which takes a third of one: other work on the machine does not count."""
Case = tuple[int, str, str]


def cases(seeds_each: int, first_seed: int = 0) -> list[Case]:
    """Every fault in every step so often, and reshards without a fault; no seed twice."""
    cells = [(fault, step) for fault in FAULTS for step in STEPS]
    calm = [*[("none", "none"), ("none", "Aborting")] * 3, ("identify budget changes", "Preparing")]
    every = [cell for cell in (*cells, *calm) for _ in range(seeds_each)]
    return [(first_seed + number, fault, step) for number, (fault, step) in enumerate(every)]


def missing(outcomes: Iterable[Outcome], wanted: int, first_seed: int) -> list[Case]:
    """More of the cells in which the fault came too late for its step, so that it was done less often than wanted."""
    done = hits(outcomes)
    cells = [(fault, step) for fault in FAULTS for step in STEPS if done[fault, step] < wanted]
    return [(first_seed + number, *cell) for number, cell in enumerate(cells * 3)]


def run_all(wanted: Iterable[Case], prepare: Callable[[], None] | None = None) -> Iterator[Outcome]:
    """As they end, on two processors. `prepare` is called in each, before the first."""
    os.environ["PYTHONHASHSEED"] = "0"  # or sets of names would be walked through in another order each time
    every = list(wanted)
    random.Random(1).shuffle(every)
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSORS, initializer=_begin, initargs=(prepare,), maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(_run, every, chunksize=4)


def _begin(prepare: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGPROF, _too_long)
    gc.freeze()
    gc.set_threshold(50_000)
    sys.unraisablehook = lambda _: None  # what is left of killed tasks is no news
    if prepare is not None:
        prepare()


class TooLongError(BaseException):
    """A run that does not come to its end: time stands still in it."""


def _run(case: Case) -> Outcome:
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        return run(*case)
    except TooLongError as error:
        return Outcome(*case, (0, 0), violations=[f"not done after {PATIENCE} s of a processor: {error}"])
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is told by its seed
        return Outcome(*case, (0, 0), violations=[f"the run itself failed: {error!r}"])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(_number: int, frame: FrameType | None) -> None:
    raise TooLongError("".join(traceback.format_stack(frame, limit=4)))


def hits(outcomes: Iterable[Outcome]) -> Counter[tuple[str, str]]:
    """How often each fault was done in each step."""
    return Counter((one.fault, one.step) for one in outcomes if one.hit)


def as_table(outcomes: Iterable[Outcome]) -> str:
    done = hits(outcomes)
    wide = max(map(len, FAULTS))
    rows = [" " * wide + "".join(f"{step:>10}" for step in STEPS)]
    rows += [f"{fault:{wide}}" + "".join(f"{done[fault, step]:10}" for step in STEPS) for fault in FAULTS]
    return "\n".join(rows)
