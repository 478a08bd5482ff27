"""Processes that outlive the one that starts them, each recorded in a file: nothing else is ever ended."""

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .waiting import wait_until

LAUNCH = """
read -r stat </proc/$$/stat
test -z "$3" || echo $$ >"$3/cgroup.procs"
printf '%s\\n' "$stat" >"$1.starting" && mv "$1.starting" "$1"
shift 3
exec "$@"
"""
"""Records itself before it becomes the program: a run that is killed right here leaves no process without a record.
$1: record, $2: log (opened by the caller), $3: control group to be in, or nothing."""
KILLED_WITHIN_S = 10.0


def nsenter(namespace: str, command: Sequence[str]) -> list[str]:
    """Not `ip netns exec`: that mounts /sys anew, without the control groups that a kubelet needs."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


class Daemons:
    """By name: what runs in directory `records`, with its log in `logs`."""

    def __init__(self, records: Path, logs: Path) -> None:
        self._records = records
        self._logs = logs

    def start(self, name: str, command: Sequence[str], *, path: str, cgroup: Path | None = None) -> None:
        """A session of its own, so that a terminal's signals pass it by; a child of init, which waits for its end."""
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        how = {"command": list(command), "path": path, "cgroup": str(cgroup or "")}
        self._command_file(name).write_text(json.dumps(how, indent=1))
        self.start_again(name)

    def start_again(self, name: str) -> None:
        """As it was started before."""
        if self.alive(name):
            return
        how = json.loads(self._command_file(name).read_text())
        record = self._record(name)
        record.unlink(missing_ok=True)
        with (self._logs / f"{name}.log").open("a") as log:
            launched = ["sh", "-c", LAUNCH, name, str(record), log.name, how["cgroup"], *how["command"]]
            subprocess.run(
                ["sh", "-c", 'setsid "$@" &', "sh", *launched],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": how["path"], "HOME": "/root", "LC_ALL": "C.UTF-8"},
            )
        wait_until(record.exists, f"{name} to be started", within_s=10, every_s=0.01)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._records.glob("*.started"))

    def alive(self, name: str) -> bool:
        return self._pid(name) is not None

    def kill(self, name: str) -> None:
        """By SIGKILL, and wait until it is gone."""
        pid = self._pid(name)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)  # from here on the number cannot pass to another process
            try:
                if self._pid(name) == pid:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], KILLED_WITHIN_S)
            finally:
                os.close(handle)

    def log_tail(self, name: str, lines: int = 15) -> str:
        path = self._logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _pid(self, name: str) -> int | None:
        try:
            recorded = self._record(name).read_text()
        except FileNotFoundError:
            return None
        pid, started, _ = parse_stat(recorded)
        return pid if start_time(pid) == started else None

    def _record(self, name: str) -> Path:
        return self._records / f"{name}.started"

    def _command_file(self, name: str) -> Path:
        return self._records / f"{name}.json"


def parse_stat(line: str) -> tuple[int, int, str]:
    """Process id, start time in clock ticks since boot, and state: fields 1, 22 and 3 of /proc/PID/stat."""
    pid, _, rest = line.partition(" ")
    after_name = rest.rpartition(")")[2].split()  # the name in field 2 may hold blanks and parentheses
    return int(pid), int(after_name[19]), after_name[0]


def start_time(pid: int) -> int | None:
    """When it was started, by which a reused number is noticed; None if there is none, or only its exit status."""
    try:
        _, started, state = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else started
