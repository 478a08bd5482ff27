"""A Discord gateway for tests: enforces Discord's rules, misbehaves on request, and counts every event.

    async with Simulator(SimulatorSettings(guilds=100)) as simulator:
        ...  # point a bot at simulator.rest_url or simulator.gateway_url
        account = settle(simulator.ledger.rows(), deliveries)

It knows nothing of the programs it is used to test.
"""

from discord_simulator.account import Account, Delivery, settle
from discord_simulator.faults import Fault, UnknownTargetError
from discord_simulator.generator import MixError
from discord_simulator.ledger import EventRow, Incident, Ledger
from discord_simulator.listeners import PortUnavailableError
from discord_simulator.scenario import LoadRunningError
from discord_simulator.settings import DEFAULT_TOKEN, Burst, LiveResume, LoadSettings, SimulatorSettings
from discord_simulator.simulator import Simulator

__all__ = [
    "DEFAULT_TOKEN",
    "Account",
    "Burst",
    "Delivery",
    "EventRow",
    "Fault",
    "Incident",
    "Ledger",
    "LiveResume",
    "LoadRunningError",
    "LoadSettings",
    "MixError",
    "PortUnavailableError",
    "Simulator",
    "SimulatorSettings",
    "UnknownTargetError",
    "settle",
]
