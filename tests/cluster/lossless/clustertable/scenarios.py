"""All rows of the table, in the order they are run in: each finds the gateway as the one before has left it."""

from .cluster_faults import API_SERVER, CRASH, DRAIN
from .operator_faults import OPERATOR_FAULTS
from .pod_faults import POD_FAULTS
from .reshards import RESHARDS
from .scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (*POD_FAULTS, DRAIN, *OPERATOR_FAULTS, *RESHARDS, CRASH, API_SERVER)
