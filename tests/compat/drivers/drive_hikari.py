"""hikari as a bot's author runs it, telling on stdout, one JSON object a line, what it was given.

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
    # hikari asks for zstd-stream where it can import backports.zstd, and for zlib-stream where it cannot.
    sys.modules["backports.zstd"] = None

import hikari  # noqa: E402 - after the choice of compression


def tell(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class TellErrors(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(kind="error", error=self.format(record))


class Envelopes:
    """The JSON decoder given to hikari: its events carry `d`, but not the `s` of the envelope around it."""

    def __init__(self) -> None:
        self.seq_of: dict[int, int] = {}

    def __call__(self, raw: str | bytes) -> object:
        payload = json.loads(raw)
        if isinstance(payload, dict) and payload.get("op") == 0:
            self.seq_of[payload["d"]["event_number"]] = payload["s"]
        return payload


class Driver:
    def __init__(self) -> None:
        self.envelopes = Envelopes()
        self.bot = hikari.GatewayBot(
            CONFIG["token"],
            rest_url=CONFIG["rest_url"],
            intents=hikari.Intents.ALL,
            loads=self.envelopes,
            banner=None,
            logs=None,
        )
        self.session_of: dict[int, str] = {}
        self.bot.subscribe(hikari.ShardPayloadEvent, self.on_payload)
        self.bot.subscribe(hikari.MemberChunkEvent, self.on_members)
        self.bot.subscribe(hikari.Event, self.on_any)

    async def on_payload(self, event: hikari.ShardPayloadEvent) -> None:
        d, shard = event.payload, event.shard.id
        if event.name == "READY":
            self.session_of[shard] = d["session_id"]
        named_itself = event.name in {"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"}
        tell(
            kind="dispatch",
            number=d["event_number"],
            type=event.name,
            shard=shard,
            session=self.session_of[shard],
            seq=self.envelopes.seq_of[d["event_number"]],
            guild=d.get("id" if named_itself else "guild_id"),
        )

    async def on_members(self, event: hikari.MemberChunkEvent) -> None:
        users = [str(user) for user in event.members]
        tell(kind="members", guild=str(event.guild_id), users=users, nonce=event.nonce)

    async def on_any(self, event: hikari.Event) -> None:
        """A listener for all events makes hikari read each of them whole."""

    async def follow_orders(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            users = [hikari.Snowflake(user) for user in order["users"]]
            await self.bot.request_guild_members(int(order["guild"]), users=users, nonce=order["nonce"])
        await self.bot.close()


def tell_broken_events(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Hear of events that hikari could not read.

    Between Resume and RESUMED it asks a shard that is "not connected" for the bot's id, and drops GUILD_CREATE and
    GUILD_UPDATE of the replay: so it is with Discord, and no fault of who sends them.
    """
    error = context.get("exception")
    kind = "quirk" if isinstance(error, hikari.ComponentStateConflictError) else "error"
    tell(kind=kind, error=f"{context['message']}: {error!r}")


async def main() -> None:
    asyncio.get_running_loop().set_exception_handler(tell_broken_events)
    logging.getLogger().addHandler(TellErrors(logging.ERROR))
    tell(kind="library", version=version("hikari"))
    driver = Driver()
    async with asyncio.TaskGroup() as tasks:
        orders = tasks.create_task(driver.follow_orders())
        try:
            await driver.bot.start(check_for_updates=False)
            await driver.bot.join()
        except hikari.HikariError as error:
            tell(kind="refused", report=type(error).__name__, code=getattr(error, "code", None), text=str(error))
            orders.cancel()
            await driver.bot.close()


try:
    asyncio.run(main())
except Exception:  # noqa: BLE001 - whatever it is, the test has to hear of it
    tell(kind="crashed", error=traceback.format_exc())
