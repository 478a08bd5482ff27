"""The workers of a pod: its shards cut over processes, their reports as one, and who of them is asked for what."""

import asyncio
from collections.abc import Callable, Iterable
from random import Random

from shardpod.contract import Assignment
from shardpod.worker import Permits, Wait, WorkerReport
from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import (
    AnyMessage,
    AskPeer,
    AskPermit,
    Busy,
    DeadLetters,
    DeadLetterView,
    Failed,
    ListDeadLetters,
    Neighbours,
    Nothing,
    PermitGiven,
    PermitUsed,
    Settled,
    SettleDeadLetters,
    Transfer,
    TransferAnswer,
)
from shardpod.worker.report import merged

from .assembly import begin_message, cut_shards
from .config import PodConfig
from .peers import Peers
from .worker_process import WorkerProcess

_ANSWER_TIMEOUT = 10.0


class WorkerFailedError(Exception):
    """A worker could not do what it was asked for; the message says why."""


class Workers:
    """All workers of one assignment. `on_change` is called when a report came."""

    def __init__(
        self,
        assignment: Assignment,
        config: PodConfig,
        *,
        permits: Permits,
        peers: Peers,
        random: Random,
        on_change: Callable[[], None],
    ) -> None:
        self._assignment = assignment
        self._config = config
        self._permits = permits
        self._peers = peers
        self._neighbours = Neighbours()
        cut = cut_shards(assignment)
        self._processes = [
            WorkerProcess(
                shard_ids,
                begin=lambda shard_ids=shard_ids: begin_message(  # type: ignore[misc]
                    self._assignment, self._config, shard_ids, workers=len(cut), neighbours=self._neighbours
                ),
                handler=self._handle,
                on_report=on_change,
                random=random,
            )
            for shard_ids in cut
        ]

    def start(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        for process in self._processes:
            process.start()

    def update(self, assignment: Assignment, neighbours: Neighbours) -> None:
        """Who the neighbours are has changed. What else has changed reaches workers that are started from now on."""
        self._assignment = assignment
        if neighbours != self._neighbours:
            self._neighbours = neighbours
            for process in self._processes:
                process.tell(neighbours)

    async def stop(self, *, drain_for: float) -> None:
        await asyncio.gather(*(process.stop(drain_for=drain_for) for process in self._processes))

    @property
    def report(self) -> WorkerReport:
        return merged(process.report for process in self._processes)

    @property
    def restarts(self) -> int:
        return sum(process.restarts for process in self._processes)

    @property
    def all_running(self) -> bool:
        return all(process.running for process in self._processes)

    @property
    def problem(self) -> str | None:
        """Why a worker does not run."""
        return next((process.problem for process in self._processes if process.problem and not process.running), None)

    async def transfer(self, request: Transfer) -> TransferAnswer:
        """Carry a successor's request to the worker that it is for."""
        process = next((process for process in self._processes if request.shard_id in process.shard_ids), None)
        if process is None:
            return Nothing()
        try:
            answer = await process.call(request, timeout=_ANSWER_TIMEOUT)
        except (LinkClosedError, TimeoutError) as error:
            return Busy(str(error) or "the worker does not answer")
        return answer if isinstance(answer, TransferAnswer) else Failed("the worker does not understand")

    async def dead_letters(self) -> list[DeadLetterView]:
        answers = await self._ask_all(ListDeadLetters())
        return [letter for answer in answers if isinstance(answer, DeadLetters) for letter in answer.letters]

    async def settle_dead_letters(self, request: SettleDeadLetters) -> int:
        answers = await self._ask_all(request)
        return sum(answer.count for answer in answers if isinstance(answer, Settled))

    async def _ask_all(self, message: AnyMessage) -> Iterable[AnyMessage]:
        """Raises LinkClosedError or TimeoutError if one does not answer, WorkerFailedError if one could not do it."""
        answers = await asyncio.gather(*(process.call(message, timeout=_ANSWER_TIMEOUT) for process in self._processes))
        if failed := next((answer for answer in answers if isinstance(answer, Failed)), None):
            raise WorkerFailedError(failed.problem)
        return answers

    async def _handle(self, message: AnyMessage) -> AnyMessage | None:
        match message:
            case AskPermit(shard_id, ready):
                answer = await self._permits.ask(shard_id, ready=ready)
                if isinstance(answer, Wait):
                    return PermitGiven(None, retry_in=answer.retry_in, reason=answer.reason)
                return PermitGiven(answer.permit, expires_in=answer.expires_in)
            case PermitUsed(shard_id, permit):
                self._permits.identify_sent(shard_id, permit)
            case AskPeer(address, request):
                return await self._peers.ask(address, request)
            case _:
                return Failed(f"a supervisor does not take {type(message).__name__}")
        return None
