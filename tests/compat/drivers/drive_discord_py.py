"""discord.py as a bot's author runs it, telling on stdout, one JSON object a line, what it was given.

Run by `compatibility.driver_process` in the libraries' own venv: knows nothing of this repository.
"""

import asyncio
import json
import logging
import sys
import traceback
from importlib.metadata import version

CONFIG = json.loads(sys.argv[1])
if CONFIG["compression"] == "zlib-stream":
    # discord.py asks for zstd-stream where it can import zstandard, and for zlib-stream where it cannot.
    sys.modules["zstandard"] = None

import discord  # noqa: E402 - after the choice of compression
import yarl  # noqa: E402
from discord.gateway import DiscordWebSocket  # noqa: E402
from discord.http import Route  # noqa: E402

Route.BASE = CONFIG["rest_url"]
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(CONFIG["gateway_url"])  # where it goes after op 9 with false


def tell(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class TellErrors(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(kind="error", error=self.format(record))


class Driver(discord.AutoShardedClient):
    """Every gateway message passes `dispatch` before the library acts on it, in the task that reads the shard's socket.

    Which shard that is the library says with `shard_resumed`, after the replay; until then a task's events wait.
    """

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents.all(), enable_debug_events=True)
        self.session_of: dict[int, str] = {}
        self.shard_of: dict[asyncio.Task[object] | None, int] = {}
        self.waiting: dict[asyncio.Task[object] | None, list[dict[str, object]]] = {}

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Every shard has an identify bucket of its own here, so none waits for another."""

    def dispatch(self, event: str, /, *args: object, **kwargs: object) -> None:
        super().dispatch(event, *args, **kwargs)
        task = asyncio.current_task()
        if event == "socket_raw_receive":
            payload = json.loads(args[0])
            if payload["op"] == 0:
                if payload["t"] == "READY":
                    self.shard_of[task] = payload["d"]["shard"][0]
                    self.session_of[self.shard_of[task]] = payload["d"]["session_id"]
                self.waiting.setdefault(task, []).append(payload)
        elif event == "shard_resumed":
            self.shard_of[task] = args[0]
        if task in self.shard_of:
            self.tell_waiting(task)

    def tell_waiting(self, task: asyncio.Task[object] | None) -> None:
        shard = self.shard_of[task]
        for payload in self.waiting.pop(task, []):
            d = payload["d"]
            named_itself = payload["t"] in {"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"}
            tell(
                kind="dispatch",
                number=d["event_number"],
                type=payload["t"],
                shard=shard,
                session=self.session_of[shard],
                seq=payload["s"],
                guild=d.get("id" if named_itself else "guild_id"),
            )

    async def obey(self, order: dict[str, object]) -> None:
        guild = self.get_guild(int(order["guild"]))
        # The library sends a nonce of its own, and gives the chunk to whoever waits for that nonce.
        members = await guild.query_members(user_ids=[int(user) for user in order["users"]], cache=False)
        tell(kind="members", guild=str(guild.id), users=[str(member.id) for member in members])


async def follow_orders(driver: Driver) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        await driver.obey(json.loads(line))
    await driver.close()


async def main() -> None:
    logging.getLogger().addHandler(TellErrors(logging.ERROR))
    tell(kind="library", version=version("discord.py"))
    async with Driver() as driver, asyncio.TaskGroup() as tasks:
        orders = tasks.create_task(follow_orders(driver))
        try:
            await driver.start(CONFIG["token"])
        except discord.DiscordException as error:
            tell(kind="refused", report=type(error).__name__, code=getattr(error, "code", None), text=str(error))
            orders.cancel()


try:
    asyncio.run(main())
except Exception:  # noqa: BLE001 - whatever it is, the test has to hear of it
    tell(kind="crashed", error=traceback.format_exc())
