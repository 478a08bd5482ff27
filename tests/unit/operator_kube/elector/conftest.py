"""Replicas that stand for leadership, over one Lease at an API server of a few lines that can fail."""

import asyncio
from copy import deepcopy
from datetime import UTC, datetime
from random import Random

import pytest

from gateway_operator.kube.elector import Elector, LeaseConflictError


async def reached(condition) -> None:
    """Wait on the virtual clock until the condition holds."""
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.1)
    pytest.fail("the condition did not come true")


class ApiServer:
    """One Lease with a resourceVersion. `down`: every request fails; `slow`: seconds until an answer."""

    def __init__(self) -> None:
        self.lease = None
        self.down = False
        self.slow = 0.0
        self.lose_answers = False
        self.writes = 0
        self._version = 0

    async def read(self):
        await self._answering()
        return deepcopy(self.lease)

    async def create(self, lease):
        if not self.down and self.lease is not None:
            raise LeaseConflictError
        await self._write(lease, uid=f"lease-{self._version}")

    async def replace(self, lease):
        stored = self.lease
        if not self.down and (stored is None or stored["metadata"] != lease["metadata"]):
            raise LeaseConflictError
        await self._write(lease, uid=lease["metadata"]["uid"])

    async def _write(self, lease, *, uid):
        if not self.down:
            self._version += 1
            self.writes += 1
            self.lease = {**deepcopy(lease), "metadata": {"uid": uid, "resourceVersion": str(self._version)}}
        await self._answering()
        if self.lose_answers:
            raise ConnectionError("the connection broke")

    async def _answering(self):
        await asyncio.sleep(self.slow)
        if self.down:
            raise OSError("connection refused")

    @property
    def spec(self):
        return self.lease["spec"]


class Replica:
    """A replica, what it was told, and when: `events` has (seconds, event)."""

    def __init__(self, api: ApiServer, name: str, clock=None) -> None:
        loop = asyncio.get_running_loop()
        self.events = []
        self.leaderships = []
        self.on_acquired = lambda: None
        self.paused_until = 0.0
        self.elector = Elector(
            api,
            name,
            acquired=self._acquired,
            lost=lambda: self.events.append((loop.time(), "lost")),
            clock=clock or loop.time,
            calendar=lambda: datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
            jitter=Random(name),
            sleep=self._sleep,
        )
        self.task = asyncio.create_task(self.elector.run())

    def _acquired(self, leadership) -> None:
        self.leaderships.append(leadership)
        self.events.append((asyncio.get_running_loop().time(), "acquired"))
        self.on_acquired()

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await asyncio.sleep(max(0.0, self.paused_until - asyncio.get_running_loop().time()))

    async def until(self, event: str) -> float:
        """The seconds at which that came, which is waited for."""
        before = len(self.events)
        await reached(lambda: event in [name for _, name in self.events[before:]])
        return self.events[-1][0]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture(name="reached")
def reached_fixture():
    return reached


@pytest.fixture
def api():
    return ApiServer()


@pytest.fixture
async def replica(api):
    made = []

    def start(name: str, clock=None) -> Replica:
        made.append(Replica(api, name, clock))
        return made[-1]

    yield start
    for one in made:
        await one.stop()
