"""A Discord gateway for tests: enforces Discord's rules, misbehaves on request, and counts every event.

    async with Simulator(SimulatorSettings(guilds=100)) as simulator:
        ...  # point a bot at simulator.rest_url or simulator.gateway_url
        account = settle(simulator.ledger.rows(), deliveries)

It knows nothing of the programs it is used to test.

Names are imported when first used: the pytest plugin is loaded in every test run of whoever has this installed, and
must not cost a second there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discord_simulator.account import Account, Delivery, number_by_key, settle
    from discord_simulator.conditions import LiveResume
    from discord_simulator.faults import Fault, UnknownTargetError
    from discord_simulator.generator import MixError
    from discord_simulator.ledger import EventRow, FaultRecord, Incident, InterferenceRow, Ledger
    from discord_simulator.listeners import PortUnavailableError
    from discord_simulator.scenario import LoadRunningError
    from discord_simulator.settings import (
        DEFAULT_TOKEN,
        Burst,
        FullShards,
        LifeRates,
        LoadSettings,
        SimulatorSettings,
        StoryShares,
    )
    from discord_simulator.simulator import Simulator
    from discord_simulator.timeline import Timeline, load_timeline, read_timeline
    from discord_simulator.wrong_input import WrongInputError

__all__ = [
    "DEFAULT_TOKEN",
    "Account",
    "Burst",
    "Delivery",
    "EventRow",
    "Fault",
    "FaultRecord",
    "FullShards",
    "Incident",
    "InterferenceRow",
    "Ledger",
    "LifeRates",
    "LiveResume",
    "LoadRunningError",
    "LoadSettings",
    "MixError",
    "PortUnavailableError",
    "Simulator",
    "SimulatorSettings",
    "StoryShares",
    "Timeline",
    "UnknownTargetError",
    "WrongInputError",
    "load_timeline",
    "number_by_key",
    "read_timeline",
    "settle",
]

_HOMES = (
    "account",
    "conditions",
    "faults",
    "generator",
    "ledger",
    "listeners",
    "scenario",
    "settings",
    "simulator",
    "timeline",
    "wrong_input",
)

if not TYPE_CHECKING:  # for checkers the imports above are all there is, so that they find misspelt names

    def __getattr__(name: str) -> Any:
        for home in _HOMES if name in __all__ else ():
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
