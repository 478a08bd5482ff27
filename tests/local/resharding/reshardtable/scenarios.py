"""All rows of the table, in its order, which is the order they are run in."""

from .clean_reshards import ABORTED, CLEAN
from .crashes import CRASHES
from .scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (*CLEAN, *ABORTED, *CRASHES)
