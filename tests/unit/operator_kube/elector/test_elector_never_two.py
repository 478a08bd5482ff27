"""Whatever fails, no two replicas lead at once: ten minutes each, on dice.

Whether others lead is looked at when one begins to: who leads has done so ever since it began, for a leadership that is
over does not come back. The replicas' clocks begin anywhere and run up to 5 % apart.
"""

import asyncio
from contextlib import suppress
from random import Random

import pytest

pytestmark = pytest.mark.looptime

DURATION = 600.0


class Dice:
    """Does something to the API server, the Lease or a replica every few seconds."""

    def __init__(self, seed, api, replicas) -> None:
        self._random = Random(seed)
        self._api = api
        self._replicas = replicas

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 25))
            await self._random.choice(
                [self._down, self._slow, self._lost_answers, self._deleted, self._paused, self._paused, self._restarted]
            )()

    async def _down(self) -> None:
        self._api.down = True
        await asyncio.sleep(self._random.choice([1, 5, 9, 12, 20, 60]))
        self._api.down = False

    async def _slow(self) -> None:
        self._api.slow = self._random.choice([0.5, 2, 3, 4.9, 6, 12])
        await asyncio.sleep(self._random.uniform(1, 40))
        self._api.slow = 0.0

    async def _lost_answers(self) -> None:
        self._api.lose_answers = True
        await asyncio.sleep(self._random.uniform(1, 15))
        self._api.lose_answers = False

    async def _deleted(self) -> None:
        for _ in range(self._random.choice([1, 1, 3])):
            self._api.lease = None
            await asyncio.sleep(self._random.uniform(0.1, 20))

    async def _paused(self) -> None:
        now = asyncio.get_running_loop().time()
        self._random.choice(self._replicas).paused_until = now + self._random.uniform(1, 40)

    async def _restarted(self) -> None:
        """Stopped as on SIGTERM, or killed, and started again in the same pod."""
        replica = self._random.choice(self._replicas)
        await replica.stop()
        if self._random.random() < 0.5:
            await replica.elector.release()
        await asyncio.sleep(self._random.uniform(0, 20))
        replica.task = asyncio.create_task(replica.elector.run())


def running_apart(random: Random):
    loop, offset, rate = asyncio.get_running_loop(), random.uniform(0, 1e6), random.uniform(0.975, 1.025)
    return lambda: offset + rate * loop.time()


@pytest.mark.parametrize("seed", range(15))
async def test_when_one_begins_to_lead_no_other_does(api, replica, seed):
    replicas = [replica(name, running_apart(Random(f"{seed} {name}"))) for name in ("a", "b")]
    together = []
    for one in replicas:
        one.on_acquired = lambda: together.append([other.elector.leads() for other in replicas].count(True))
    trouble = asyncio.create_task(Dice(seed, api, replicas).run())
    await asyncio.sleep(DURATION)
    trouble.cancel()
    with suppress(asyncio.CancelledError):
        await trouble

    assert set(together) == {1}, "how many led, whenever one began to"
    assert len(together) >= 2, "the dice were too kind"
    for one in replicas:
        old = one.leaderships[:-1] if one.elector.leads() else one.leaderships
        assert not any(leadership.leads() for leadership in old)
        told = [event for _, event in one.events]
        assert told == (["acquired", "lost"] * len(told))[: len(told)]
