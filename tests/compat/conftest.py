"""The libraries, installed once a run, and what each of them found, asked once a run."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the package `compatibility`: tests are no packages themselves

from compatibility.behaviours import examine
from compatibility.toolchains import ToolchainError, install


@pytest.fixture(scope="session")
def toolchains(request):
    """Install what is missing, saying so on the terminal. In CI nothing is skipped: what cannot be had is an error."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text):
        with capture.global_and_fixture_disabled():
            print(f"\ncompat: {text}")  # noqa: T201 - for whoever waits

    try:
        return install(say)
    except ToolchainError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the libraries could not be installed (an error where CI is set): {error}")


@pytest.fixture(scope="session")
def examined(toolchains):
    """Give what a subject found; asks it on first use, and says the same again, failure too, to every later test."""
    known = {}

    def ask(subject):
        if subject not in known:
            try:
                known[subject] = asyncio.run(examine(toolchains, subject))
            except AssertionError as error:
                known[subject] = error
        if isinstance(known[subject], AssertionError):
            pytest.fail(f"{subject}: {known[subject]}", pytrace=False)
        return known[subject]

    return ask
