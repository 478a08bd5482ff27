"""The whole on one machine, for benchmarks: `discord-gateway up` as a user would start it, and a bot beside it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).parent
COMMAND = str(Path(sys.executable).with_name("discord-gateway"))
POLL = 0.2
NOBODY_LISTENS = "http://127.0.0.1:9/"


def wait_until(
    condition: Callable[[], bool], what: str, *, within: float, poll: float = POLL, or_go_on: bool = False
) -> None:
    """Wait for a condition with a deadline, after which the program ends, or goes on."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            if or_go_on:
                return
            raise SystemExit(f"gave up waiting {within:.0f} s for {what}")
        time.sleep(poll)


def manifest(*, shards: int, pods: int, url: str, delivery: str = "", sink: str = "", discord: str = "") -> str:
    """With all intents. `delivery`, `sink` and `discord`: lines of YAML, in flow style, that are put there."""
    return f"""
apiVersion: discordgateway.dev/v1alpha1
kind: DiscordGateway
metadata: {{name: bench}}
spec:
  tokenSecretRef: {{name: bench, key: token}}
  intents: [53608447]
  {discord}
  shards: {shards}
  sharding: {{shardsPerPod: {shards // pods}}}
  delivery:
    {delivery}
    sink: {{http: {{url: "{url}"{", " * bool(sink)}{sink}}}}}
"""


class Up:
    """One `discord-gateway up`, and what can be asked of it. `status` costs a process: not for tight loops."""

    def __init__(self, directory: Path) -> None:
        self._state = directory / "state"
        self._file = directory / "gateway.yaml"
        self._log = directory / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self, manifest: str, *options: str, token: str | None = None) -> Iterator[None]:
        self._file.write_text(manifest)
        command = [COMMAND, "up", str(self._file), f"--state-dir={self._state}", "--log-level=warning", *options]
        environment = os.environ | ({"DISCORD_TOKEN": token} if token else {})
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment)
        try:
            yield
        except BaseException:
            print(self._log.read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(90)

    def status(self) -> dict[str, Any] | None:
        """What `discord-gateway status -o json` says, None while it does not run yet."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit(f"`discord-gateway up` ended with {self._process.returncode}")
        command = [COMMAND, "status", f"--state-dir={self._state}", "-o", "json"]
        answer = subprocess.run(command, check=False, capture_output=True, text=True)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def wait_for_shards(self, number: int, *, within: float = 90) -> None:
        def ready() -> bool:
            status = self.status()
            return status is not None and status["readyShards"] == number

        wait_until(ready, f"{number} shards", within=within, poll=1.0)

    def restart(self) -> None:
        """`discord-gateway restart`, until it says that it is done."""
        subprocess.run([COMMAND, "restart", f"--state-dir={self._state}"], check=True, stdout=subprocess.DEVNULL)

    def simulator(self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None) -> Any:
        """Call the simulator's control port (docs/simulator.md): by default POST with a body, else GET."""
        ready = json.loads((self._state / "simulator" / "ready.json").read_text())
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{ready['control_url']}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def pods(self) -> list["PodProcesses"]:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return [PodProcesses(child) for child in children if "shardpod" in child.cmdline()]


class PodProcesses:
    """A pod's supervisor and its workers. `address`: where it serves HTTP, the one port that it listens on."""

    def __init__(self, supervisor: psutil.Process) -> None:
        (port,) = {each.laddr.port for each in supervisor.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
        self.address = f"127.0.0.1:{port}"
        self._all = [supervisor, *supervisor.children(recursive=True)]
        self.workers = sum("shardpod.worker" in process.cmdline() for process in self._all)

    def pss_mb(self) -> float:
        return sum(_pss_kb(process.pid) for process in self._all) / 1024

    def gauge(self, name: str) -> float:
        """The sum of one of the pod's metrics, named without its prefix."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        wanted = f"discord_gateway_{name}"
        return sum(sample.value for family in families for sample in family.samples if sample.name == wanted)


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class BotProcess:
    """bot.py with a journal. It keeps its port over its absences."""

    def __init__(self, directory: Path) -> None:
        self.journal = directory / "journal"
        self.journal.touch()
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        command = [sys.executable, str(HERE / "bot.py"), f"--port={self.port}", f"--journal={self.journal}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def arrivals(self) -> list[tuple[float, int, str, str | None]]:
        """Time, event number, idempotency key and guild of all that arrived, in order."""
        lines = (line.split() for line in self.journal.read_text().splitlines())
        return [(float(at), int(number), key, None if guild == "-" else guild) for at, number, key, guild in lines]


def percentile(values: list[float], share: float) -> float:
    """By nearest rank: a value that was measured, never one in between."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
