"""The pod's end of the control channel: dials the operator, reports, asks for permits, and never gives up.

The operator may be away for any time: the pod goes on delivering and resuming, only identifies wait.

It dials in rounds: every replica behind every address, one after the other without a pause, until one leads. Then comes
a pause, longer after a round that found none.
"""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import count
from random import Random

import structlog
from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import WebSocketException

from shardpod.contract import (
    Assignment,
    IdentifySent,
    LeaseAnswer,
    LeaseRequest,
    NotLeader,
    Observed,
    PermitAnswer,
    PermitRequest,
    from_operator,
)
from shardpod.worker import Granted, Wait
from shardpod.worker.shard_runner import CONNECT_AHEAD

from .control_addresses import Replica, Resolve, replicas_of
from .supervision import keep_running

_REPORT_INTERVAL = 1.0
"""Seconds between reports when nothing hurries."""
_HURRIED_REPORT_DELAY = 0.1
"""Seconds in which changes are gathered into one report."""
_REDIAL_DELAY = (0.2, 1.0)
"""Random seconds between two rounds: many pods do not come back in step."""
_REDIAL_GROWTH, _LONGEST_REDIAL = 0.1, 3.0
"""By so much of itself the pause grows with each round that found no leader, and to so many times at most: another
operator leads a quarter of a minute after the one before died, and is not to find all pods at its door meanwhile."""
_OPEN_TIMEOUT = 3.0
"""Seconds for a replica to answer, also the closing: a name server tells of a machine that died for a while yet."""
_PING_INTERVAL, _PING_TIMEOUT = 5.0, 10.0
"""Seconds: a leader whose machine has died says nothing, and the next one leads in a quarter of a minute."""
_STEADY = 1.0
"""Seconds after which a connection without an assignment counts as one to the leader: who does not lead says so."""
_ANSWER_TIMEOUT = 5.0
"""Seconds after which a permit request counts as unanswered."""
_AWAY_RETRY = 1.0
"""Seconds after which a shard asks again for the permit that nobody was there to give."""

logger = structlog.get_logger("control")


class ControlClient:
    """Implements the worker's `Permits`, and hands each new `Assignment` to `on_assignment`.

    `assigned`: the operator that is connected has said what this pod has to do.
    """

    def __init__(
        self,
        addresses: tuple[str, ...],
        secret: str,
        *,
        observe: Callable[[], Observed],
        on_assignment: Callable[[Assignment], None],
        random: Random,
        resolve: Resolve = replicas_of,
    ) -> None:
        self.connected = False
        self.assigned = False
        self._addresses = addresses
        self._resolve = resolve
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._observe = observe
        self._on_assignment = on_assignment
        self._random = random
        self._connection: ClientConnection | None = None
        self._hurry = asyncio.Event()
        self._requests = count(1)
        self._answers: dict[int, asyncio.Future[PermitAnswer | LeaseAnswer]] = {}
        self._term = 0
        self._epoch_and_count = (0, 0)
        self._sends: set[asyncio.Task[None]] = set()

    def hurry(self) -> None:
        """Something changed: report soon."""
        self._hurry.set()

    async def run(self) -> None:
        """Keep a connection to whichever replica leads, until cancelled."""
        fruitless = 0
        while True:
            if (problem := await self._round()) is None:
                fruitless = 0
            else:
                if fruitless == 0:
                    logger.warning("the operator cannot be reached, trying on", problem=problem)
                fruitless += 1
            longer = min(1 + _REDIAL_GROWTH * fruitless, _LONGEST_REDIAL)
            await asyncio.sleep(self._random.uniform(*_REDIAL_DELAY) * longer)

    async def _round(self) -> str | None:
        """Try every replica until one has led, and its connection is over: None. Else what was wrong with the last."""
        problem = "no address is known"
        for address in self._addresses:
            try:
                replicas = await self._resolve(address)
            except (OSError, ValueError) as error:
                problem = f"{address}: {str(error) or repr(error)}"
                continue
            for replica in replicas:
                failed = await self._try(replica)
                if failed is None:
                    return None
                problem = failed
        return problem

    async def _try(self, replica: Replica) -> str | None:
        """Talk to a replica until the connection ends. None if it led, else why there is nothing to be had from it."""
        loop = asyncio.get_running_loop()
        problem, led, since = "it closed the connection", False, loop.time()
        try:
            async with self._dial(replica) as connection:
                self._connection, self.connected, since = connection, True, loop.time()
                logger.debug("connected to the operator", address=replica.url, host=replica.host)
                if not await self._talk(connection):
                    return "none of its replicas leads"
        except (OSError, TimeoutError, WebSocketException) as error:
            problem = str(error) or repr(error)
        finally:
            led = self.assigned or (self.connected and loop.time() - since >= _STEADY)
            self._disconnected()
        return None if led else problem

    async def report_now(self) -> None:
        """Send a last report, if there is anybody to hear it."""
        if self._connection is not None:
            with contextlib.suppress(WebSocketException):
                await self._connection.send(self._observe().model_dump_json())

    # shardpod.worker.Permits

    async def ask(self, shard_id: int, *, ready: bool) -> Granted | Wait:
        connection = self._connection
        if connection is None:
            return _away(ready=ready)
        epoch, shard_count = self._epoch_and_count
        number = next(self._requests)
        request = PermitRequest(request=number, epoch=epoch, shard_id=shard_id, shard_count=shard_count, ready=ready)
        answer = await self._ask(connection, request)
        if not isinstance(answer, PermitAnswer):
            return _away(ready=ready)
        if answer.permit is None:
            return Wait(answer.retry_in, answer.reason or "waiting for a permit to identify")
        return Granted(answer.permit, answer.expires_in)

    # shardpod.pod.leases.Operator

    async def ask_lease(self, number: int, *, live: bool) -> float | None:
        if self._connection is None:
            return None
        request = LeaseRequest(request=next(self._requests), number=number, live=live)
        answer = await self._ask(self._connection, request)
        return answer.lasts if isinstance(answer, LeaseAnswer) else None

    async def _ask(
        self, connection: ClientConnection, request: PermitRequest | LeaseRequest
    ) -> PermitAnswer | LeaseAnswer | None:
        """The answer; None when nobody is there to give one."""
        future = self._answers[request.request] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                await connection.send(request.model_dump_json())
                answer: PermitAnswer | LeaseAnswer = await future
                return answer
        except (TimeoutError, ConnectionError, WebSocketException):
            return None
        finally:
            self._answers.pop(request.request, None)

    def identify_sent(self, shard_id: int, permit: int) -> None:
        message = IdentifySent(permit=permit, epoch=self._epoch_and_count[0], shard_id=shard_id)
        task = asyncio.get_running_loop().create_task(self._send_quietly(message.model_dump_json()))
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    # Inside one connection.

    def _dial(self, replica: Replica) -> connect:
        if replica.host is None:
            return unix_connect(
                replica.url.removeprefix("unix:"), "ws://operator/", additional_headers=self._headers, compression=None
            )
        return connect(
            replica.url,
            host=replica.host,
            port=replica.port,
            additional_headers=self._headers,
            compression=None,
            open_timeout=_OPEN_TIMEOUT,
            close_timeout=_OPEN_TIMEOUT,
            ping_interval=_PING_INTERVAL,
            ping_timeout=_PING_TIMEOUT,
            # None of the environment: those are for the way out, and the channel carries a secret inside the cluster.
            proxy=None,
        )

    async def _talk(self, connection: ClientConnection) -> bool:
        """Until the connection ends; false if the other side does not lead."""
        reporting = asyncio.create_task(
            keep_running("reporting to the operator", lambda: self._report_forever(connection))
        )
        try:
            async for message in connection:
                if not self._received(message):
                    return False
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
        return True

    async def _report_forever(self, connection: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException):
            while True:
                self._hurry.clear()
                await connection.send(self._observe().model_dump_json())
                # Not wait_for: until Python 3.12 it swallows a cancellation that comes together with the event.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_REPORT_INTERVAL):
                        await self._hurry.wait()
                    await asyncio.sleep(_HURRIED_REPORT_DELAY)

    def _received(self, text: str | bytes) -> bool:
        """Take a message; false if the other side does not lead, so that the next address has to be tried."""
        try:
            message = from_operator.validate_json(text)
        except ValidationError as error:
            logger.warning("a message of the operator was not understood", problem=error.errors(include_input=False))
            return True
        match message:
            case Assignment():
                # A lower term is a leader of the past (architecture, Control channel).
                if message.term >= self._term:
                    self._term = message.term
                    self.assigned = True
                    self._epoch_and_count = (message.epoch, message.shard_count)
                    self._assign(message)
                    self.hurry()
            case PermitAnswer() | LeaseAnswer():
                future = self._answers.get(message.request)
                if future is not None and not future.done() and message.term >= self._term:
                    future.set_result(message)
            case NotLeader():
                logger.debug("this replica does not lead")
                return False
        return True

    def _assign(self, assignment: Assignment) -> None:
        try:
            self._on_assignment(assignment)
        except Exception:
            # The channel must live on: by it comes the assignment that can be carried out.
            logger.exception("the assignment cannot be carried out")

    async def _send_quietly(self, text: str) -> None:
        if self._connection is not None:
            with contextlib.suppress(WebSocketException):
                await self._connection.send(text)

    def _disconnected(self) -> None:
        self._connection, self.connected, self.assigned = None, False, False
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ConnectionError("the control connection ended"))


def _away(*, ready: bool) -> Wait:
    """While the operator is away no turn is near: a shard must not dial only to sit there without a permit."""
    retry_in = _AWAY_RETRY if ready else _AWAY_RETRY + CONNECT_AHEAD
    return Wait(retry_in, "waiting for the operator, which cannot be reached")
