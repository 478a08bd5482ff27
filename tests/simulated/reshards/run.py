"""One reshard, from a seed alone: two shard sets, a Discord, a bot, an operator, and a fault in one of the steps."""

import asyncio
import logging
from dataclasses import dataclass, field
from random import Random

import structlog

from gateway_operator.core.world import ReshardPhase, ReshardRequest
from gateway_operator.model import DiscordGateway
from shardpod.handover import Windows

from . import workers as workers_module
from .bot import Bot
from .checker import Checker
from .discord import Discord
from .disk import DiskSpooler
from .faults import Injection
from .leases import Leases
from .network import Network
from .operators import Operators
from .pods import Pods, put_in_place
from .start_limit import StartLimit
from .virtual_loop import StandstillError, VirtualLoop
from .workers import SimulatedWorker, Surroundings

MAX_SKEW, FENCE_TIMEOUT = 0.5, 0.2
LEASE = 2 * FENCE_TIMEOUT
"""As docs/resharding.md has it."""
IDENTIFY_RESERVE = 10
BEGINNING = 1000.0
EVENTS_PER_SECOND = 8.0
LONGEST = 300.0
"""Seconds of virtual time after which a reshard counts as stuck."""
AFTERWARDS = 3.0
"""Seconds of traffic after the reshard's end."""


@dataclass
class Outcome:
    """What came of a run. `violations` are what must not be; `hit`: whether the fault found its step.

    `given_back`: how many handovers of a range were.
    """

    seed: int
    fault: str
    step: str
    shards: tuple[int, int]
    hit: bool = False
    given_back: int = 0
    ended: str = ""
    seconds: float = 0.0
    events: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        return f"run({self.seed}, {self.fault!r}, {self.step!r})"


class World:
    """All that a run is made of."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.windows = Windows(MAX_SKEW, FENCE_TIMEOUT)
        self.identify_reserve = IDENTIFY_RESERVE
        self.before, self.after = random.sample(range(1, 13), 2)
        if random.random() < 0.3:
            self.before, self.after = random.sample(range(1, 5), 2)
        self.limit = StartLimit(BEGINNING)
        self.discord = Discord(
            Random(random.random()), guilds=random.randint(6, 16), max_skew=MAX_SKEW, limit=self.limit
        )
        self.bot = Bot(Random(random.random()), self.discord.number_of)
        self.network = Network(Random(random.random()))
        self.leases = Leases(LEASE)
        self.around = Surroundings(Random(random.random()), self.discord, self.bot, self.network, self.leases)
        SimulatedWorker.around = self.around
        self.pods = Pods(self.around)
        self.gateway = _gateway(self.before, random)
        self.operators = Operators(self.gateway, self.network, self.pods, Random(random.random()), self.limit)
        self.beginning = BEGINNING
        self.traffic_until = float("inf")

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def traffic(self) -> None:
        while self.now() < self.traffic_until:
            await asyncio.sleep(self.random.expovariate(EVENTS_PER_SECOND))
            for _ in range(self.random.choice((1, 1, 1, 3))):
                self.discord.happen()

    async def until(self, condition, seconds: float, *, lasting: float = 0.0) -> bool:
        """Wait until the condition holds, and has held for some time; false when it takes too long."""
        deadline, since = self.now() + seconds, self.now()
        while True:
            now = self.now()
            if not condition():
                since = now
                if now > deadline:
                    return False
            elif now >= since + lasting:
                return True
            await asyncio.sleep(0.05)

    def all_connected(self) -> bool:
        """Whether the active set has all its sessions."""
        active = self.operators.memory.active
        count = active.shard_count if active is not None else self.before
        return len([one for one in self.discord.of(count) if one.line is not None]) == count


def _gateway(shards: int, random: Random) -> DiscordGateway:
    return DiscordGateway.model_validate(
        {
            "apiVersion": "discordgateway.dev/v1alpha1",
            "kind": "DiscordGateway",
            "metadata": {"name": "bot"},
            "spec": {
                "tokenSecretRef": {"name": "a", "key": "b"},
                "intents": ["GUILDS"],
                "discord": {"compression": "none"},
                "shards": shards,
                "sharding": {"shardsPerPod": random.randint(3, 12), "shardsPerWorker": random.randint(2, 12)},
                "reshard": {
                    "maxSkew": f"{MAX_SKEW * 1000:.0f}ms",
                    "fenceTimeout": f"{FENCE_TIMEOUT * 1000:.0f}ms",
                    "settle": "200ms",
                    "drainDelay": "500ms",
                    "identifyReserve": IDENTIFY_RESERVE,
                },
                "delivery": {"sink": {"http": {"url": "http://bot/"}}},
            },
        }
    )


async def _live(world: World, injection: Injection, outcome: Outcome) -> None:
    world.operators.begin()
    if not await world.until(world.all_connected, 30.0):
        outcome.violations.append("the first set never came up")
        return
    await asyncio.sleep(0.5)
    checker = Checker(world)
    traffic = asyncio.create_task(world.traffic())
    await asyncio.sleep(1.0)
    world.operators.wish(ReshardRequest(to=world.after, manifest_shards=world.before))
    injecting = asyncio.create_task(injection.run(world))
    memory = world.operators.memory
    await world.until(lambda: memory.record.reshard is not None, 10.0)
    done = await world.until(lambda: injection.settled and memory.record.reshard is None, LONGEST, lasting=1.5)
    injecting.cancel()
    outcome.seconds = world.now() - BEGINNING
    outcome.hit = injection.done
    if not done:
        reshard = memory.record.reshard
        status = world.operators.leader.operator.status
        outcome.violations.append(f"stuck: {status and status.reshard and status.reshard.message}; {reshard}")
    await asyncio.sleep(AFTERWARDS)
    world.traffic_until = 0.0
    await traffic
    await asyncio.sleep(5.0 if injection.fault != "none" else 2.0)
    outcome.ended = "done" if memory.active.shard_count == world.after else "given up"
    outcome.events = len(world.discord.events) - 1
    outcome.given_back = sum(not window.committed for window in checker.windows())
    outcome.violations += checker.violations(injection)


def run(seed: int, fault: str = "none", step: str = "none") -> Outcome:
    """One reshard; the same arguments give the same run."""
    put_in_place()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    workers_module.started.clear()
    DiskSpooler.disks.clear()
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    random_world = World(seed)
    injection = Injection(fault, step, Random(f"{seed}{fault}{step}"))
    injection.prepare(random_world)
    outcome = Outcome(seed, fault, step, (random_world.before, random_world.after))
    try:
        loop.run_until_complete(_live(random_world, injection, outcome))
    except StandstillError:
        outcome.violations.append("standstill")
    outcome.violations += [f"error: {one}" for one in loop.failures[:3]]
    for task in asyncio.all_tasks(loop) | loop.graveyard:
        task._log_destroy_pending = False
    loop.set_exception_handler(lambda *_: None)
    KEPT.append((loop, random_world))
    if len(KEPT) > 2:
        KEPT.pop(0)
    asyncio.set_event_loop(None)
    return outcome


KEPT: list = []
"""Worlds are not taken apart while another runs, which would run what is left of their tasks."""


__all__ = ["Outcome", "ReshardPhase", "run"]
