"""One world after the other for the scenarios, and the rows that they made."""

import sys
from pathlib import Path

import pytest
import pytest_asyncio

HERE = Path(__file__).parent
# Tests are no packages themselves: `reshardtable` is here, `faulttable`, on which it stands, with the lossless tests.
for place in (HERE.parent / "lossless", HERE):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from faulttable.world import Worlds  # noqa: E402 - found by the path above
from reshardtable.world import World  # noqa: E402


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worlds(tmp_path_factory):
    """Worlds that scenarios share; nothing of them is left at the end, whatever happened."""
    shared = Worlds(lambda: tmp_path_factory.mktemp("w"), World.open)
    yield shared
    await shared.close()


@pytest.fixture(scope="module")
def rows():
    """What came of the scenarios of this run, in their order."""
    return {}
