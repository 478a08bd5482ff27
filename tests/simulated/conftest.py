"""The package `reshards`, for tests are no packages themselves; and how many reshards a run of the tests makes."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# The processes that do the work import it as well.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="session")
def seeds_each():
    """How often each fault is done in each step; `make soak` asks for more."""
    return int(os.environ.get("RESHARDS_EACH", "10"))
