"""The Python API: what tests of bots import and lean on."""

import asyncio
from pathlib import Path

import pytest

import discord_simulator
from discord_simulator import PortUnavailableError, Simulator, SimulatorSettings, UnknownTargetError


def test_the_public_names_are_these():
    assert sorted(discord_simulator.__all__) == [
        "Account", "Burst", "DEFAULT_TOKEN", "Delivery", "EventRow", "Fault", "FaultRecord", "FullShards", "Incident",
        "InterferenceRow", "Ledger", "LifeRates", "LiveResume", "LoadRunningError", "LoadSettings", "MixError",
        "PortUnavailableError", "Simulator", "SimulatorSettings", "StoryShares", "Timeline", "UnknownTargetError",
        "WrongInputError", "load_timeline", "number_by_key", "read_timeline", "settle",
    ]  # fmt: skip
    assert all(hasattr(discord_simulator, name) for name in discord_simulator.__all__)


async def test_load_is_waited_for(simulate):
    simulator = await simulate()
    simulator.start_load(5000, events=40)

    await simulator.wait_load_done()

    assert simulator.ledger.unrouted == 40


async def test_waiting_for_a_load_without_an_end_is_an_error_and_not_forever(simulate):
    simulator = await simulate()
    with pytest.raises(RuntimeError, match="start_load"):
        await simulator.wait_load_done()

    simulator.start_load(10)
    with pytest.raises(RuntimeError, match="duration"):
        await simulator.wait_load_done()


async def test_the_ca_is_at_hand_as_text_and_as_a_file_that_goes_with_the_simulator():
    async with Simulator() as simulator:
        ca_file = Path(simulator.ca_file)
        assert await asyncio.to_thread(ca_file.read_bytes) == simulator.ca_pem
    assert not await asyncio.to_thread(ca_file.exists)


async def test_a_taken_port_is_told_apart_and_leaves_nothing_open(simulate):
    simulator = await simulate()
    port = int(simulator.control_url.rpartition(":")[2])

    with pytest.raises(PortUnavailableError, match=f"127.0.0.1:{port}.*--control-port"):
        async with Simulator(SimulatorSettings(control_port=port)):
            pass


async def test_an_unknown_target_is_an_error(simulate):
    with pytest.raises(UnknownTargetError, match="there are: none"):
        (await simulate()).kill("0/1")


async def test_a_failure_inside_the_simulator_fails_the_test_that_uses_it(monkeypatch, eventually):
    failed = []

    def fail(now):
        failed.append(now)
        raise ZeroDivisionError

    simulator = Simulator()
    monkeypatch.setattr(simulator._scenario, "tick", fail)

    with pytest.raises(ZeroDivisionError):
        async with simulator:
            await eventually(lambda: failed)
