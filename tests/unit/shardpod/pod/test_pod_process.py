"""`python -m shardpod` as it runs in production: a real process, a simulated Discord, an operator and a bot."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from discord_simulator import DEFAULT_TOKEN, Fault, Simulator, SimulatorSettings, settle

CONTROL_SECRET = "the-control-secret"
SINK_SECRET = "the-sink-secret"
SHARDS = 2


class Bot:
    """Keeps what arrives as (event number, key, guild id)."""

    def __init__(self):
        self.deliveries = []
        self.authorizations = set()
        self.attempts = set()
        self.status = 200

    @contextlib.asynccontextmanager
    async def listening(self):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request):
        body = await request.json()
        if self.status == 200:
            data = body["data"]
            own = data["t"] in ("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE")
            guild_id = data["d"].get("id" if own else "guild_id")
            self.deliveries.append((data["d"]["event_number"], request.headers["Idempotency-Key"], guild_id))
            self.authorizations.add(request.headers["Authorization"])
            self.attempts.add(request.headers["X-Gateway-Attempt"])
        return web.Response(status=self.status)


@pytest.fixture
def assignment(make_assignment):
    def make(gateway_url, bot_url, *, compression="zstd-stream"):
        return make_assignment(
            shard_count=SHARDS,
            range={"first_shard_id": 0, "last_shard_id": SHARDS - 1},
            discord={"gateway_url": gateway_url, "compression": compression, "intents": 53608447},
            delivery={"http": {"url": bot_url}},
        )

    return make


@contextlib.asynccontextmanager
async def started(**environment):
    """A pod process with its log; whatever becomes of the test, it is gone afterwards."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "shardpod",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], **environment},
        )

        def read_log():
            return os.pread(log.fileno(), 10_000_000, 0).decode()

        process.read_log = read_log
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def environment(path, **more):
    return {
        "GATEWAY_POD_NAME": "mybot-e1-0-1",
        "GATEWAY_CONTROL_ADDRESSES": f"unix:{path}",
        "GATEWAY_CONTROL_SECRET": CONTROL_SECRET,
        "DISCORD_TOKEN": DEFAULT_TOKEN,
        "GATEWAY_SINK_AUTHORIZATION": SINK_SECRET,
        "GATEWAY_LOG_LEVEL": "debug",
        **more,
    }


async def get(address, path):
    async with aiohttp.ClientSession() as client, client.get(f"http://{address}{path}") as response:
        return response.status, await response.text()


async def stopped(process):
    process.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(process.wait(), 15)


@pytest.mark.parametrize(
    ("compression", "fault"),
    [("zstd-stream", Fault.TCP_RESET), ("zlib-stream", Fault.RECONNECT), ("none", Fault.CLOSE)],
)
async def test_a_pod_delivers_every_event_once_through_a_fault_and_ends_resumably(
    short_path, until, assignment, operator_of, compression, fault
):
    settings = SimulatorSettings(guilds=60, identify_interval=0.05, max_concurrency=SHARDS)
    async with Simulator(settings) as discord, Bot().listening() as bot:
        operator = operator_of(short_path, assignment(discord.gateway_url_tls, bot.url, compression=compression))
        ca = {"GATEWAY_DISCORD_CA_FILE": discord.ca_file}
        async with operator.listening(), started(**environment(short_path, **ca)) as pod:
            await until(lambda: operator.last.get("ready"))
            address = operator.last["http_address"]
            assert await get(address, "/readyz") == (200, "ready\n")

            discord.start_load(800, events=800)
            discord.kill(f"0/{SHARDS}", fault)
            await until(lambda: discord.ledger.resumes)
            await discord.wait_load_done()
            await until(lambda: len(bot.deliveries) >= discord.ledger.sent)
            await until(lambda: operator.last["counters"]["delivered"] == discord.ledger.sent)
            status, metrics = await get(address, "/metrics")
            seqs = {tuple(session["shard"]): session["seq"] for session in discord.sessions}
            await operator.assign(operator.assignment.model_copy(update={"n": 2, "role": "ending"}))
            assert await stopped(pod) == 0
            log = pod.read_log()

        account = settle(discord.ledger.rows(), bot.deliveries)
        assert account.exactly_once, account.report()
        assert account.misread == []
        assert account.sent >= 800 + 60
        assert (status, "discord_gateway_resumes_total 1.0" in metrics) == (200, True)

        assert discord.ledger.identifies == len(operator.identifies) == SHARDS
        assert not discord.ledger.violations
        assert [session["connected"] for session in discord.sessions] == [False] * SHARDS, "closed, and alive"

    last = operator.last
    assert (last["stopping"], last["ready"], last["why_not_ready"]) == (True, False, "stopping")
    assert {(shard["shard_id"], SHARDS): shard["checkpoint_remote"]["seq"] for shard in last["shards"]} == seqs
    assert bot.authorizations == {SINK_SECRET}
    assert operator.authorizations == {f"Bearer {CONTROL_SECRET}"}
    assert "holding shards" in log
    for secret in (DEFAULT_TOKEN, CONTROL_SECRET, SINK_SECRET):
        assert secret not in log


async def test_a_pod_goes_on_without_its_operator_and_holds_events_while_the_bot_is_down(
    short_path, until, assignment, operator_of
):
    settings = SimulatorSettings(guilds=10, identify_interval=0.05, max_concurrency=SHARDS)
    async with Simulator(settings) as discord, Bot().listening() as bot:
        operator = operator_of(short_path, assignment(discord.gateway_url, bot.url))
        async with started(**environment(short_path)) as pod:
            async with operator.listening():
                await until(lambda: operator.last.get("ready"))
            bot.status = 503
            discord.start_load(500, events=300)
            discord.kill(f"1/{SHARDS}", Fault.CLOSE)
            await discord.wait_load_done()
            bot.status = 200
            await until(lambda: len(bot.deliveries) >= discord.ledger.sent)
            operator.reports.clear()
            async with operator.listening():
                await until(lambda: operator.last.get("counters", {}).get("delivered") == discord.ledger.sent)
                await operator.assign(operator.assignment.model_copy(update={"n": 2, "role": "ending"}))
                assert await stopped(pod) == 0

        account = settle(discord.ledger.rows(), bot.deliveries)
        assert account.exactly_once, account.report()
        assert discord.ledger.identifies == SHARDS
        assert discord.ledger.resumes >= 1


def alive(processes):
    """Of these only; one that nobody has reaped yet has ended."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


async def test_the_workers_of_a_pod_that_is_killed_end_by_themselves(short_path, until, make_assignment, operator_of):
    discord = {"gateway_url": "ws://127.0.0.1:1", "compression": "none", "intents": 1}
    operator = operator_of(short_path, make_assignment(shards_per_worker=8, discord=discord))
    async with operator.listening(), started(**environment(short_path)) as pod:
        await until(lambda: len(operator.last.get("shards", ())) == 16)
        workers = psutil.Process(pod.pid).children()
        assert len(alive(workers)) == 2
        pod.kill()
        await pod.wait()
        await until(lambda: not alive(workers))

        assert pod.read_log().count("supervisor has gone") == 2


async def test_a_worker_that_is_killed_loses_neither_a_session_nor_an_event(
    short_path, until, assignment, operator_of, tmp_path
):
    settings = SimulatorSettings(guilds=10, identify_interval=0.05, max_concurrency=SHARDS)
    async with Simulator(settings) as discord, Bot().listening() as bot:
        operator = operator_of(short_path, assignment(discord.gateway_url, bot.url))
        scratch = {"GATEWAY_SCRATCH": str(tmp_path)}
        async with operator.listening(), started(**environment(short_path, **scratch)) as pod:
            await until(lambda: operator.last.get("ready"))
            discord.start_load(200, events=400)
            await until(lambda: operator.last["counters"]["delivered"] > 50)
            (worker,) = psutil.Process(pod.pid).children()
            worker.kill()
            await discord.wait_load_done()
            await until(lambda: not settle(discord.ledger.rows(), bot.deliveries).lost)
            await until(lambda: operator.last["ready"])
            delivered = [report["counters"]["delivered"] for report in operator.reports]
            assert delivered == sorted(delivered), "counts of the dead one are kept"
            await operator.assign(operator.assignment.model_copy(update={"n": 2, "role": "ending"}))
            assert await stopped(pod) == 0

        assert operator.last["counters"]["worker_restarts"] == 1
        assert discord.ledger.identifies == SHARDS, "no session was lost"


async def test_sigterm_before_there_is_anything_to_do_ends_with_status_0(short_path, until):
    async with started(**environment(short_path)) as pod:
        await until(lambda: "operator cannot be reached" in pod.read_log())

        assert await stopped(pod) == 0


def blocks_sigterm(pid):
    masks = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "\t" in line)
    return bool(int(masks["SigBlk"], 16) & 1 << (signal.SIGTERM - 1))


async def test_a_sigterm_that_comes_while_the_process_still_starts_is_heeded(short_path, until):
    async with started(**environment(short_path)) as pod:
        await until(lambda: blocks_sigterm(pod.pid))

        assert await stopped(pod) == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"DISCORD_TOKEN": ""}, "DISCORD_TOKEN"),
        ({"GATEWAY_LOG_LEVEL": "loud"}, "GATEWAY_LOG_LEVEL"),
        ({"GATEWAY_HTTP_ADDRESS": "192.0.2.1:80"}, "192.0.2.1:80"),
    ],
)
async def test_a_wrong_environment_ends_with_status_2_and_one_line_that_names_it(short_path, wrong, named):
    async with started(**environment(short_path, **wrong)) as pod:
        assert await asyncio.wait_for(pod.wait(), 15) == 2

        (line,) = pod.read_log().splitlines()
        assert line.startswith("discord-gateway-shardpod: ")
        assert named in line
