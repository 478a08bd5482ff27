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


SHOWN_AT_THE_END = []


@pytest.fixture(scope="session")
def shown_at_the_end():
    """What a run prints below everything else, whether it passed or not."""
    return SHOWN_AT_THE_END


def pytest_terminal_summary(terminalreporter):
    for text in SHOWN_AT_THE_END:
        terminalreporter.section("simulated reshards: how often each fault was done in each step")
        terminalreporter.write_line(text)
