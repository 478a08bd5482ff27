"""The life of a shard pod: wait for an assignment, hold its shards, give them to a successor, and end when told to."""

import asyncio
from random import Random

import structlog

from shardpod.contract import Assignment, Observed
from shardpod.logs import REDACTED
from shardpod.protocol import ShardState
from shardpod.worker import ShardReport, WorkerReport
from shardpod.worker.messages import Lease, Neighbours

from .assembly import identity_of, neighbours
from .config import PodConfig
from .control_client import ControlClient
from .http_endpoints import HttpEndpoints
from .leases import Leases
from .observation import observe
from .peers import Peers
from .supervision import keep_running
from .workers import Workers

_DRAIN_SECONDS = 10.0
"""What the queue gets at the end to reach the bot; the rest is on disk for the next start."""
_SAVING_SECONDS = 5.0
"""What is kept of the grace for closing and writing to disk."""

_AWAY_SHARE = 1 / 6
"""Of the time that a pod waits for a successor: so much without an operator. On Kubernetes that is 27 s, longer than it
takes until another replica leads; on one machine 2.5 s, as none may come."""

_LIVE = ("live", "settled", "expired")

logger = structlog.get_logger("pod")


class Pod:
    """Runs until `stop` is called, and its shards have a successor or are closed."""

    def __init__(self, config: PodConfig, random: Random) -> None:
        self._config = config
        self._random = random
        self._assignment: Assignment | None = None
        self._workers: Workers | None = None
        self._problem: str | None = None
        self._reported: tuple[object, ...] = ()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._peers = Peers(config.control_secret)
        self._control = ControlClient(
            config.control_addresses,
            config.control_secret,
            observe=self._observe,
            on_assignment=self._assigned,
            random=random,
        )
        self._leases = Leases(self._control, tell=self._tell_lease, is_live=self._is_live)
        self._http = HttpEndpoints(
            config.http_host,
            config.http_port,
            secret=config.control_secret,
            observe=self._observe,
            report=self._report,
            workers=lambda: self._workers,
        )

    def stop(self) -> None:
        """Called on SIGTERM."""
        self._stopping.set()

    async def run(self) -> None:
        """Hold the shards until `stop`; raises CannotListenError."""
        await self._http.start()
        control = asyncio.create_task(keep_running("control channel", self._control.run))
        try:
            await self._stopping.wait()
            logger.info("stopping")
            self._tell_neighbours()
            self._control.hurry()
            await self._wait_for_successor()
            if self._workers is not None:
                await self._workers.stop(
                    drain_for=max(0.0, min(_DRAIN_SECONDS, self._config.termination_grace - _SAVING_SECONDS))
                )
            await self._control.report_now()
        finally:
            self._leases.close()
            control.cancel()
            await asyncio.gather(control, return_exceptions=True)
            await self._http.close()
            await self._peers.close()

    async def _wait_for_successor(self) -> None:
        """Keep the sessions until a successor has them all, it is said that none will come, or the grace ends."""
        patience = self._config.termination_grace - _DRAIN_SECONDS - _SAVING_SECONDS
        try:
            async with asyncio.timeout(patience):
                while self._has_something_to_give() and self._may_have_successor():
                    self._changed.clear()
                    if self._control.connected:
                        await self._changed.wait()
                    elif not await self._hears_of_operator(patience * _AWAY_SHARE):
                        return
        except TimeoutError:
            logger.warning("no successor took the shards in time, they are closed resumably")

    async def _hears_of_operator(self, within: float) -> bool:
        """Another leader comes, if there is one: meanwhile the transfers that are under way go on."""
        try:
            async with asyncio.timeout(within):
                while self._has_something_to_give() and not self._control.assigned:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            logger.warning("no operator is there who could name a successor, the shards are closed resumably")
            return False
        return True

    def _has_something_to_give(self) -> bool:
        """Also while a worker is being started again: its shards' sessions are on disk, and will be back."""
        workers = self._workers
        return workers is not None and (
            not workers.all_running
            or any(shard.state is not ShardState.RELEASED or shard.backlog for shard in workers.report.shards)
        )

    def _may_have_successor(self) -> bool:
        return self._assignment is not None and self._assignment.role != "ending"

    def _assigned(self, assignment: Assignment) -> None:
        before, self._assignment = self._assignment, assignment
        if self._workers is not None:
            self._workers.update(assignment, self._neighbours(assignment))
            if before is not None and not _same_work(before, assignment):
                logger.info("changed settings take effect in the pod that replaces this one")
        elif not self._stopping.is_set():
            self._try_to_start(assignment)
        self._leases.follow(assignment)
        self._changed.set()

    def _tell_lease(self, lease: Lease) -> None:
        if self._workers is not None:
            self._workers.tell(lease)

    def _is_live(self, number: int) -> bool:
        """Whether a worker delivers, or has delivered, what is being handed over."""
        reports = [] if self._workers is None else self._workers.reports
        handovers = [report.handover for report in reports if report.handover is not None]
        return any(one.number == number and one.state in _LIVE for one in handovers)

    def _tell_neighbours(self) -> None:
        if self._workers is not None and self._assignment is not None:
            self._workers.update(self._assignment, self._neighbours(self._assignment))

    def _neighbours(self, assignment: Assignment) -> Neighbours:
        return neighbours(
            assignment, self._config, stopping=self._stopping.is_set(), cut_off=not self._control.assigned
        )

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
        workers = Workers(
            assignment,
            self._config,
            permits=self._control,
            peers=self._peers,
            random=self._random,
            on_change=self._on_report,
        )
        workers.start(self._neighbours(assignment))
        self._workers = workers

    def _on_report(self) -> None:
        self._changed.set()
        self._tell_neighbours()
        report = self._report()
        known = (
            ()
            if report is None
            else (*(_what_hurries(shard) for shard in report.shards), _step(report), _voice(report))
        )
        if known != self._reported:
            self._reported = known
            self._control.hurry()

    def _report(self) -> WorkerReport | None:
        return None if self._workers is None else self._workers.report

    def _observe(self) -> Observed:
        assignment, workers = self._assignment, self._workers
        return observe(
            pod=self._config.pod,
            instance=self._config.instance,
            assignment=assignment,
            report=self._report(),
            identity="" if assignment is None else identity_of(assignment, self._config),
            worker_restarts=0 if workers is None else workers.restarts,
            stopping=self._stopping.is_set(),
            http_address=self._http.address,
            problem=self._problem,
            worker_problem=None if workers is None else workers.problem,
            all_running=workers is not None and workers.all_running,
        )


def _what_hurries(shard: ShardReport) -> tuple[object, ...]:
    """What the operator should hear of at once; all else it hears every second."""
    return shard.shard_id, shard.state, shard.session_id, shard.backlog > 0


def _step(report: WorkerReport) -> tuple[object, ...]:
    """How far a handover is: each step of it waits for the report of the one before."""
    one = report.handover
    return () if one is None else (one.number, one.state)


def _voice(report: WorkerReport) -> tuple[object, ...]:
    """Whether voice is to be brought over, and is: the end of a reshard waits for it."""
    return (None if report.voice_to_rejoin is None else report.voice_to_rejoin == 0,)


def _same_work(one: Assignment, other: Assignment) -> bool:
    unnumbered = {"term": 0, "n": 0, "checkpoints": (), "peers": (), "role": "active"}
    unnumbered |= {
        "ownership": None,
        "windows": None,
        "handover": None,
        "counterparts": (),
        "rejoin_voice": False,
        "announce": False,
        "inherits": False,
    }
    return one.model_copy(update=unnumbered) == other.model_copy(update=unnumbered)
