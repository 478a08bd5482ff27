"""Runs the Discord simulator beside the operator, for `discord-gateway up --simulator`.

It is a process of its own and is used by its addresses only, like the real Discord.
"""

import asyncio
import importlib.util
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ValidationError

from .pod_process import STDERR
from .process_identity import ProcessIdentity
from .state_directory import write_privately

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TOKEN = "simulator-token"  # noqa: S105 -- of a Discord that holds nothing

START_TIMEOUT = 20.0
"""Seconds until it must listen: it imports and makes a certificate, which a busy machine may take its time for."""

STOP_TIMEOUT = 5.0
"""Seconds from SIGTERM to SIGKILL."""

_POLL = 0.05


class SimulatorError(Exception):
    """It could not be started; the text says why."""


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How large the simulated bot is; `rate` is in events a second, None for no events but those of starting."""

    guilds: int
    max_concurrency: int
    rate: float | None


class SimulatedDiscord(BaseModel):
    """Where the simulator listens; the names are those of its ready file."""

    rest_url_tls: str
    control_url: str
    ca_file: Path


@asynccontextmanager
async def running_simulator(directory: Path, options: SimulatorOptions) -> AsyncIterator[SimulatedDiscord]:
    """Start a simulator on free ports, and end it at the end. Raises SimulatorError."""
    if importlib.util.find_spec("discord_simulator") is None:
        raise SimulatorError("--simulator needs the package discord-gateway-simulator: pip install it beside this one")
    ready_file = directory / "ready.json"
    with _started(directory, ready_file, options) as process:
        try:
            discord = await _listening(process, ready_file)
            logger.info("Discord is simulated", guilds=options.guilds, faults_and_counts=discord.control_url)
            yield discord
        finally:
            await _end(process)


def _started(directory: Path, ready_file: Path, options: SimulatorOptions) -> subprocess.Popen[bytes]:
    directory.mkdir(mode=0o700, exist_ok=True)
    _end_left_over(directory / "process.json")
    ready_file.unlink(missing_ok=True)
    process = subprocess.Popen(  # noqa: S603 -- our own program, no shell
        _arguments(directory, ready_file, options),
        stdin=subprocess.DEVNULL,
        stdout=STDERR,
        # Ctrl-C on the terminal is the operator's: sessions are closed in order before Discord goes away.
        start_new_session=True,
    )
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None, "a child stays known to the kernel until its parent has asked for its exit code"
    write_privately(directory / "process.json", identity.model_dump_json())
    return process


def _arguments(directory: Path, ready_file: Path, options: SimulatorOptions) -> list[str]:
    arguments = [sys.executable, "-m", "discord_simulator", "--token", TOKEN, "--guilds", str(options.guilds)]
    arguments += ["--max-concurrency", str(options.max_concurrency)]
    arguments += ["--ready-file", str(ready_file), "--ca-out", str(directory / "ca.pem")]
    # Its own "listening" and "stopping" would read as if the operator's.
    arguments += ["--log-level", "warning"]
    if options.rate is not None:
        arguments += ["--rate", str(options.rate), "--start-load-after", "1"]
    return arguments


async def _listening(process: subprocess.Popen[bytes], ready_file: Path) -> SimulatedDiscord:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            while process.poll() is None:
                if (addresses := _addresses(ready_file)) is not None:
                    return addresses
                await asyncio.sleep(_POLL)
    if process.returncode is None:
        raise SimulatorError(f"the simulator did not start within {START_TIMEOUT:.0f} s")
    raise SimulatorError(f"the simulator ended with exit code {process.returncode}; what it wrote stands above")


def _addresses(ready_file: Path) -> SimulatedDiscord | None:
    with suppress(FileNotFoundError):
        return SimulatedDiscord.model_validate_json(ready_file.read_bytes())
    return None


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT):
            while process.poll() is None:  # noqa: ASYNC110 -- the end of a process sets no asyncio.Event
                await asyncio.sleep(_POLL)
            return
    process.kill()


def _end_left_over(record: Path) -> None:
    """A crashed operator leaves its simulator running; pods left with it are restarted, because its CA is another."""
    with suppress(FileNotFoundError, ValidationError):
        ProcessIdentity.model_validate_json(record.read_bytes()).send(signal.SIGTERM)
