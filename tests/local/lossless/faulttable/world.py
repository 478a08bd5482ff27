"""A simulated Discord, a gateway of eight shards in real processes, and a bot; and one run of a fault in it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from discord_simulator import Account, Simulator, SimulatorSettings, settle
from gateway_operator.core.status_model import GatewayStatus

from .bot import Bot
from .machine import PATIENCE_S, Machine, until

SHARDS = 8
RATE = 600.0
"""Events a second. The table promises 500; the rest is for a machine that falls behind for a moment."""
AT_LEAST = 500.0

_MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {{name: test}}
spec:
  tokenSecretRef: {{name: test, key: token}}
  intents: [53608447]
  discord:
    baseURL: {base_url}
    caSecretRef: {{name: simulator, key: ca.crt}}
  shards: {shards}
  sharding: {{shardsPerPod: 4, shardsPerWorker: 2}}
  delivery:
    timeout: 2s
    maxAttempts: 4
    sink: {{http: {{url: "http://127.0.0.1:{bot_port}/", batch: {{maxEvents: {batch}}}}}}}
    queue: {queue}
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What worlds differ in. `queue` is `delivery.queue` of the manifest, in YAML's short form."""

    batch: int = 1
    queue: str = "{}"
    heartbeat_interval_ms: int = 6_000
    guilds: int = 160


USUAL = Settings()
"""20 guilds a shard: Discord can replay the last 1,500 events of each, some 20 s of this load."""


class World:
    """Two pods of four shards, each with two workers. `open` it in a stack, which ends whatever it started."""

    def __init__(self, simulator: Simulator, bot: Bot, machine: Machine) -> None:
        self.simulator = simulator
        self.bot = bot
        self.machine = machine

    @classmethod
    async def open(cls, directory: Path, settings: Settings, stack: AsyncExitStack) -> "World":
        simulator = await stack.enter_async_context(
            Simulator(
                SimulatorSettings(
                    guilds=settings.guilds,
                    max_concurrency=SHARDS,
                    heartbeat_interval_ms=settings.heartbeat_interval_ms,
                )
            )
        )
        bot = Bot()
        await bot.start()
        stack.push_async_callback(bot.close)
        ca = directory / "secrets" / "simulator" / "ca.crt"
        ca.parent.mkdir(parents=True)
        ca.write_bytes(simulator.ca_pem)
        manifest = _MANIFEST.format(
            base_url=simulator.rest_url_tls,
            shards=SHARDS,
            bot_port=bot.port,
            batch=settings.batch,
            queue=settings.queue,
        )
        machine = Machine(directory, manifest)
        stack.push_async_callback(machine.close)
        await machine.start()
        world = cls(simulator, bot, machine)
        await world.is_whole()
        return world

    async def holds_all_shards(self, within: float = PATIENCE_S) -> None:
        """Wait until all shards are connected and every pod is what it should be; events may wait for the bot."""
        await self._is(_holds_all_shards, "all shards to be held as planned", within)

    async def is_whole(self, within: float = PATIENCE_S) -> None:
        """The same, and nothing waits for the bot."""
        await self._is(
            lambda status: _holds_all_shards(status) and not any(pod.queue_events for pod in status.pods),
            "the gateway to be whole again",
            within,
        )

    async def _is(self, wanted: Callable[[GatewayStatus], bool], what: str, within: float) -> None:
        seen: list[GatewayStatus] = []

        async def reached() -> bool:
            status = await self.machine.status()
            seen[:] = [] if status is None else [status]
            return self.simulator.ready_sessions == SHARDS and status is not None and wanted(status)

        await until(reached, lambda: f"{what}; {_told(seen)}\n{self.machine.last_words()}", within, every=0.1)


def _holds_all_shards(status: GatewayStatus) -> bool:
    return (
        status.ready_shards == SHARDS
        and status.rollout is not None
        and status.rollout.complete
        and all(pod.connected for pod in status.pods)
    )


def _told(seen: list[GatewayStatus]) -> str:
    if not seen:
        return "the operator says nothing"
    status = seen[0]
    pods = [(pod.instance, pod.role, pod.connected, pod.queue_events) for pod in status.pods]
    return f"{status.phase}, {status.ready_shards} ready, {status.rollout}, {pods}"


@dataclass(slots=True)
class Run:
    """One fault in a world, from the first event of its load on.

    Scenarios note what they know: `counted` drops are no losses in silence, a `replayed` dead letter comes late, and a
    shard was `deaf` for so many seconds where the loss of its socket would not tell.
    """

    world: World
    counted: int = 0
    deaf: float = 0.0
    replayed: set[int] = field(default_factory=set)
    _first: int = 0
    _deliveries_before: int = 0
    _identifies_before: int = 0
    _since: float = 0.0
    _started: float = 0.0
    _published: int = 0

    @property
    def simulator(self) -> Simulator:
        return self.world.simulator

    @property
    def bot(self) -> Bot:
        return self.world.bot

    @property
    def machine(self) -> Machine:
        return self.world.machine

    def begin(self) -> None:
        ledger = self.simulator.ledger
        self._first, self._deliveries_before = ledger.next_number, len(self.bot.deliveries)
        self._identifies_before, self._since = ledger.identifies, self.simulator.clock()
        self.start_load(RATE)

    def start_load(self, rate: float) -> None:
        """Send load from now on, until the next call, or the end."""
        self.simulator.stop_load()
        self.simulator.start_load(rate)
        self._started, self._published = time.monotonic(), self.simulator.ledger.next_number

    async def load(self, seconds: float, rate: float = RATE) -> None:
        """Wait until as many more events have been sent as `rate` gives in that time."""
        wanted = self.simulator.ledger.next_number + int(seconds * rate)
        await until(
            lambda: self.simulator.ledger.next_number >= wanted, "Discord to send the load", seconds * 2 + PATIENCE_S
        )

    async def end(self, *, within: float = 60.0) -> None:
        """Stop the load, and wait until all of it has arrived and the gateway is whole."""
        pace = (self.simulator.ledger.next_number - self._published) / (time.monotonic() - self._started)
        self.simulator.stop_load()
        missing = self._sent()

        def arrived() -> bool:
            missing.difference_update(self.bot.numbers)
            return len(missing) <= self.counted

        await until(
            arrived,
            lambda: f"{len(missing)} events to arrive, {sorted(missing)[:5]}…\n{self.machine.last_words()}",
            within,
        )
        await self.world.is_whole()
        assert pace >= AT_LEAST, f"only {pace:.0f} events/s were sent: this machine is too busy for these tests"

    def _sent(self) -> set[int]:
        interfered = {number for number, _, how in self.simulator.ledger.interferences() if how == "dropped"}
        rows = self.simulator.ledger.rows(self._first)
        return {number for number, _, _, _, receivers in rows if receivers and number not in interfered}

    def types_of(self, numbers: set[int]) -> dict[int, str]:
        rows = self.simulator.ledger.rows(self._first)
        return {number: event_type for number, event_type, *_ in rows if number in numbers}

    def missing(self) -> set[int]:
        return self._sent() - self.bot.numbers

    def account(self) -> Account:
        """Hold what arrived since the beginning against what was sent since; repeats of what came before count, too."""
        ledger, before = self.simulator.ledger, self._deliveries_before
        arrived = self.bot.deliveries[before:]
        account = settle(
            ledger.rows(self._first),
            [delivery for delivery in arrived if delivery[0] >= self._first],
            interferences=ledger.interferences(),
        )
        if earlier := [delivery for delivery in arrived if delivery[0] < self._first]:
            known = set(self.bot.deliveries[:before])
            for delivery in earlier:
                (account.repeated if delivery in known else account.unknown).append(delivery[0])
        return account

    @property
    def identifies(self) -> int:
        return self.simulator.ledger.identifies - self._identifies_before

    @property
    def longest_gap(self) -> float:
        return self.simulator.ledger.longest_gap(self._since)

    async def until(
        self, condition: Callable[[], bool | Awaitable[bool]], what: str, within: float = PATIENCE_S
    ) -> None:
        await until(condition, lambda: f"{what}\n{self.machine.last_words()}", within)


class Worlds:
    """One world at a time: the same again while settings are the same and nothing went wrong in it."""

    def __init__(self, directory: Callable[[], Path], open_world: Callable[..., Awaitable[World]] = World.open) -> None:
        self._directory = directory
        self._open_world = open_world
        self._settings: Settings | None = None
        self._world: World | None = None
        self._stack = AsyncExitStack()

    async def get(self, settings: Settings) -> World:
        if self._world is None or settings != self._settings:
            await self.close()
            self._stack = AsyncExitStack()
            self._world = await self._open_world(self._directory(), settings, self._stack)
            self._settings = settings
        return self._world

    async def close(self) -> None:
        """End the present world; also what had begun of one that did not come to be."""
        self._world = None
        await asyncio.shield(self._stack.aclose())
