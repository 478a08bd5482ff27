"""What makes the sessions of one bot differ, as Discord's do: each is late by its own measure, and writes its way."""

import asyncio
import random

from discord_simulator import Fault, Simulator

MAX_SKEW = 0.5
"""D of these worlds, in seconds: `reshard.maxSkew`."""
LATEST = 0.9 * MAX_SKEW
EVERY = 0.05
RECONNECT_EVERY = 12.0
"""Seconds between two requests to reconnect (op 7), each to one session. After one a handover waits some 4.5 s."""
SETTLED = 10.0
"""Seconds after which a session that is sent away comes back at once; a younger one takes its time."""


class Weather:
    """Every new session gets a delay of its own, keys in an order of its own, and now and then one is sent away."""

    def __init__(self, simulator: Simulator, seed: str) -> None:
        self._simulator = simulator
        self._random = random.Random(seed)
        self.delays: dict[str, float] = {}
        self._seen_at: dict[str, float] = {}

    async def blow(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + RECONNECT_EVERY
        while True:
            connected = [str(one["session_id"]) for one in self._simulator.sessions if one["connected"]]
            for session in connected:
                if session not in self.delays:
                    self._set_apart(session)
                    self._seen_at[session] = loop.time()
            settled = [one for one in connected if loop.time() - self._seen_at[one] >= SETTLED]
            if settled and loop.time() >= due:
                due = loop.time() + RECONNECT_EVERY
                self._simulator.kill(self._random.choice(settled), Fault.RECONNECT)
            await asyncio.sleep(EVERY)

    def _set_apart(self, session: str) -> None:
        self.delays[session] = self._random.uniform(0.0, LATEST)
        self._simulator.delay(session, self.delays[session])
        self._simulator.fault("vary", target=session)
