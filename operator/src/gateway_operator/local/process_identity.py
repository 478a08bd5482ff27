"""Tells a process from a later one with the same pid, so that nothing foreign is ever adopted or signalled.

Linux reuses pids, but never a pid together with its start time within one boot (proc(5): stat, field 22).
"""

import os
import signal
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_PROC = Path("/proc")

_STATE = 0
_START_TIME = 19
"""Positions after the closing parenthesis of the command's name in /proc/<pid>/stat: its fields 3 and 22."""

_ENDED_STATES = frozenset("ZXx")
"""Zombie and dead (proc(5)): the process has ended, only its parent has not asked for the exit code yet."""


class ProcessIdentity(BaseModel):
    """A process for all time: its pid, its start in clock ticks since boot, and which boot that was."""

    model_config = ConfigDict(frozen=True)

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The process that has this pid now, even if it ended and only awaits its parent; else None."""
        stat = _stat(pid)
        return None if stat is None else cls(pid=pid, start_ticks=int(stat[_START_TIME]), boot_id=_boot_id())

    def is_alive(self) -> bool:
        stat = _stat(self.pid)
        return (
            stat is not None
            and stat[_STATE] not in _ENDED_STATES
            and int(stat[_START_TIME]) == self.start_ticks
            and _boot_id() == self.boot_id
        )

    def leads_session(self) -> bool:
        """Whether it was started as the first of a session of its own."""
        try:
            return self.is_alive() and os.getsid(self.pid) == self.pid
        except ProcessLookupError:
            return False

    def send(self, number: signal.Signals) -> None:
        """Signal this process and no other; does nothing when it has ended."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Compared after opening: from here on the descriptor means one process, whatever becomes of its pid.
            if self.is_alive():
                signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)

    def kill_group(self) -> None:
        """End the process and all others of the process group it leads; does nothing when it has ended."""
        try:
            if self.is_alive() and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def processes_with(variable: str, value: str) -> list[ProcessIdentity]:
    """All processes of this user that were started with the variable set to this value, and have not ended."""
    wanted = os.fsencode(f"{variable}={value}")
    found = []
    for directory in _PROC.iterdir():
        if not directory.name.isdecimal():
            continue
        try:
            given = (directory / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended by now, or is somebody else's
            continue
        process = ProcessIdentity.of(int(directory.name)) if wanted in given else None
        if process is not None and process.is_alive():
            found.append(process)
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name is in parentheses and may hold spaces and parentheses itself: count from the last one.
    return stat.rpartition(")")[2].split()


def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
