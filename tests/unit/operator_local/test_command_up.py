"""`up` as users start it: as a process, with its exit code and what it writes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from gateway_operator.local.instance_record import recorded
from gateway_operator.local.process_identity import ProcessIdentity
from gateway_operator.local.state_directory import StateDirectory
from gateway_operator.local.status_socket import NotRunningError, fetch_status

TOKEN = "a-token-that-nobody-may-see"


class Run:
    """One `up`. It writes to a file, as its pods do: a pipe would end only with the last of them."""

    def __init__(self, process: asyncio.subprocess.Process, written: Path) -> None:
        self.process = process
        self._written = written

    async def ended(self) -> tuple[int, str]:
        """The exit code, and what was written to standard error until now."""
        async with asyncio.timeout(60):
            code = await self.process.wait()
        return code, self._written.read_text()


class Home:
    """Where `up` keeps things in a test, and what it leaves behind."""

    def __init__(self, path: Path, end_all_below: Callable[[Path], None]) -> None:
        self.path = path
        self._end_all_below = end_all_below
        self.environment = {**os.environ, "XDG_STATE_HOME": str(path)}
        self.environment.pop("DISCORD_TOKEN", None)
        self._runs: list[Run] = []

    async def up(self, *arguments: str | Path, **environment: str) -> Run:
        written = self.path / f"written-{len(self._runs)}"
        with written.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from gateway_operator.command import main; main()",
                "up",
                *map(str, arguments),
                env=self.environment | environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=file,
            )
        self._runs.append(Run(process, written))
        return self._runs[-1]

    def gateway(self, name: str = "mybot") -> StateDirectory:
        return StateDirectory(self.path / "discord-gateway" / name)

    def pods(self, name: str = "mybot") -> list[ProcessIdentity]:
        """The processes that the records name."""
        return [process for _spec, process in recorded(self.gateway(name).pods) if process is not None]

    async def clean_up(self) -> None:
        for run in self._runs:
            if run.process.returncode is None:
                run.process.kill()
                await run.process.wait()
        for directory in (self.path / "discord-gateway").glob("*/"):
            self._end_all_below(directory)
            with suppress(ValueError, FileNotFoundError):
                ProcessIdentity.model_validate_json((directory / "simulator/process.json").read_bytes()).kill_group()


@pytest.fixture
async def home(state_path, end_all_below) -> AsyncIterator[Home]:
    home = Home(state_path, end_all_below)
    yield home
    await home.clean_up()


@asynccontextmanager
async def discord(*, accepts: bool = True) -> AsyncIterator[str]:
    """The REST API alone: its base URL. No gateway is behind it."""

    async def gateway_bot(request: web.Request) -> web.Response:
        if not accepts:
            return web.json_response({"message": "401: Unauthorized", "code": 0}, status=401)
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return web.json_response({"url": "ws://127.0.0.1:9/", "shards": 1, "session_start_limit": limit})

    application = web.Application()
    application.router.add_get("/api/v10/gateway/bot", gateway_bot)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10"
    finally:
        await runner.cleanup()


async def status_of(directory: StateDirectory) -> dict:
    """The status as soon as a pod has reported its shards."""
    async with asyncio.timeout(60):
        while True:
            with suppress(NotRunningError):
                text = await fetch_status(directory.status_socket)
                if text is not None:
                    status = json.loads(text)
                    if status["shardRows"] and all(row["state"] != "unknown" for row in status["shardRows"]):
                        return status
            await asyncio.sleep(0.02)


async def test_a_missing_token_ends_it_with_one_line_that_says_where_it_was_looked_for(home, manifest):
    code, stderr = await (await home.up(manifest())).ended()

    assert code == 2
    assert stderr.count("\n") == 1
    assert "DISCORD_TOKEN" in stderr


async def test_a_refused_token_ends_it_at_the_first_answer_and_says_what_to_do(home, manifest):
    async with discord(accepts=False) as base_url:
        file = manifest(f"discord: {{baseURL: '{base_url}'}}")
        code, stderr = await (await home.up(file, DISCORD_TOKEN=TOKEN)).ended()

    assert code == 2
    assert stderr.startswith("Discord refused the token")
    assert "Developer Portal" in stderr
    assert TOKEN not in stderr


async def test_a_state_directory_open_to_others_ends_it_with_one_line(home, manifest, tmp_path):
    tmp_path.chmod(0o755)
    code, stderr = await (await home.up(manifest(), "--state-dir", tmp_path, DISCORD_TOKEN=TOKEN)).ended()

    assert code == 2
    assert stderr.count("\n") == 1
    assert f"chmod 700 {tmp_path}" in stderr


async def test_a_ca_that_is_none_ends_it_with_one_line(home, manifest, tmp_path):
    (tmp_path / "secrets" / "ca").mkdir(parents=True)
    (tmp_path / "secrets" / "ca" / "pem").write_text("no certificate")
    file = manifest("discord: {caSecretRef: {name: ca, key: pem}}")
    code, stderr = await (await home.up(file, DISCORD_TOKEN=TOKEN)).ended()

    assert code == 2
    assert stderr.count("\n") == 1
    assert "CA certificate" in stderr


async def test_pods_outlive_a_killed_operator_and_the_next_takes_them_over_and_ends_them(home, manifest):
    async with discord() as base_url:
        file = manifest(f"discord: {{baseURL: '{base_url}'}}")
        first = await home.up(file, DISCORD_TOKEN=TOKEN)
        await status_of(home.gateway())
        second_code, second_stderr = await (await home.up(file, DISCORD_TOKEN=TOKEN)).ended()
        first.process.send_signal(signal.SIGKILL)
        first_code, _stderr = await first.ended()
        (pod,) = home.pods()
        alive_alone = pod.is_alive()
        remembered_alone = home.gateway().remembered_shard_set()
        third = await home.up(file, DISCORD_TOKEN=TOKEN)
        await status_of(home.gateway())
        taken_over = home.pods()
        third.process.send_signal(signal.SIGINT)
        third_code, third_stderr = await third.ended()

    assert second_code == 2
    assert second_stderr == (
        f"mybot already runs here, as process {first.process.pid}: "
        f"stop that one first (Ctrl-C there, or `kill {first.process.pid}`)\n"
    )
    assert first_code == -signal.SIGKILL
    assert alive_alone
    assert taken_over == [pod]
    assert remembered_alone is not None
    assert home.gateway().remembered_shard_set() == remembered_alone
    assert third_code == 0
    assert "took over a running pod" in third_stderr
    assert TOKEN not in third_stderr
    assert not pod.is_alive()
    assert home.pods() == []


async def test_the_next_start_goes_on_with_the_same_instance_and_a_fresh_one_does_not(home, manifest):
    async with discord() as base_url:
        file = manifest(f"discord: {{baseURL: '{base_url}'}}")
        instances, written = [], ""
        for fresh in ((), (), ("--fresh",)):
            run = await home.up(file, *fresh, DISCORD_TOKEN=TOKEN)
            await status_of(home.gateway())
            instances.append([spec.name for spec, _process in recorded(home.gateway().pods)])
            run.process.send_signal(signal.SIGTERM)
            code, written = await run.ended()
            assert code == 0, written

    assert instances == [["mybot-e1-0-0.1"], ["mybot-e1-0-0.1"], ["mybot-e1-0-0.2"]]
    assert "beginning anew" in written


async def test_with_the_simulator_it_needs_no_token_and_ends_all_it_started(home, manifest):
    run = await home.up(manifest("shards: 2"), "--simulator", "--simulator-guilds", "10")
    status = await status_of(home.gateway("mybot+simulator"))
    simulator = ProcessIdentity.model_validate_json(
        (home.gateway("mybot+simulator").simulator / "process.json").read_bytes()
    )
    was_alive = simulator.is_alive()
    run.process.send_signal(signal.SIGTERM)
    code, stderr = await run.ended()

    assert was_alive
    assert code == 0, stderr
    assert [row["shardId"] for row in status["shardRows"]] == [0, 1]
    assert "Discord is simulated" in stderr
    assert not simulator.is_alive()
    assert home.pods("mybot+simulator") == []
