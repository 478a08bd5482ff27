"""The simulator as one object: listeners, clock and log around a `Scenario`.

The command and the tests use the same class.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from discord_simulator.certificates import Certificates
from discord_simulator.control import Control
from discord_simulator.discord import Discord
from discord_simulator.fault_requests import read_fault
from discord_simulator.faults import Fault
from discord_simulator.gateway import Gateway
from discord_simulator.journal import LogJournal
from discord_simulator.ledger import Ledger
from discord_simulator.listeners import Addresses, Listeners
from discord_simulator.rest import Rest
from discord_simulator.scenario import Scenario
from discord_simulator.settings import Burst, LifeRates, LoadSettings, SimulatorSettings, StoryShares
from discord_simulator.timeline import read_timeline

_TICK_S = 0.01
_USUAL_STORIES = StoryShares()
_log = structlog.get_logger("discord_simulator")


class Simulator:
    """A Discord for the length of an `async with` block.

    Inside the block it has `rest_url`, `rest_url_tls`, `gateway_url`, `gateway_url_tls`, `control_url`, `ca_file`
    (a path) and `ca_pem`.
    """

    rest_url: str
    rest_url_tls: str
    gateway_url: str
    gateway_url_tls: str
    control_url: str
    ca_file: str
    addresses: Addresses

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self._certificates = Certificates(self.settings.tls_names)
        self.ca_pem = self._certificates.ca_pem
        self._discord = Discord(self.settings, LogJournal())
        self._scenario = Scenario(self._discord)
        self._gateway = Gateway(self._discord, self.clock)
        self._exit = contextlib.AsyncExitStack()
        self._started = 0.0

    async def __aenter__(self) -> Self:
        """Open every listener; raises `PortUnavailableError`."""
        self._started = asyncio.get_running_loop().time()
        async with contextlib.AsyncExitStack() as stack:
            self.ca_file = self._write_ca(stack)
            self.addresses = await self._listen(Listeners(self.settings, self._certificates.server, stack))
            ticker = asyncio.create_task(self._tick())
            stack.push_async_callback(_cancel, ticker)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    def clock(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._started

    # What a run sees

    @property
    def ledger(self) -> Ledger:
        return self._discord.ledger

    @property
    def guild_ids(self) -> list[int]:
        return self._discord.guilds.ids

    @property
    def sessions(self) -> list[dict[str, object]]:
        """All sessions that live, as GET /sessions shows them."""
        return self._scenario.describe_sessions()

    @property
    def connections_made(self) -> Mapping[str, int]:
        """How many gateway connections asked for each transport compression, "none" among them."""
        return self._gateway.connections_made

    @property
    def ready_sessions(self) -> int:
        """How many connected sessions have got all their guilds."""
        return self._discord.ready_sessions()

    # What a run does

    def start_load(
        self,
        rate: float,
        *,
        duration: float | None = None,
        events: int | None = None,
        mix: Mapping[str, float] | None = None,
        burst: Burst | None = None,
        look_alikes: float = 0.0,
        stories: StoryShares = _USUAL_STORIES,
        life: LifeRates | None = None,
    ) -> None:
        """Send load from now on; fields as in `LoadSettings`. Raises `LoadRunningError`, or `MixError`."""
        settings = LoadSettings(
            rate=rate,
            duration=duration,
            events=events,
            mix=mix,
            burst=burst,
            look_alikes=look_alikes,
            stories=stories,
            life=life,
        )
        self._scenario.start_load(settings, self.clock())

    def stop_load(self) -> None:
        self._scenario.stop_load()

    async def wait_load_done(self) -> None:
        """Wait until the load has been sent; raises `RuntimeError` if there is none, or it has no end."""
        load = self._scenario.load
        if load is None or (load.total is None and not load.stopped):
            raise RuntimeError("no load with an end: start_load(..., duration=...) or events=... first")
        while not load.done:  # noqa: ASYNC110 - the pure core sets no asyncio.Event, and the ticker is no faster
            await asyncio.sleep(_TICK_S)

    def kill(
        self, target: str, how: Fault | str = Fault.TCP_RESET, *, code: int = 4000, resumable: bool = True
    ) -> list[dict[str, object]]:
        """Disturb the session with this id, or all of the shard written `0/4`; raises `UnknownTargetError`."""
        return self._scenario.kill(target, Fault(how), code=code, resumable=resumable, now=self.clock())

    def delay(self, target: str, seconds: float) -> None:
        """Hold back everything sent to a session, or all of a shard, in order; 0 ends it."""
        self._scenario.delay(target, seconds)

    def fail_gateway_bot(self, status: int, *, times: int = 1, retry_after: float = 1.0) -> None:
        """Let the next answers of GET /gateway/bot be errors; `retry_after` in seconds goes with a 429."""
        self.fault("gateway-bot", status=status, times=times, retry_after=retry_after)

    def change_rules(self, **changes: int) -> None:
        """Change `shards`, `max_concurrency`, `remaining` or `granted_intents` from now on."""
        self.fault("rules", **changes)

    def fault(self, fault: str, **fields: Any) -> dict[str, object]:
        """Do a fault, named and described as in POST /faults; give the sessions or guilds it met.

        Raises `WrongInputError`, or `UnknownTargetError`.
        """
        return self._scenario.inject(read_fault({"fault": fault} | fields), self.clock())

    def play(self, timeline: Sequence[Mapping[str, Any]]) -> None:
        """Let faults happen by a script, counted from now: `[{"at": 1.5, "fault": "drop", ...}, ...]`.

        Raises `WrongInputError` before anything happens.
        """
        self._scenario.play(read_timeline(timeline), self.clock())

    # Insides

    async def _listen(self, listeners: Listeners) -> Addresses:
        gateway_ports = await listeners.gateway(self._gateway)
        rest_ports = await listeners.rest(Rest(self._discord, self.clock, gateway_ports))
        control_port = await listeners.control(Control(self._scenario, self.clock))
        addresses = listeners.addresses(gateway_ports, rest_ports, control_port)
        self.rest_url, self.rest_url_tls = addresses.rest_url, addresses.rest_url_tls
        self.gateway_url, self.gateway_url_tls = addresses.gateway_url, addresses.gateway_url_tls
        self.control_url = addresses.control_url
        return addresses

    def _write_ca(self, stack: contextlib.AsyncExitStack) -> str:
        if self.settings.ca_out is not None:
            path = Path(self.settings.ca_out)
        else:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="discord-simulator-"))) / "ca.pem"
        path.write_bytes(self.ca_pem)
        return str(path)

    async def _tick(self) -> None:
        try:
            while True:
                now = self.clock()
                self._scenario.tick(now)
                self._gateway.tick(now)
                await asyncio.sleep(_TICK_S)
        except Exception:
            _log.exception("the simulator's clock stopped")
            raise  # out of __aexit__, so that no test passes on a simulator that stood still


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
