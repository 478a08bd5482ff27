"""Runs the instances of shard pods as processes on this machine, and restarts those that end.

Level-triggered like all of the operator: its methods are called again in every pass until the world is as planned, so
nothing here waits and no task runs beside the loop. Pods are left alone when the operator dies; the next one finds
them by their records and takes them over.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway_operator.core.world import InstanceSpec
from gateway_operator.seams import InstanceHere

from .backoff import RestartBackoff
from .instance_record import InstanceRecord, recorded
from .pod_process import ManagedProcess, PodCommand

TERMINATION_GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodProcess(InstanceHere):
    """One instance as this machine sees it."""

    pid: int | None = None


class LocalPods:
    """The instances of one gateway; `records` and `scratch` are directories. The clock is monotonic, in seconds.

    `grace` may be changed while pods are ending, by a user who does not want to wait; `command` by one who has
    changed the secrets, which instances started from then on get.
    """

    def __init__(
        self,
        records: Path,
        scratch: Path,
        command: PodCommand,
        *,
        clock: Callable[[], float],
        jitter: random.Random,
        grace: float = TERMINATION_GRACE,
    ) -> None:
        self.grace = grace
        self.command = command
        self._records = records
        self._scratch = scratch
        self._clock = clock
        self._jitter = jitter
        self._instances: dict[str, tuple[ManagedProcess, InstanceRecord]] = {}
        for spec, process in recorded(records):
            self._managed(spec).adopt(process)

    async def observe(self) -> Mapping[str, PodProcess]:
        """Every instance that was started or taken over, and not yet removed."""
        for process, _record in self._instances.values():
            process.notice_end()
        return {
            name: PodProcess(
                spec=process.spec,
                running=process.pid is not None,
                pid=process.pid,
                problem=process.problem,
                started_at=process.started_at,
                scratch=record.shards(),
            )
            for name, (process, record) in self._instances.items()
        }

    async def apply(self, spec: InstanceSpec) -> None:
        """See that the instance runs: starts it unless it does, or waits out its backoff."""
        self._managed(spec).keep_running(spec)

    async def stop(self, name: str) -> None:
        """See that its process ends, by SIGTERM, by SIGKILL after the grace; it can be started again."""
        if name in self._instances:
            process, _record = self._instances[name]
            process.stop()
            process.notice_end()

    async def remove(self, name: str) -> None:
        """As `stop`, and then forget the instance with all that it left."""
        await self.stop(name)
        if name in self._instances and (process := self._instances[name][0]).pid is None:
            process.forget()
            del self._instances[name]

    def _managed(self, spec: InstanceSpec) -> ManagedProcess:
        if spec.name not in self._instances:
            record = InstanceRecord(spec, self._records, self._scratch)
            process = ManagedProcess(
                spec,
                record,
                lambda: self.command,
                clock=self._clock,
                backoff=RestartBackoff(self._jitter),
                grace=lambda: self.grace,
            )
            self._instances[spec.name] = (process, record)
        return self._instances[spec.name][0]
