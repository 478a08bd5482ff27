"""Runs shard pods as processes on this machine, and restarts those that end.

Level-triggered like all of the operator: `apply` and `remove` are called again in every pass until the world is
as planned, so nothing here waits and no task runs beside the loop. Pods are left alone when the operator dies;
the next one finds them by their pid files and takes them over.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway_operator.core.world import PodSpec

from .backoff import RestartBackoff
from .pod_process import ManagedProcess, PodCommand

TERMINATION_GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True)
class PodProcess:
    """One pod as the machine sees it. `problem`: why it does not run, or None."""

    running: bool
    pid: int | None
    problem: str | None


class LocalPods:
    """The pods of one gateway; `directory` holds their pid files. The clock is monotonic, in seconds.

    `grace` may be changed while pods are ending, by a user who does not want to wait.
    """

    def __init__(
        self,
        directory: Path,
        command: PodCommand,
        *,
        clock: Callable[[], float],
        jitter: random.Random,
        grace: float = TERMINATION_GRACE,
    ) -> None:
        self.grace = grace
        self._directory = directory
        self._command = command
        self._clock = clock
        self._jitter = jitter
        found = (self._process(pid_file.stem) for pid_file in directory.glob("*.json"))
        self._processes = {process.name: process for process in found if process.adopt()}

    async def observe(self) -> Mapping[str, PodProcess]:
        """Every pod that was started or taken over, and not yet removed."""
        for process in self._processes.values():
            process.notice_end()
        return {
            name: PodProcess(running=process.pid is not None, pid=process.pid, problem=process.problem)
            for name, process in self._processes.items()
        }

    async def apply(self, spec: PodSpec) -> None:
        """See that the pod runs: starts it unless it does, or waits out its backoff."""
        if spec.name not in self._processes:
            self._processes[spec.name] = self._process(spec.name)
        self._processes[spec.name].keep_running()

    async def remove(self, name: str) -> None:
        """See that the pod ends: by SIGTERM, by SIGKILL after the grace; forgets it once it is gone."""
        if (process := self._processes.get(name)) is None:
            return
        process.stop()
        process.notice_end()
        if process.pid is None:
            del self._processes[name]

    def _process(self, name: str) -> ManagedProcess:
        return ManagedProcess(
            name,
            self._directory / f"{name}.json",
            self._command,
            clock=self._clock,
            backoff=RestartBackoff(self._jitter),
            grace=lambda: self.grace,
        )
