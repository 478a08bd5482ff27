"""The workers of a pod: its shards cut over processes, their reports as one, and who of them is asked for what."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from random import Random

from shardpod.contract import Assignment
from shardpod.handover import Tail
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
    FetchLetters,
    FetchTail,
    ForgetLetters,
    Lease,
    Letters,
    ListDeadLetters,
    Neighbours,
    Nothing,
    PermitGiven,
    PermitUsed,
    Settled,
    SettleDeadLetters,
    TailPart,
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
    def reports(self) -> list[WorkerReport]:
        """Of each worker."""
        return [process.report for process in self._processes]

    @property
    def report(self) -> WorkerReport:
        return merged(self.reports)

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
        """Carry a peer's request to the worker that it is for, or to all of them."""
        if isinstance(request, FetchTail | FetchLetters | ForgetLetters):
            return await self._of_all(request)
        process = next((process for process in self._processes if request.shard_id in process.shard_ids), None)
        if process is None:
            return Nothing()
        return await _ask(process, request)

    async def _of_all(self, request: FetchTail | FetchLetters | ForgetLetters) -> TransferAnswer:
        """All workers' answers as one; if one of them cannot say, its reason."""
        answers = await asyncio.gather(*(_ask(process, request) for process in self._processes))
        if (refused := next((answer for answer in answers if isinstance(answer, Busy | Failed)), None)) is not None:
            return refused
        if isinstance(request, FetchTail):
            return _joined([answer for answer in answers if isinstance(answer, TailPart)])
        if isinstance(request, FetchLetters):
            found = [answer.letters for answer in answers if isinstance(answer, Letters)]
            return Letters(tuple(letter for letters in found for letter in letters))
        return Settled(sum(answer.count for answer in answers if isinstance(answer, Settled)))

    def tell(self, message: Neighbours | Lease) -> None:
        """Say something to every worker."""
        for process in self._processes:
            process.tell(message)

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


def _joined(parts: Sequence[TailPart]) -> TailPart:
    tail = Tail(
        b"".join(part.tail.fingerprints for part in parts),
        b"".join(part.tail.ages for part in parts),
        b"".join(part.tail.keys for part in parts),
    )
    last = min((part.last_fence_age for part in parts if part.last_fence_age is not None), default=None)
    return TailPart(tail, max(part.fence_age for part in parts), last)


async def _ask(process: WorkerProcess, request: Transfer) -> TransferAnswer:
    try:
        answer = await process.call(request, timeout=_ANSWER_TIMEOUT)
    except (LinkClosedError, TimeoutError) as error:
        # Not `Busy`, which is a worker's own word: nobody can say when this one will run.
        return Failed(f"its worker does not run: {error}" if str(error) else "its worker does not answer")
    return answer if isinstance(answer, TransferAnswer) else Failed("the worker does not understand")
