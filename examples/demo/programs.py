"""The demo's processes, started as their users would start them, and ended whatever happens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("discord-gateway")
GUILDS = 200


class DemoError(Exception):
    """The demo cannot go on; the text says what failed."""


def wait_until(condition: Callable[[], bool], what: str, *, within: float) -> None:
    """Wait for a condition with a deadline; raises DemoError."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"gave up waiting {within:.0f} s for {what}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Bot:
    """The user's program: can be killed in the middle of a request, and started again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.journal = directory / "journal"
        self.journal.touch()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        command = [sys.executable, str(HERE / "bot.py"), f"--port={self.port}", f"--journal={self.journal}"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def kill_in_mid_request(self, in_request: Callable[[], bool]) -> None:
        """Freeze it, wait until requests hang unanswered, then kill -9: so that it surely dies in the middle."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        wait_until(in_request, "a request to the frozen bot", within=5)
        self.end()

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def deliveries(self) -> list[tuple[int, str, str | None]]:
        """Everything it has noted, in order: event number, idempotency key, guild."""
        lines = (line.split() for line in self.journal.read_text().splitlines())
        return [(int(number), key, None if guild == "-" else guild) for number, key, guild, _ in lines]


@dataclass
class Gateway:
    """`discord-gateway up --simulator`, and the control port of the simulator it starts."""

    directory: Path
    manifest: Path
    log: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.log = self.directory / "up.log"

    def start(self) -> None:
        command = [str(COMMAND), "up", str(self.manifest), "--simulator", f"--simulator-guilds={GUILDS}"]
        command += ["--simulator-max-concurrency=8", f"--state-dir={self.directory / 'state'}"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)

    def status(self) -> dict[str, Any] | None:
        """What `discord-gateway status -o json` says; None while it does not run yet."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise DemoError(f"`discord-gateway up` ended with {self._process.returncode}:\n{self.log.read_text()}")
        command = [str(COMMAND), "status", f"--state-dir={self.directory / 'state'}", "-o", "json"]
        answer = subprocess.run(command, check=False, capture_output=True, text=True)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def kill_a_pod(self) -> str:
        """Kill -9 the first pod's process, as its record in the state directory names it; returns the pod's name."""
        record = min((self.directory / "state" / "pods").glob("*.json"))
        content = json.loads(record.read_text())
        os.kill(content["process"]["pid"], signal.SIGKILL)
        name: str = content["spec"]["pod"]["name"]
        return name

    def restart(self) -> "Order":
        """`discord-gateway restart`, which ends when every pod is a new one."""
        return Order(self.directory, "restart")

    def reshard(self, to: int) -> "Order":
        """`discord-gateway reshard`, which ends when there are so many shards, and no others any more."""
        return Order(self.directory, "reshard", f"--to={to}")

    def simulator(self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
        """Call the simulator's control API (docs/simulator.md): by default POST with a body, else GET."""
        ready = json.loads((self.directory / "state" / "simulator" / "ready.json").read_text())
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{ready['control_url']}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Order:
    """A command that follows what it asks the running `up` for."""

    def __init__(self, directory: Path, *words: str) -> None:
        command = [str(COMMAND), *words, f"--state-dir={directory / 'state'}"]
        self._words = " ".join(words)
        self._output = directory / f"{words[0]}.out"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def is_done(self) -> bool:
        """Whether it has ended well; raises DemoError if it did otherwise."""
        if self._process.poll():
            raise DemoError(f"`discord-gateway {self._words}` failed:\n{self._output.read_text()}")
        return self._process.returncode == 0

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
