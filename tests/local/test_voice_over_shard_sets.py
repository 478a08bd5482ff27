"""Against the simulator: voice that an old session made outlives it, once a new set's worker has brought it over."""

import asyncio
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import msgspec
import pytest
from aiohttp import web

from discord_simulator import DEFAULT_TOKEN, Simulator, SimulatorSettings
from discord_simulator.snowflakes import shard_of
from shardpod.handover import Orders
from shardpod.protocol import SessionSettings
from shardpod.transport import PicowsConnector
from shardpod.worker import Granted, Worker, WorkerSettings
from shardpod.worker.messages import Neighbours

COMMAND = str(Path(sys.executable).with_name("discord-gateway"))
GUILDS, IN_VOICE = 12, 5
INTENTS = 53608447
PENDING = Orders(epoch=2, active_epoch=1, active_count=1, pending_epoch=2, pending_count=2, handed=((0, 1),))
PATIENCE_S = 20.0

pytestmark = pytest.mark.timeout(240)


class Permits:
    async def ask(self, shard_id, *, ready):
        return Granted(1, 60.0)

    def identify_sent(self, shard_id, permit): ...


class Bot:
    """Keeps what it is told of its own voice."""

    def __init__(self):
        self.told = []

    def submit(self, batch, done):
        for event in batch.events:
            if event.type.startswith("VOICE_"):
                self.told.append((event.type, event.session_id, msgspec.json.decode(event.raw)["d"]))
        done(batch, None)

    async def close(self): ...

    def of(self, event_type):
        return [(session_id, data) for kind, session_id, data in self.told if kind == event_type]


class OldSession:
    """The only shard of the set before, which is in voice in some guilds."""

    def __init__(self, socket):
        self._socket = socket
        self.left = asyncio.Event()
        self.joined = 0

    async def join(self, guild_ids):
        for guild_id in guild_ids:
            data = {"guild_id": str(guild_id), "channel_id": "7", "self_mute": True, "self_deaf": False}
            await self._socket.send_json({"op": 4, "d": data})
        while self.joined < len(guild_ids):
            payload = await self._socket.receive_json()
            self.joined += payload["t"] == "VOICE_SERVER_UPDATE"

    async def end(self):
        await self._socket.close(code=1000)


@asynccontextmanager
async def old_session(simulator):
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{simulator.gateway_url}/?v=10&encoding=json") as socket,
    ):
        await socket.receive_json()
        identify = {"token": DEFAULT_TOKEN, "intents": INTENTS, "properties": {}, "shard": [0, 1]}
        await socket.send_json({"op": 2, "d": identify})
        assert (await socket.receive_json())["t"] == "READY"
        yield OldSession(socket)


@asynccontextmanager
async def pending_worker(simulator, bot):
    session = SessionSettings(
        token=DEFAULT_TOKEN, gateway_url=simulator.gateway_url_tls, compression="none", intents=INTENTS
    )
    worker = Worker(
        WorkerSettings(shard_ids=(0, 1), shard_count=2, session=session),
        connector=PicowsConnector(ssl.create_default_context(cafile=simulator.ca_file)),
        permits=Permits(),
        sink=bot,
        random=Random(1),
        neighbours=Neighbours(orders=PENDING),
    )
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(drain_for=0)


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- nothing sets an event
            await asyncio.sleep(0.02)


async def test_every_voice_connection_hangs_on_a_new_session_before_the_old_one_ends():
    bot, settings = Bot(), SimulatorSettings(guilds=GUILDS, max_concurrency=2, identify_interval=0)
    async with Simulator(settings) as simulator, old_session(simulator) as old:
        in_voice = {str(guild_id) for guild_id in simulator.guild_ids[:IN_VOICE]}
        await old.join(sorted(in_voice))
        async with pending_worker(simulator, bot) as worker:
            await until(lambda: worker.report().voice == IN_VOICE)
            assert bot.told == []

            worker.set_neighbours(Neighbours(orders=PENDING, rejoin_voice=True))
            await until(lambda: worker.report().voice == worker.report().voice_to_rejoin == 0)
            await until(lambda: len(bot.of("VOICE_SERVER_UPDATE")) == IN_VOICE)
            await old.end()
            await until(lambda: len(simulator.sessions) == 2)
            simulator.start_load(200, events=50, mix={"MESSAGE_CREATE": 1})  # what the end has caused comes before
            await until(lambda: worker.report().received.get("MESSAGE_CREATE") == 50)

            own = [(mine, data) for mine, data in bot.of("VOICE_STATE_UPDATE") if data["session_id"] == mine]
            assert {data["guild_id"] for _, data in own} == in_voice
            assert all((data["channel_id"], data["self_mute"]) == ("7", True) for _, data in own)
            assert {data["guild_id"] for _, data in bot.of("VOICE_SERVER_UPDATE")} == in_voice
            assert not [data for _, data in bot.of("VOICE_STATE_UPDATE") if data["channel_id"] is None]
            assert worker.report().voice == 0


RESHARD = """
  reshard: {maxSkew: 500ms, fenceTimeout: 1s, settle: 0s, drainDelay: 2s, events: true}
  delivery:
"""


@pytest.mark.parametrize("world", [{"identify_interval": 0, "replay_ttl": 5}], indirect=True)
async def test_a_reshard_of_the_whole_brings_voice_over_and_tells_the_bot(world):
    manifest, told = world.up.directory / "gateway.yaml", []
    manifest.write_text(manifest.read_text().replace("\n  delivery:\n", RESHARD))

    async def answer(request):
        data = (await request.json())["data"]
        told.append((request.headers["Idempotency-Key"], data["t"], data["d"]))
        return web.Response(status=204)

    world.bot.answer = answer
    await world.up.start()
    await world.up.wait_for_shards()
    discord = world.simulator._discord
    in_voice = world.simulator.guild_ids[:IN_VOICE]
    for guild_id in in_voice:
        # As if the bot had sent op 4 by its session: it cannot yet.
        (session,) = [one for one in discord.sessions if one.shard == (shard_of(guild_id, 4), 4)]
        discord.voice_state(session, guild_id, {"channel_id": "7"})
    world.simulator.start_load(50)
    command = [COMMAND, "reshard", "--to", "2", "--no-follow", f"--state-dir={world.up.directory / 's'}"]
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    await world.wait_until(
        lambda: {one.shard[1] for one in discord.sessions} == {2}, "the old sessions to end", within=90
    )
    world.simulator.stop_load()

    changed = [(key, d) for key, t, d in told if t == "GATEWAY_SHARDS_CHANGED"]
    assert changed == [("epoch-2:1", {"epoch": 2, "shard_count": 2, "before": {"epoch": 1, "shard_count": 4}})]
    assert {guild_id: owner.shard[1] for guild_id, owner in discord._voice.items()} == dict.fromkeys(in_voice, 2)
    servers = [d["guild_id"] for _, t, d in told if t == "VOICE_SERVER_UPDATE"]
    assert sorted(servers) == sorted(2 * [str(guild_id) for guild_id in in_voice])
