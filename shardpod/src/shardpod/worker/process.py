"""A worker's process: its end of the line to the supervisor, by which it is told everything it does.

It ends when it is told to, and when the supervisor has gone: then another instance of this pod will hold its shards.
"""

import asyncio
import gc
import signal
import socket
import ssl
import sys
from random import Random

import structlog
import uvloop

from shardpod.delivery import HttpSink
from shardpod.logs import configure_logs
from shardpod.transport import PicowsConnector

from .link import Link, LinkClosedError
from .messages import (
    AnyMessage,
    AskPeer,
    AskPermit,
    Begin,
    Confirm,
    Failed,
    FetchBacklog,
    FetchLetters,
    FetchTail,
    ForgetLetters,
    Lease,
    ListDeadLetters,
    Neighbours,
    PermitGiven,
    PermitUsed,
    Release,
    Report,
    Resumed,
    SettleDeadLetters,
    Stop,
    Stopped,
    TransferAnswer,
)
from .permits import Granted, Wait
from .settings import WorkerSettings
from .worker import Worker

REPORT_INTERVAL = 0.5
"""Seconds between reports when nothing hurries."""
_HURRIED_REPORT_DELAY = 0.05
_PERMIT_TIMEOUT = 10.0
_PEER_TIMEOUT = 15.0
_SUPERVISOR_AWAY = Wait(1.0, "waiting for the pod's supervisor")

logger = structlog.get_logger("worker")


class WorkerProcess:
    """Runs one worker over `end`, its half of a socket pair; implements its `Permits`."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._worker: Worker | None = None
        self._link: Link | None = None
        self._hurry = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until told to stop, or the supervisor has gone."""
        self._link = await Link.over(self._end, self._handle)
        listening = asyncio.create_task(self._link.run())
        reporting = asyncio.create_task(self._report_forever())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([listening, stopped, reporting], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done() and self._worker is not None:
            logger.warning("the pod's supervisor has gone: closing the sessions resumably")
            await self._worker.stop(drain_for=0)
        reporting.cancel()
        await self._link.end()
        for task in (listening, stopped):
            task.cancel()
        await asyncio.gather(listening, reporting, stopped, return_exceptions=True)

    # shardpod.worker.Permits

    async def ask(self, shard_id: int, *, ready: bool) -> Granted | Wait:
        assert self._link is not None
        try:
            answer = await self._link.call(AskPermit(shard_id, ready), timeout=_PERMIT_TIMEOUT)
        except (LinkClosedError, TimeoutError):
            return _SUPERVISOR_AWAY
        if not isinstance(answer, PermitGiven):
            return _SUPERVISOR_AWAY
        if answer.permit is None:
            return Wait(answer.retry_in, answer.reason)
        return Granted(answer.permit, answer.expires_in)

    def identify_sent(self, shard_id: int, permit: int) -> None:
        assert self._link is not None
        self._link.tell(PermitUsed(shard_id, permit))

    async def ask_peer(self, request: AskPeer) -> TransferAnswer:
        assert self._link is not None
        answer = await self._link.call(request, timeout=_PEER_TIMEOUT)
        assert isinstance(answer, TransferAnswer)
        return answer

    # What the supervisor says.

    async def _handle(self, message: AnyMessage) -> AnyMessage | None:
        if isinstance(message, Begin):
            await self._begin(message)
            return Report(self._begun.report())
        if self._worker is None:
            return Failed("the worker has not begun yet")
        return await self._ask(self._worker, message)

    async def _ask(self, worker: Worker, message: AnyMessage) -> AnyMessage | None:
        answer: AnyMessage | None = None
        match message:
            case Neighbours():
                worker.set_neighbours(message)
            case Lease():
                worker.lease(message)
            case Release() | Resumed() | FetchBacklog() | Confirm() | FetchTail() | FetchLetters() | ForgetLetters():
                answer = await worker.transfer(message)
            case ListDeadLetters():
                answer = await worker.list_dead_letters(message)
            case SettleDeadLetters():
                answer = await worker.settle_dead_letters(message)
            case Stop(drain_for):
                await worker.stop(drain_for=drain_for)
                self._stopped.set()  # seen once the answer is written, which is in this turn of the loop
                answer = Stopped(worker.report())
            case _:
                answer = Failed(f"a worker does not take {type(message).__name__}")
        return answer

    @property
    def _begun(self) -> Worker:
        assert self._worker is not None
        return self._worker

    async def _begin(self, message: Begin) -> None:
        settings = message.settings
        secrets = (settings.session.token, settings.sink.authorization)
        configure_logs(
            log_format=settings.log_format, level=settings.log_level, secrets=filter(None, secrets), pod=settings.pod
        )
        worker = Worker(
            settings,
            connector=PicowsConnector(_discord_tls(settings)),
            permits=self,
            sink=_sink(settings),
            random=Random(),  # noqa: S311 -- jitter, no secret
            ask_peer=self.ask_peer,
            neighbours=message.neighbours,
            on_change=self._hurry.set,
        )
        await worker.start()
        self._worker = worker
        # What is here now stays for the life of the process: the garbage collector need not walk it again and again.
        gc.collect()
        gc.freeze()

    async def _report_forever(self) -> None:
        assert self._link is not None
        while True:
            if self._worker is not None:
                self._hurry.clear()
                self._link.tell(Report(self._worker.report()))
                await self._link.flush()
            try:
                async with asyncio.timeout(REPORT_INTERVAL):
                    await self._hurry.wait()
                await asyncio.sleep(_HURRIED_REPORT_DELAY)
            except TimeoutError:
                pass


def _sink(settings: WorkerSettings) -> HttpSink:
    return HttpSink(
        settings.sink.url,
        epoch=settings.sink.epoch,
        shard_count=settings.shard_count,
        batching=settings.max_batch_events > 1,
        authorization=settings.sink.authorization,
        timeout=settings.sink.timeout,
        compression=settings.sink.compression,
    )


def _discord_tls(settings: WorkerSettings) -> ssl.SSLContext:
    """Trust the system's authorities, and the extra one of the configuration."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    return context


def main() -> None:
    """Run the worker whose socket's file descriptor is the argument. Signals are the supervisor's to handle."""
    for number in (signal.SIGINT, signal.SIGTERM):  # some send them to the whole group
        signal.signal(number, signal.SIG_IGN)
    end = socket.socket(fileno=int(sys.argv[1]))
    uvloop.run(WorkerProcess(end).run())
