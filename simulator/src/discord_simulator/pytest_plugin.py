"""The fixture `discord_simulator` for tests of bots: a started simulator, with settings from a marker.

pytest loads this module in every run where the simulator is installed, wanted or not. So it imports what it needs
when a test asks for the fixture, and it is the only module of the simulator that knows pytest.
"""

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

try:
    from pytest_asyncio import fixture as _async_fixture
except ImportError:  # another plugin for async tests, such as anyio's, takes a plain fixture
    _async_fixture = pytest.fixture  # type: ignore[assignment]  # called without arguments, both are alike

if TYPE_CHECKING:
    from discord_simulator import Simulator, SimulatorSettings

_MARKER = "discord_simulator"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**settings): settings of the fixture discord_simulator, such as guilds=50, max_concurrency=4; "
        "the names are those of SimulatorSettings, and a test's own marker wins over its class's or module's.",
    )


@_async_fixture
async def discord_simulator(request: pytest.FixtureRequest) -> AsyncIterator["Simulator"]:
    """Give a started `discord_simulator.Simulator` on free loopback ports; it ends with the test.

    Settings come from `@pytest.mark.discord_simulator(guilds=50, max_concurrency=4)`.
    """
    from discord_simulator import Simulator  # noqa: PLC0415 - see the module's docstring

    async with Simulator(_settings(request)) as simulator:
        yield simulator


def _settings(request: pytest.FixtureRequest) -> "SimulatorSettings":
    from discord_simulator.settings import SimulatorSettings  # noqa: PLC0415 - see the module's docstring

    chosen: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            pytest.fail(f"{_MARKER}: settings have names, such as guilds=50; got {marker.args!r}", pytrace=False)
        chosen |= marker.kwargs
    known = {field.name for field in fields(SimulatorSettings)}
    if unknown := sorted(chosen.keys() - known):
        names = ", ".join(sorted(known))
        pytest.fail(f"{_MARKER}: no such setting: {', '.join(unknown)}; there are: {names}", pytrace=False)
    return SimulatorSettings(**chosen)
