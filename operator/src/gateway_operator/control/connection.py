"""One instance's connection: its reports come in, its assignment and the answers to its requests go out.

It decides nothing: whether a shard may identify is the ledger's business, whether a range may be delivered the lease
book's, what a pod has to do the planner's. But whether this operator leads is asked anew before every grant and every
assignment: a leader that is deposed may be the last to notice (see `server`).
A pod whose messages cannot be understood is disconnected with a reason and may dial again; it never harms
the operator or the other pods.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog
from pydantic import ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from gateway_operator.core.identify_ledger import Granted, Wait
from gateway_operator.core.leases import Lease, NoLease
from shardpod.contract import (
    Assignment,
    IdentifySent,
    LeaseAnswer,
    LeaseRequest,
    Observed,
    PermitAnswer,
    PermitRequest,
    from_pod,
)

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CLOSE_REPLACED = 4001
"""A newer connection of the same instance took over (RFC 6455 leaves 4000-4999 to applications)."""

UNASSIGNED_RETRY = 1.0
"""Seconds until a pod should ask again that asked for a shard which its assignment does not hold."""


DEPOSED_RETRY = 1.0
"""Seconds until a pod should ask again that asked who does not lead any more; by then it may have dialled who does."""

DEPOSED = "this operator does not lead any more"


class PermitLedger(Protocol):
    """Who may identify, and when. In production `core.identify_ledger.IdentifyLedger`."""

    def ask(self, epoch: int, shard_id: int, shard_count: int, *, ready: bool, now: float) -> Granted | Wait: ...

    def sent(self, permit: int, now: float) -> None: ...

    def connected(self, epoch: int, shard_count: int, shard_ids: Collection[int], now: float) -> None: ...


class NotUnderstoodError(Exception):
    """A message that is not of the contract; its text is safe to show and to log."""


class PodConnection:
    """Serves one connection until it ends. `instance` is None until the first report, which names it.

    `heard` is called with each report, `assigned` for the numbered assignment of an instance, if it has one, `lease`
    for whether an instance may deliver what it asks for. Once `leads` is false nothing is granted or assigned.
    """

    def __init__(
        self,
        socket: ServerConnection,
        *,
        term: int,
        ledger: PermitLedger,
        assigned: Callable[[str], Assignment | None],
        heard: "Callable[[PodConnection, Observed], None]",
        lease: Callable[[str, LeaseRequest], Lease | NoLease],
        clock: Callable[[], float],
        leads: Callable[[], bool],
    ) -> None:
        self.instance: str | None = None
        self._socket = socket
        self._term = term
        self._ledger = ledger
        self._assigned = assigned
        self._heard = heard
        self._lease = lease
        self._clock = clock
        self._leads = leads
        self._outbox: asyncio.Queue[Assignment] = asyncio.Queue()
        self._making_way: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the pod until either side closes."""
        sender = asyncio.create_task(self._send_assignments())
        try:
            await self._receive()
        except ConnectionClosed as ended:
            _log_refusal(ended)
        except NotUnderstoodError as problem:
            logger.warning(
                "closed a pod's connection: not of the contract", instance=self.instance, problem=str(problem)
            )
            await self._socket.close(CloseCode.POLICY_VIOLATION, _close_reason(str(problem)))
        finally:
            sender.cancel()
            await asyncio.gather(sender, *filter(None, [self._making_way]), return_exceptions=True)

    def send_assignment(self) -> None:
        """Send what is assigned now, after what was to be sent before.

        Each is sent, not the last alone: the one in force when a pod dials names the checkpoints to resume from,
        and the next, made because the pod is there, no longer does.
        """
        if (assignment := self._assignment()) is not None:
            self._outbox.put_nowait(assignment)

    def make_way(self) -> None:
        """Close: a newer connection of the same instance is there. Of what still arrives only spent permits count."""
        closing = self._socket.close(CLOSE_REPLACED, "a newer connection of this pod took over")
        self._making_way = asyncio.create_task(closing)

    async def _send_assignments(self) -> None:
        while True:
            assignment = await self._outbox.get()
            # Asked here, not when it was put in: one that waited behind a slow pod may be of a leader of the past.
            if self._leads():
                await self._socket.send(assignment.model_dump_json())

    async def _receive(self) -> None:
        while True:
            match await receive(self._socket):
                case IdentifySent() as report:
                    self._ledger.sent(report.permit, self._clock())
                case _ if self._making_way is not None:
                    pass
                case Observed() as observed:
                    named = instance_of(observed)
                    self.instance = self.instance or named
                    if named != self.instance:
                        raise NotUnderstoodError(f"this connection is {self.instance}'s, but a report named another")
                    self._note_connected(observed)
                    self._heard(self, observed)
                case PermitRequest() as request:
                    await self._socket.send(self._answer(request).model_dump_json())
                case LeaseRequest() as request:
                    await self._socket.send(self._answer_lease(request).model_dump_json())

    def _note_connected(self, observed: Observed) -> None:
        connected = {shard.shard_id for shard in observed.shards if shard.state == "connected"}
        self._ledger.connected(observed.epoch, observed.shard_count, connected, self._clock())

    def _assignment(self) -> Assignment | None:
        return None if self.instance is None else self._assigned(self.instance)

    def _answer(self, request: PermitRequest) -> PermitAnswer:
        if not self._holds(request):
            reason = "this shard is not in the pod's assignment, or is leaving it"
            return PermitAnswer(request=request.request, term=self._term, retry_in=UNASSIGNED_RETRY, reason=reason)
        answer = self._ask_ledger(request)
        if isinstance(answer, Granted):
            return PermitAnswer(
                request=request.request, term=self._term, permit=answer.permit, expires_in=answer.expires_in
            )
        return PermitAnswer(request=request.request, term=self._term, retry_in=answer.retry_in, reason=answer.reason)

    def _ask_ledger(self, request: PermitRequest) -> Granted | Wait:
        if not self._leads():
            return Wait(DEPOSED_RETRY, DEPOSED)
        return self._ledger.ask(
            request.epoch, request.shard_id, request.shard_count, ready=request.ready, now=self._clock()
        )

    def _answer_lease(self, request: LeaseRequest) -> LeaseAnswer:
        if self.instance is None:
            return LeaseAnswer(request=request.request, term=self._term, reason="nothing was reported yet")
        answer = self._lease(self.instance, request) if self._leads() else NoLease(DEPOSED)
        if isinstance(answer, Lease):
            return LeaseAnswer(request=request.request, term=self._term, lasts=answer.lasts)
        return LeaseAnswer(request=request.request, term=self._term, reason=answer.reason)

    def _holds(self, request: PermitRequest) -> bool:
        """I4: an instance that is leaving must not spend identifies on shards that its successor is to hold."""
        assigned = self._assignment()
        return (
            assigned is not None
            and assigned.role == "active"
            and (assigned.epoch, assigned.shard_count) == (request.epoch, request.shard_count)
            and assigned.range.first_shard_id <= request.shard_id <= assigned.range.last_shard_id
        )


def instance_of(observed: Observed) -> str:
    """Who reports; a pod that knows nothing of instances is the only one of its name."""
    return observed.instance or observed.pod


async def receive(socket: ServerConnection) -> Observed | PermitRequest | IdentifySent | LeaseRequest:
    """One message of the contract; raises NotUnderstoodError, or ConnectionClosed at the end."""
    frame = await socket.recv()
    if isinstance(frame, bytes):
        raise NotUnderstoodError("messages travel as text frames")
    try:
        return from_pod.validate_json(frame)
    except ValidationError as error:
        raise NotUnderstoodError(_first_problem(error)) from error


def _first_problem(error: ValidationError) -> str:
    """Where it is wrong and why, without the values: a report may hold a session."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{place}: {first['msg']}"


def _log_refusal(ended: ConnectionClosed) -> None:
    """What the WebSocket layer refused by itself: a message too large, or text that is not UTF-8."""
    if ended.sent is not None and ended.sent.code in (CloseCode.MESSAGE_TOO_BIG, CloseCode.INVALID_DATA):
        logger.warning("closed a pod's connection", problem=ended.sent.reason or CloseCode(ended.sent.code).name)


def _close_reason(text: str) -> str:
    """RFC 6455, 5.5: a control frame's payload is 125 bytes at most, 2 of them the close code."""
    return text.encode()[:123].decode(errors="ignore")
