"""A simulated Discord whose sessions differ, a gateway in real processes with short windows, and a bot that watches."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faulttable.machine import PATIENCE_S, Machine, until
from pydantic import TypeAdapter

from discord_simulator import Simulator, SimulatorSettings
from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.core.world import Reshard

from .arrivals import Pulse, WatchingBot
from .weather import Weather

FENCE_TIMEOUT = 0.5
"""X of these worlds, in seconds: `reshard.fenceTimeout`."""

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
{shards}
  sharding: {{shardsPerPod: {per_pod}, shardsPerWorker: {per_worker}}}
  reshard: {{maxSkew: 500ms, fenceTimeout: 500ms, settle: 500ms, drainDelay: 2s, percentage: {percentage}}}
  delivery:
    timeout: 10s
    sink: {{http: {{url: "http://127.0.0.1:{bot_port}/"}}}}
"""
_RECORD = TypeAdapter(ReshardRecord)


@dataclass(frozen=True, slots=True)
class Settings:
    """What worlds differ in. Without `given` the manifest names no number, and Discord's recommendation is taken."""

    shards: int = 4
    given: bool = True
    per_pod: int = 2
    per_worker: int = 2
    guilds: int = 96
    percentage: int = 80
    guilds_allowed: int = 2500
    name: str = ""


USUAL = Settings()


class World:
    """`open` it in a stack, which ends whatever it started."""

    def __init__(
        self, simulator: Simulator, bot: WatchingBot, machine: Machine, weather: Weather, pulse: Pulse
    ) -> None:
        self.simulator = simulator
        self.bot = bot
        self.machine = machine
        self.weather = weather
        self.pulse = pulse

    @classmethod
    async def open(cls, directory: Path, settings: Settings, stack: AsyncExitStack) -> "World":
        simulator = await stack.enter_async_context(
            Simulator(
                SimulatorSettings(
                    guilds=settings.guilds,
                    max_concurrency=32,
                    recommended_shards=settings.shards,
                    max_guilds_per_shard=settings.guilds_allowed,
                    event_numbers=False,
                )
            )
        )
        bot = WatchingBot()
        await bot.start()
        stack.push_async_callback(bot.close)
        machine = Machine(directory, _manifest(simulator, bot, settings))
        ca = directory / "secrets" / "simulator" / "ca.crt"
        ca.parent.mkdir(parents=True)
        ca.write_bytes(simulator.ca_pem)
        stack.push_async_callback(machine.close)
        await machine.start()
        world = cls(simulator, bot, machine, Weather(simulator, seed=repr(settings)), Pulse(simulator.ledger))
        for endless in (world.weather.blow(), world.pulse.beat()):
            stack.push_async_callback(_cancel, asyncio.create_task(endless))
        await world.holds(settings.shards)
        await world.is_whole()
        return world

    async def holds(self, shards: int, within: float = PATIENCE_S) -> None:
        """Wait until so many shards deliver everything, and no other pod runs."""
        await self._is(lambda status: _at_rest(status, shards), f"{shards} shards to deliver everything", within)

    async def is_whole(self) -> None:
        """The same of those that there are, and nothing waits for the bot."""
        await self._is(
            lambda status: _at_rest(status, status.shards) and not any(pod.queue_events for pod in status.pods),
            "the bot to have all",
            PATIENCE_S,
        )

    async def _is(self, wanted: Callable[[GatewayStatus], bool], what: str, within: float) -> None:
        seen: list[GatewayStatus] = []

        async def reached() -> bool:
            status = await self.machine.status()
            seen[:] = [] if status is None else [status]
            return status is not None and self.simulator.ready_sessions == status.shards and wanted(status)

        await until(
            reached,
            lambda: f"{what}; {_told(seen)}; {self.simulator.ready_sessions} sessions\n{self.machine.last_words()}",
            within,
            every=0.1,
        )

    def reshard(self) -> Reshard | None:
        """As the operator has stored it, before it acted on it."""
        with contextlib.suppress(FileNotFoundError):
            return _RECORD.validate_json((self.machine.state / "reshard.json").read_bytes()).reshard
        return None

    async def until_reshard(self, wanted: Callable[[Reshard | None], bool], what: str, within: float = 60.0) -> None:
        async def told() -> str:
            status = await self.machine.status()
            return "" if status is None or status.reshard is None else status.reshard.message

        try:
            await until(lambda: wanted(self.reshard()), what, within, every=0.005)
        except AssertionError as error:
            raise AssertionError(f"{error}: {await told()}\n{self.reshard()}\n{self.machine.last_words()}") from None


def _manifest(simulator: Simulator, bot: WatchingBot, settings: Settings) -> str:
    return _MANIFEST.format(
        base_url=simulator.rest_url_tls,
        shards=f"  shards: {settings.shards}" if settings.given else "",
        per_pod=settings.per_pod,
        per_worker=settings.per_worker,
        percentage=settings.percentage,
        bot_port=bot.port,
    )


def _at_rest(status: GatewayStatus, shards: int) -> bool:
    return (
        status.reshard is None
        and status.ready_shards == status.shards == shards
        and status.active is not None
        and status.rollout is not None
        and status.rollout.complete
        and all(pod.connected and pod.epoch == status.active.epoch for pod in status.pods)
    )


def _told(seen: list[GatewayStatus]) -> str:
    if not seen:
        return "the operator says nothing"
    status = seen[0]
    pods = [(pod.instance, pod.role, pod.connected, pod.queue_events) for pod in status.pods]
    reshard = None if status.reshard is None else status.reshard.message
    return f"{status.phase}, {status.ready_shards} of {status.shards} ready, {reshard}, {status.rollout}, {pods}"


async def _cancel(task: "asyncio.Task[Coroutine[Any, Any, None]]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
