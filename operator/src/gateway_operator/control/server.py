"""Where one gateway's pods dial in: checks who they are, keeps what each last said, and hands each its assignment.

The operator's loop sees two methods and an event. It holds no plan and takes no decision; when it restarts,
the pods dial again and one exchange puts all right.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.http11 import Request, Response

from gateway_operator.core.leases import Lease, LeaseBook, NoLease
from shardpod.contract import Assignment, HandoverObserved, LeaseRequest, Observed, Role

from .connection import PermitLedger, PodConnection, instance_of
from .numbering import AssignmentNumbering

logger: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A report has about 1 KiB a shard; a pod holds some hundred shards at most."""

MAX_WAITING_MESSAGES = 16
"""Messages of one pod read ahead of their handling, then its socket is no longer read."""

KEEPALIVE = 20.0
"""Seconds between pings, and until one without its pong ends the connection."""


def limits() -> dict[str, Any]:
    """What one connection may cost, as options of a WebSocket server."""
    return {
        "max_size": MAX_MESSAGE_BYTES,
        "max_queue": MAX_WAITING_MESSAGES,
        "compression": None,
        "ping_interval": KEEPALIVE,
        "ping_timeout": KEEPALIVE,
        "server_header": None,
    }


def refusal(socket: ServerConnection) -> Response:
    """The answer to who dials without the secret."""
    logger.warning("refused a connection to the control channel: wrong or no secret")
    return socket.respond(HTTPStatus.UNAUTHORIZED, "Wrong or no control secret.\n")


def always() -> bool:
    """Whether an operator leads that is alone, as in the embedded mode."""
    return True


@dataclass(frozen=True, slots=True)
class PodHeard:
    """What an instance of a pod last said; `heard_at` is on the operator's monotonic clock, in seconds.

    `told`: the role that it was last assigned, once it has said that this assignment is in force.
    """

    connected: bool
    observed: Observed
    heard_at: float
    told: Role | None = None


class ControlServer:
    """The control channel of one gateway under one `term`. It sets `changed` when a pod came, went or reported.

    `leads` is asked before every permit, every lease and every assignment sent. Once it is false it must stay so: the
    next term gets a channel, a ledger and a lease book of its own, which wait out what this term may have granted
    (`kube.elector` has the sum).
    """

    def __init__(
        self,
        *,
        term: int,
        secret: str,
        ledger: PermitLedger,
        leases: LeaseBook,
        changed: asyncio.Event,
        clock: Callable[[], float],
        leads: Callable[[], bool] = always,
    ) -> None:
        self.leads = leads
        self._term = term
        self._authorization = f"Bearer {secret}".encode()
        self._ledger = ledger
        self._leases = leases
        self._changed = changed
        self._clock = clock
        self._numbering = AssignmentNumbering(term)
        self._heard: dict[str, PodHeard] = {}
        self._connections: dict[str, PodConnection] = {}

    def pods(self) -> Mapping[str, PodHeard]:
        """What each instance last said, connected or not."""
        return {name: replace(heard, told=self._told(name, heard.observed)) for name, heard in self._heard.items()}

    def assign(self, assignments: Mapping[str, Assignment]) -> None:
        """Make this the whole truth: whose content changed is told at once, or when it dials again."""
        for name in self._numbering.replace(assignments):
            if (connection := self._connections.get(name)) is not None:
                connection.send_assignment()
        for name in self._heard.keys() - assignments.keys() - self._connections.keys():
            del self._heard[name]

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Serve on a unix socket at `path`; one left over by a dead operator is replaced. Raises OSError."""
        async with unix_serve(self.serve, path, process_request=self._check_authorization, **limits()):
            yield

    def admits(self, request: Request) -> bool:
        """Whether the secret was shown; it takes as long whether much of it was right or nothing."""
        # `get_all`, not `get`: a header given twice must be an answer of 401, not an exception.
        given = request.headers.get_all("Authorization")
        return len(given) == 1 and hmac.compare_digest(given[0].encode(errors="surrogateescape"), self._authorization)

    async def serve(self, socket: ServerConnection) -> None:
        """Serve a pod that was admitted, until either side closes."""
        connection = PodConnection(
            socket,
            term=self._term,
            ledger=self._ledger,
            assigned=self._numbering.current,
            heard=self._note,
            lease=self._lease,
            clock=self._clock,
            leads=self.leads,
        )
        try:
            await connection.run()
        finally:
            self._disconnected(connection)

    def _told(self, instance: str, observed: Observed) -> Role | None:
        current = self._numbering.current(instance)
        if current is None or (observed.term, observed.n) != (current.term, current.n):
            return None
        return current.role

    def _check_authorization(self, socket: ServerConnection, request: Request) -> Response | None:
        return None if self.admits(request) else refusal(socket)

    def _lease(self, instance: str, request: LeaseRequest) -> Lease | NoLease:
        return self._leases.ask(
            instance, request.number, live=request.live, said=self._said_of_handover, now=self._clock()
        )

    def _said_of_handover(self, instance: str) -> HandoverObserved | None:
        """Of an instance that is connected: what was said before may have ended with its process."""
        heard = self._heard.get(instance)
        return heard.observed.handover if heard is not None and heard.connected else None

    def _note(self, connection: PodConnection, observed: Observed) -> None:
        name = instance_of(observed)
        older = self._connections.get(name)
        if older is not connection:
            self._connections[name] = connection
            connection.send_assignment()
            logger.info("pod connected", instance=name)
            if older is not None:
                older.make_way()
        self._heard[name] = PodHeard(connected=True, observed=observed, heard_at=self._clock())
        self._changed.set()

    def _disconnected(self, connection: PodConnection) -> None:
        name = connection.instance
        if name is None or self._connections.get(name) is not connection:
            return
        del self._connections[name]
        self._heard[name] = replace(self._heard[name], connected=False)
        logger.info("pod disconnected", instance=name)
        self._changed.set()
