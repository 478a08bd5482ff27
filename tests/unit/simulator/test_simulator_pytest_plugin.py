"""The fixture, as a user's own test run sees it: in a process of its own, found by its entry point."""

import os
import re
import subprocess
import sys

import pytest

PASSING = """
import asyncio
import json
import urllib.request

import pytest

from discord_simulator import Simulator, SimulatorSettings

pytestmark = pytest.mark.asyncio


def ask(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


async def test_without_a_marker_the_settings_are_the_usual_ones_and_it_serves(discord_simulator):
    assert isinstance(discord_simulator, Simulator)
    assert discord_simulator.settings == SimulatorSettings()
    answer = await asyncio.to_thread(ask, discord_simulator.rest_url + "/gateway")
    assert answer["url"] == discord_simulator.gateway_url


@pytest.mark.discord_simulator(guilds=7, seed=3)
class TestWithMarkers:
    async def test_as_the_class_says(self, discord_simulator):
        assert len(discord_simulator.guild_ids) == 7

    @pytest.mark.discord_simulator(guilds=50, max_concurrency=4)
    async def test_a_nearer_marker_wins(self, discord_simulator):
        assert len(discord_simulator.guild_ids) == 50
        assert discord_simulator.settings.max_concurrency == 4
        assert discord_simulator.settings.seed == 3
"""

WRONG = """
import pytest


@pytest.mark.discord_simulator(guild=50)
async def test_a_misspelt_setting(discord_simulator):
    pass


@pytest.mark.discord_simulator(50)
async def test_a_setting_without_name(discord_simulator):
    pass
"""


@pytest.fixture
def run_tests(tmp_path):
    """Run a test file as a user does, with warnings as errors and only markers that are known."""

    def run(text, mode, *options):
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        )
        (tmp_path / "test_bot.py").write_text(text)
        # As in tests/conftest.py: on Python 3.11 pytest-asyncio would make a loop that nobody closes.
        (tmp_path / "conftest.py").write_text("import asyncio\n\nasyncio.set_event_loop(None)\n")
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # of no use here, and slow to start
        return subprocess.run(
            [sys.executable, "-m", "pytest", "--strict-markers", *without, *options],
            cwd=tmp_path, env=outer, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def test_it_serves_with_the_usual_settings_or_with_those_of_the_nearest_marker(run_tests):
    done = run_tests(PASSING, "strict")

    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_setting_that_is_none_is_told_with_those_there_are(run_tests):
    done = run_tests(WRONG, "auto")

    assert "2 errors" in done.stdout
    assert re.search(r"no such setting: guild; there are: .*\bguilds, .*max_concurrency", done.stdout)
    assert "settings have names, such as guilds=50; got (50,)" in done.stdout


def test_the_marker_explains_itself(run_tests):
    done = run_tests("", "auto", "--markers")

    assert "@pytest.mark.discord_simulator(**settings): settings of the fixture" in done.stdout


def test_what_pytest_loads_in_every_run_imports_nothing_heavy():
    heavy = "{'aiohttp', 'websockets', 'uvloop', 'structlog', 'msgspec', 'yaml', 'trustme', 'zstandard'}"
    subprocess.run(
        [sys.executable, "-c", f"import sys, discord_simulator.pytest_plugin; assert not {heavy} & sys.modules.keys()"],
        check=True,
    )


def test_the_simulator_itself_needs_no_pytest():
    modules = "discord_simulator.command, discord_simulator.fault_command"
    code = f"import sys, {modules}; from discord_simulator import *; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
