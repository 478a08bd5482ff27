"""One world after the other for the scenarios, and the rows that they made."""

import sys
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # for the package `faulttable`: tests are no packages themselves

from faulttable.world import Worlds


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worlds(tmp_path_factory):
    """Worlds that scenarios share; nothing of them is left at the end, whatever happened."""
    shared = Worlds(lambda: tmp_path_factory.mktemp("w"))
    yield shared
    await shared.close()


@pytest.fixture(scope="module")
def rows():
    """What came of the scenarios of this run, in their order."""
    return {}
