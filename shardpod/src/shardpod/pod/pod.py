"""The life of a shard pod: wait for an assignment, hold its shards, and end cleanly when told to."""

import asyncio
import gc
from random import Random

import structlog

from shardpod.contract import Assignment, Observed
from shardpod.logs import REDACTED
from shardpod.worker import Worker, WorkerReport

from .assembly import build_worker
from .config import PodConfig
from .control_client import ControlClient
from .http_endpoints import HttpEndpoints
from .observation import observe
from .supervision import keep_running

_DRAIN_SECONDS = 20.0
"""What the queue gets at the end to reach the bot. Kubernetes' and the operator's grace is longer."""

logger = structlog.get_logger("pod")


class Pod:
    """Runs until `stop` is called."""

    def __init__(self, config: PodConfig, random: Random) -> None:
        self._config = config
        self._random = random
        self._assignment: Assignment | None = None
        self._worker: Worker | None = None
        self._problem: str | None = None
        self._stopping = asyncio.Event()
        self._control = ControlClient(
            config.control_addresses,
            config.control_secret,
            observe=self._observe,
            on_assignment=self._assigned,
            random=random,
        )
        self._http = HttpEndpoints(config.http_host, config.http_port, observe=self._observe, report=self._report)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Hold the shards until `stop`, then close them resumably and drain; raises CannotListenError."""
        await self._http.start()
        control = asyncio.create_task(keep_running("control channel", self._control.run))
        try:
            await self._stopping.wait()
            logger.info("stopping")
            self._control.hurry()
            if self._worker is not None:
                await self._worker.stop(drain_for=_DRAIN_SECONDS)
            await self._control.report_now()
        finally:
            control.cancel()
            await asyncio.gather(control, return_exceptions=True)
            await self._http.close()

    def _assigned(self, assignment: Assignment) -> None:
        if self._stopping.is_set():
            return
        before, self._assignment = self._assignment, assignment
        if self._worker is None:
            self._try_to_start(assignment)
        elif before is not None and not _same_work(before, assignment):
            logger.warning("a changed assignment takes effect when this pod restarts")

    def _try_to_start(self, assignment: Assignment) -> None:
        try:
            self._start(assignment)
            self._problem = None
        except Exception as error:
            self._problem = self._redacted(f"{type(error).__name__}: {error}")
            raise  # to the control client, which logs it and lives on

    def _redacted(self, text: str) -> str:
        """What /readyz shows to anybody must hold no secret; an error may quote the settings it is about."""
        for secret in self._config.secrets:
            text = text.replace(secret, REDACTED)
        return text

    def _start(self, assignment: Assignment) -> None:
        first, last = assignment.range.first_shard_id, assignment.range.last_shard_id
        logger.info("holding shards", shards=f"{first}-{last}", of=assignment.shard_count, epoch=assignment.epoch)
        self._worker = build_worker(
            assignment, self._config, permits=self._control, random=self._random, on_change=self._control.hurry
        )
        # What is here now stays for the life of the pod: the garbage collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        self._worker.start()

    def _report(self) -> WorkerReport | None:
        return None if self._worker is None else self._worker.report()

    def _observe(self) -> Observed:
        return observe(
            pod=self._config.pod,
            assignment=self._assignment,
            report=self._report(),
            stopping=self._stopping.is_set(),
            http_address=self._http.address,
            problem=self._problem,
        )


def _same_work(one: Assignment, other: Assignment) -> bool:
    unnumbered = {"term": 0, "n": 0, "checkpoints": (), "peers": ()}
    return one.model_copy(update=unnumbered) == other.model_copy(update=unnumbered)
