"""One shard pod as a process: started, taken over from a dead operator, watched, restarted and ended.

Nothing here waits: each method does what is due now and is called again later.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from shardpod.contract import environment

from .backoff import RestartBackoff
from .process_identity import ProcessIdentity
from .state_directory import set_aside, write_privately

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

STDERR = 2
"""Pods log to the operator's standard error; its standard output belongs to the command."""


@dataclass(frozen=True, slots=True)
class PodCommand:
    """How a pod is started: `environment` comes on top of the operator's own, and of the pod's name.

    `secrets_digest` tells whether a pod already running was started with the same secrets.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    secrets_digest: str


class _PidFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    process: ProcessIdentity
    secrets_digest: str


class ManagedProcess:
    """The process of the pod `name`, over all its restarts. The clock is monotonic, in seconds."""

    def __init__(
        self,
        name: str,
        pid_file: Path,
        command: PodCommand,
        *,
        clock: Callable[[], float],
        backoff: RestartBackoff,
        grace: Callable[[], float],
    ) -> None:
        self.name = name
        self.problem: str | None = None
        self._pid_file = pid_file
        self._command = command
        self._clock = clock
        self._backoff = backoff
        self._grace = grace
        self._process: ProcessIdentity | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_due = clock()
        self._stop_asked_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs, else None."""
        return None if self._process is None else self._process.pid

    def adopt(self) -> bool:
        """Take over the process that the pid file names, if it is still that process; else clear the file away."""
        try:
            found = _PidFile.model_validate_json(self._pid_file.read_bytes())
        except ValidationError:
            set_aside(self._pid_file)
            return False
        if not found.process.is_alive():
            self._pid_file.unlink()
            return False
        self._process = found.process
        self._started_at = self._clock()
        logger.info("took over a running pod", pod=self.name, pid=self.pid)
        if found.secrets_digest != self._command.secrets_digest:
            logger.info("restarting the pod: the secrets it was started with have changed", pod=self.name)
            self.stop()
        return True

    def keep_running(self) -> None:
        """Start the process if it does not run and its backoff is over; one that was told to stop is let end first."""
        self.notice_end()
        if self._process is not None:
            if self._stop_asked_at is not None:
                self.stop()
        elif self._clock() >= self._start_due:
            self._start()

    def stop(self) -> None:
        """Ask by SIGTERM the first time; after the grace, end the whole process group."""
        if self._process is None:
            return
        if self._stop_asked_at is None:
            self._stop_asked_at = self._clock()
            self._process.send(signal.SIGTERM)
        elif self._clock() - self._stop_asked_at >= self._grace():
            logger.warning("the pod did not end in time and is killed", pod=self.name, grace=self._grace())
            self._process.kill_group()

    def notice_end(self) -> None:
        """Take note if the process has ended since the last look, and decide when it may start again."""
        if self._process is None or self._process.is_alive():
            return
        how = _how_it_ended(self._child)
        alive = self._clock() - self._started_at
        if self._stop_asked_at is None:
            delay = self._backoff.ended_after(alive)
            self.problem = f"{how} {alive:.0f} s after its start; it starts again in {delay:.0f} s"
            logger.error("a pod ended", pod=self.name, how=how, alive=round(alive, 1), restart_in=round(delay, 1))
        else:
            delay = 0.0
            logger.info("pod stopped", pod=self.name, how=how)
        self._start_due = self._clock() + delay
        self._process = self._child = self._stop_asked_at = None
        self._pid_file.unlink(missing_ok=True)

    def _start(self) -> None:
        try:
            child = subprocess.Popen(  # noqa: S603 -- the shard pod's own program, no shell
                self._command.arguments,
                env={**os.environ, **self._command.environment, environment.POD_NAME: self.name},
                stdin=subprocess.DEVNULL,
                stdout=STDERR,
                # A session of its own: Ctrl-C on the terminal reaches the operator only, which ends pods in order.
                start_new_session=True,
            )
        except OSError as error:
            delay = self._backoff.ended_after(0.0)
            self.problem = f"cannot be started: {error}; tried again in {delay:.0f} s"
            self._start_due = self._clock() + delay
            return
        process = ProcessIdentity.of(child.pid)
        assert process is not None, "a child stays known to the kernel until its parent has asked for its exit code"
        self._child, self._process, self._started_at = child, process, self._clock()
        content = _PidFile(process=process, secrets_digest=self._command.secrets_digest)
        write_privately(self._pid_file, content.model_dump_json())
        self.problem = None
        logger.info("started a pod", pod=self.name, pid=process.pid)


def _how_it_ended(child: subprocess.Popen[bytes] | None) -> str:
    code = None if child is None else child.poll()
    if code is None:
        return "ended, nobody knows how, as another operator had started it"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
