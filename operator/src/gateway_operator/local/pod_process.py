"""One instance of a shard pod as a process: started, taken over from a dead operator, watched, restarted and ended.

Nothing here waits: each method does what is due now and is called again later.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from gateway_operator.core.world import InstanceSpec
from shardpod.contract import environment

from .backoff import RestartBackoff
from .instance_record import InstanceRecord
from .process_identity import ProcessIdentity, processes_with

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

STDERR = 2
"""Pods log to the operator's standard error; its standard output belongs to the command."""

WORKERS_GRACE = 5.0
"""Seconds that a pod's workers get to end by themselves when the pod's first process is gone."""


@dataclass(frozen=True, slots=True)
class PodCommand:
    """How a pod is started: `environment` comes on top of the operator's own, and of what names the instance."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


class ManagedProcess:
    """The process of one instance, over all its restarts. The clock is monotonic, in seconds.

    `started_at`: when the process that runs was started, or taken over.
    """

    def __init__(
        self,
        spec: InstanceSpec,
        record: InstanceRecord,
        command: Callable[[], PodCommand],
        *,
        clock: Callable[[], float],
        backoff: RestartBackoff,
        grace: Callable[[], float],
    ) -> None:
        self.spec = spec
        self.problem: str | None = None
        self.started_at = 0.0
        self._record = record
        self._command = command
        self._clock = clock
        self._backoff = backoff
        self._grace = grace
        self._process: ProcessIdentity | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._start_due = clock()
        self._stop_asked_at: float | None = None
        self._orphaned_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs, else None."""
        return None if self._process is None else self._process.pid

    def adopt(self, process: ProcessIdentity | None) -> None:
        """Take over the process that the record names, or one that was started just before it could be written."""
        left = [] if process is not None else self._processes()
        self._process = process or next((one for one in left if one.leads_session()), None)
        self.started_at = self._clock()
        if self._process is None:
            for worker in left:
                worker.send(signal.SIGKILL)
        elif self._process.is_alive():
            logger.info("took over a running pod", instance=self.spec.name, pid=self.pid)
            self._record.write(self.spec, self._process)
        else:
            # It ended while nobody was looking: that is no failure to be patient with.
            self._stop_asked_at = self.started_at
            self.notice_end()

    def keep_running(self, spec: InstanceSpec) -> None:
        """Start the process if it does not run and its backoff is over; one that was told to stop is let end first.

        The spec's revision is that of the next start: nothing is restarted for it.
        """
        self.notice_end()
        if self._process is not None:
            if self._stop_asked_at is not None:
                self.stop()
        elif self._clock() >= self._start_due:
            self._start(spec)

    def stop(self) -> None:
        """Ask by SIGTERM the first time; after the grace, end the whole process group."""
        if self._process is None:
            return
        if self._stop_asked_at is None:
            self._stop_asked_at = self._clock()
            self._process.send(signal.SIGTERM)
        elif self._clock() - self._stop_asked_at >= self._grace() and self._process.is_alive():
            logger.warning("the pod did not end in time and is killed", instance=self.spec.name, grace=self._grace())
            self._process.kill_group()

    def notice_end(self) -> None:
        """Take note if the process has ended since the last look, and decide when it may start again."""
        if self._process is None or self._process.is_alive() or self._workers_go_on():
            return
        how = _how_it_ended(self._child)
        alive = self._clock() - self.started_at
        if self._stop_asked_at is None:
            delay = self._backoff.ended_after(alive)
            self.problem = f"{how} {alive:.0f} s after its start; it starts again in {delay:.0f} s"
            logger.error(
                "a pod ended", instance=self.spec.name, how=how, alive=round(alive, 1), restart_in=round(delay, 1)
            )
        else:
            delay = 0.0
            logger.info("pod stopped", instance=self.spec.name, how=how)
        self._start_due = self._clock() + delay
        self._process = self._child = self._stop_asked_at = self._orphaned_at = None
        self._record.write(self.spec, None)

    def forget(self) -> None:
        """Delete all that is kept of an instance that does not run."""
        if shards := self._record.shards():
            # No cause for alarm: a shard set ends only when nothing waits in it any more.
            logger.info(
                "deleted what was kept of shards that are no longer wanted", instance=self.spec.name, shards=len(shards)
            )
        self._record.delete()

    def _start(self, spec: InstanceSpec) -> None:
        self.spec, command = spec, self._command()
        try:
            # First the record without a process: should this operator die now, the next one knows where to look.
            self._record.write(spec, None)
            child = subprocess.Popen(  # noqa: S603 -- the shard pod's own program, no shell
                command.arguments,
                env={**os.environ, **command.environment, **self._names()},
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
        self._child, self._process, self.started_at = child, process, self._clock()
        self.problem = None
        self._record.write(spec, process)
        logger.info("started a pod", instance=spec.name, pid=process.pid)

    def _names(self) -> dict[str, str]:
        return {
            environment.POD_NAME: self.spec.pod.name,
            environment.POD_INSTANCE: self.spec.name,
            environment.SCRATCH: str(self._record.scratch),
        }

    def _workers_go_on(self) -> bool:
        """A pod is dead, and its sessions may be taken over, only when all its processes are."""
        workers = self._processes()
        if not workers:
            return False
        if self._orphaned_at is None:
            self._orphaned_at = self._clock()
        if self._clock() - self._orphaned_at >= WORKERS_GRACE:
            for worker in workers:
                worker.send(signal.SIGKILL)
        return True

    def _processes(self) -> list[ProcessIdentity]:
        return processes_with(environment.SCRATCH, str(self._record.scratch))


def _how_it_ended(child: subprocess.Popen[bytes] | None) -> str:
    code = None if child is None else child.poll()
    if code is None:
        return "ended, nobody knows how, as another operator had started it"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
