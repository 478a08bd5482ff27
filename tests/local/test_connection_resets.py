"""A connection that is reset is noticed when it happens, and not at the next heartbeat."""

import asyncio
import sys
from pathlib import Path

from discord_simulator import DEFAULT_TOKEN, Simulator, SimulatorSettings

RESETS = 40
NOTICED_WITHIN_S = 5.0  # a heartbeat would take up to 41 s


async def wait_until(condition, within):
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 -- the simulator sets no event
            await asyncio.sleep(0.005)


async def test_each_of_many_resets_in_the_middle_of_events_is_followed_by_a_resume_at_once(tmp_path):
    """Over TLS, on the pods' own event loop: one transport in use before overlooked about every fifth reset."""
    ca_file = tmp_path / "ca.pem"
    async with Simulator(SimulatorSettings(guilds=60, max_concurrency=2, identify_interval=0)) as simulator:
        ca_file.write_bytes(simulator.ca_pem)
        script = Path(__file__).with_name("resetting_client.py")
        client = await asyncio.create_subprocess_exec(
            sys.executable, str(script), simulator.gateway_url_tls, DEFAULT_TOKEN, str(ca_file)
        )
        try:
            await wait_until(lambda: simulator.ready_sessions == 2, 20)
            simulator.start_load(500)
            for _ in range(RESETS):
                before = simulator.ledger.summary()["resumes"]
                simulator.kill("0/2", "tcp-reset")
                await wait_until(lambda before=before: simulator.ledger.summary()["resumes"] > before, NOTICED_WITHIN_S)
                sent = simulator.ledger.summary()["sent"]
                await wait_until(lambda sent=sent: simulator.ledger.summary()["sent"] > sent + 20, 5)
        finally:
            client.kill()
            await client.wait()
