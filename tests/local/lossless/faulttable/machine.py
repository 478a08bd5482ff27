"""`discord-gateway up` as real processes, and the ways to hurt them. Only what it started itself is ever signalled."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from discord_simulator import DEFAULT_TOKEN
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.local.status_socket import NotRunningError, fetch_status

COMMAND = str(Path(sys.executable).with_name("discord-gateway"))
PATIENCE_S = 40.0


async def until(
    condition: Callable[[], bool | Awaitable[bool]],
    what: Callable[[], str] | str,
    within: float = PATIENCE_S,
    *,
    every: float = 0.02,
) -> None:
    try:
        async with asyncio.timeout(within):
            while True:
                holds = condition()
                if await holds if isinstance(holds, Awaitable) else holds:
                    return
                await asyncio.sleep(every)
    except TimeoutError:
        said = what if isinstance(what, str) else what()
        raise AssertionError(f"gave up after {within:.0f} s waiting for {said}") from None


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a pod that runs: its first process, which leads a process group, and its scratch directory."""

    name: str
    pid: int
    scratch: Path

    def workers(self) -> list[int]:
        """The pids of its workers."""
        children = psutil.Process(self.pid).children()
        return sorted(child.pid for child in children if "shardpod.worker" in child.cmdline())

    def kill(self) -> None:
        """End the pod and its workers at once, by -9."""
        os.killpg(self.pid, signal.SIGKILL)


class Machine:
    """One gateway in `directory`: file, secrets and state; `up` may run, be killed, and run again."""

    def __init__(self, directory: Path, manifest: str) -> None:
        self.file = directory / "gateway.yaml"
        self.state = directory / "s"
        self.log = directory / "up.log"
        self.file.write_text(manifest)
        self._up: asyncio.subprocess.Process | None = None

    # `up`

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._up = await asyncio.create_subprocess_exec(
                COMMAND, "up", str(self.file), f"--state-dir={self.state}", "--log-format=json",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "DISCORD_TOKEN": DEFAULT_TOKEN},
            )  # fmt: skip

    async def stop(self) -> None:
        """End `up` and all pods in order, by SIGTERM."""
        assert self._up is not None
        self._up.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await self._up.wait() == 0, self.last_words()

    async def kill_operator(self) -> None:
        """End `up` by -9; its pods go on."""
        assert self._up is not None
        self._up.kill()
        await self._up.wait()

    async def kill_everything(self) -> None:
        instances = self.instances()
        await self.kill_operator()
        for instance in instances:
            instance.kill()

    async def close(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        if self._up is not None and self._up.returncode is None:
            self._up.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await self._up.wait()
        if self._up is not None and self._up.returncode is None:
            await self.kill_operator()
        for process in self._left_behind():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _left_behind(self) -> list[psutil.Process]:
        """Processes with a scratch directory of ours in their environment: pods and workers, orphans among them."""
        ours, found = f"{self.state}/", []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("GATEWAY_SCRATCH", "").startswith(ours):
                    found.append(process)
        return found

    # What is seen of it

    async def status(self) -> GatewayStatus | None:
        with contextlib.suppress(NotRunningError):
            text = await fetch_status(self.state / "status.sock")
            return None if text is None else GatewayStatus.model_validate_json(text)
        return None

    def instances(self) -> list[Instance]:
        """Those that run, in the order of their shards."""
        found = []
        for file in (self.state / "pods").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                record = json.loads(file.read_text())
                if record["process"] is not None and psutil.pid_exists(record["process"]["pid"]):
                    first = record["spec"]["pod"]["range"]["first_shard_id"]
                    pid = record["process"]["pid"]
                    found.append((first, Instance(file.stem, pid, self.state / "scratch" / file.stem)))
        return [instance for _, instance in sorted(found, key=lambda one: (one[0], one[1].name))]

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def said(self, text: str, since: int = 0) -> bool:
        """Whether a line logged from offset `since` on holds `text`."""
        with self.log.open("rb") as log:
            log.seek(since)
            return text.encode() in log.read()

    def last_words(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def run(self, *arguments: str) -> str:
        """Run a command of `discord-gateway` on this gateway; gives its output, and fails with it."""
        code, output = await self.attempt(*arguments)
        assert code == 0, f"{' '.join(arguments)}: {output}\n{self.last_words()}"
        return output

    async def attempt(self, *arguments: str) -> tuple[int, str]:
        """The same for one that may fail: its exit code and its output."""
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, f"--state-dir={self.state}",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                output = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, output

    def change(self, old: str, new: str) -> None:
        """Edit the manifest's file."""
        text = self.file.read_text()
        assert text.count(old) == 1
        self.file.write_text(text.replace(old, new))

    def lose_scratch(self, instance: Instance) -> None:
        shutil.rmtree(instance.scratch)
