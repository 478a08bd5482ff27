"""The whole on one machine: `discord-gateway up` as a real process, its pods, a simulated Discord and a bot."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from discord_simulator import DEFAULT_TOKEN, Account, Simulator, SimulatorSettings, settle

COMMAND = str(Path(sys.executable).with_name("discord-gateway"))
PATIENCE_S = 40.0
MANIFEST = """
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {{name: test}}
spec:
  tokenSecretRef: {{name: test, key: token}}
  intents: [53608447]
  discord:
    baseURL: {base_url}
    compression: {compression}
    caSecretRef: {{name: simulator, key: ca.crt}}
  shards: 4
  sharding: {{shardsPerPod: 2}}
  delivery:
    timeout: {timeout}
    sink: {{http: {{url: "http://127.0.0.1:{bot_port}/"}}}}
"""


async def wait_until(condition: Callable[[], bool | Awaitable[bool]], what: str, within: float = PATIENCE_S) -> None:
    try:
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if await holds if isinstance(holds, Awaitable) else holds:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"gave up waiting {within:.0f} s for {what}")


class Bot:
    """Takes events by HTTP; `answer` decides what it says, None for 204."""

    def __init__(self):
        self.deliveries = []
        self.attempts = []
        self.answer = None
        self.port = 0
        self._socket = None
        self._runner = None
        self._site = None

    async def start(self):
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        if self._socket is None:
            self._bind()
        self._site = web.SockSite(self._runner, self._socket)
        await self._site.start()

    async def stop(self):
        """Nobody listens any more, at a port that stays the bot's: a pod that starts meanwhile must not get it."""
        await self._site.stop()
        self._bind()
        await self._runner.cleanup()

    async def close(self):
        """Stop for good."""
        await self._runner.cleanup()
        self._socket.close()

    def _bind(self):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]

    async def _take(self, request):
        data = (await request.json())["data"]
        if self.answer is not None:
            response = await self.answer(request)
            if response is not None:
                return response
        d = data["d"]
        guild = d["id"] if data["t"] in ("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE") else d.get("guild_id")
        self.deliveries.append((d["event_number"], request.headers["Idempotency-Key"], guild))
        self.attempts.append(int(request.headers["X-Gateway-Attempt"]))
        return web.Response(status=204)


class Up:
    """One `discord-gateway up` with its own state directory, which the next one may take over."""

    def __init__(self, directory: Path, manifest: str):
        self.directory = directory
        self.log = directory / "up.log"
        self.process = None
        (directory / "gateway.yaml").write_text(manifest)

    async def start(self, token: str = DEFAULT_TOKEN):
        command = [COMMAND, "up", str(self.directory / "gateway.yaml"), f"--state-dir={self.directory / 's'}"]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stderr=log, env={**os.environ, "DISCORD_TOKEN": token}
            )

    async def status(self):
        command = [COMMAND, "status", f"--state-dir={self.directory / 's'}", "-o", "json"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        output, _ = await process.communicate()
        return json.loads(output) if process.returncode == 0 else None

    async def wait_for_shards(self, number: int = 4):
        async def ready():
            assert self.process.returncode is None, self.log.read_text()
            status = await self.status()
            return status is not None and status["readyShards"] == number

        await wait_until(ready, f"{number} shards")

    def pod_pids(self):
        files = (self.directory / "s" / "pods").glob("*.json")
        return sorted(json.loads(path.read_text())["process"]["pid"] for path in files)

    async def end(self, how: signal.Signals = signal.SIGTERM):
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            async with asyncio.timeout(PATIENCE_S):
                await self.process.wait()
        return self.process.returncode


class World:
    """A simulator, a bot and an `up` between them."""

    wait_until = staticmethod(wait_until)

    def __init__(self, simulator: Simulator, bot: Bot, up: Up):
        self.simulator = simulator
        self.bot = bot
        self.up = up

    def account(self) -> Account:
        return settle(self.simulator.ledger.rows(), self.bot.deliveries)

    async def wait_for_all_events(self):
        await self.simulator.wait_load_done()
        await wait_until(lambda: not self.account().lost, "every event at the bot")


@pytest.fixture
async def world(tmp_path, request):
    """Parametrize indirectly with a dict: `compression`, `timeout` of a delivery, and what SimulatorSettings takes."""
    options = dict(getattr(request, "param", {}))
    compression = options.pop("compression", "zstd-stream")
    timeout = options.pop("timeout", "10s")  # if this process were held up for so long, events would rightly come again
    settings = SimulatorSettings(**{"guilds": 60, "max_concurrency": 4, **options})
    bot = Bot()
    async with Simulator(settings) as simulator, contextlib.AsyncExitStack() as stack:
        await bot.start()
        stack.push_async_callback(bot.close)
        ca = tmp_path / "secrets" / "simulator" / "ca.crt"
        ca.parent.mkdir(parents=True)
        ca.write_bytes(simulator.ca_pem)
        manifest = MANIFEST.format(
            base_url=simulator.rest_url_tls, compression=compression, timeout=timeout, bot_port=bot.port
        )
        up = Up(tmp_path, manifest)
        stack.push_async_callback(up.end)
        yield World(simulator, bot, up)
