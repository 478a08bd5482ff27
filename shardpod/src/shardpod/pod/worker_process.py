"""One worker as its supervisor sees it: a process that is started, listened to, and started again when it dies.

A worker that dies takes nothing with it that is not on disk or at Discord: the next one resumes its sessions.
"""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from shardpod.worker import WorkerReport
from shardpod.worker.link import Link, LinkClosedError
from shardpod.worker.messages import AnyMessage, Begin, Failed, Neighbours, Report, Stop, Stopped
from shardpod.worker.report import counts_only, merged

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
"""Seconds before a worker that died is started again: at once the first time, as its sessions wait at Discord."""
HEALTHY_AFTER = 30.0
"""Seconds alive after which a worker's earlier deaths no longer count."""
SILENCE = 30.0
"""Seconds without a report after which a worker counts as hung, and is killed: its shards are deaf."""
_BEGIN_TIMEOUT = 90.0
"""Seconds to take up what is on disk, which may be 2 GiB, after a process before it has let go of it."""
_END_TIMEOUT = 5.0

logger = structlog.get_logger("pod")

Handler = Callable[[AnyMessage], Awaitable[AnyMessage | None]]


class WorkerProcess:
    """The worker that holds `begin()`'s shards, over all its restarts. `on_report` is called when a report came."""

    def __init__(
        self,
        shard_ids: tuple[int, ...],
        *,
        begin: Callable[[], Begin],
        handler: Handler,
        on_report: Callable[[], None],
        random: Random,
    ) -> None:
        self.shard_ids = shard_ids
        self.restarts = 0
        self.pid: int | None = None
        self.problem: str | None = None
        self._begin = begin
        self._handler = handler
        self._on_report = on_report
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._report: WorkerReport | None = None
        self._ended = WorkerReport()
        self._heard_at = 0.0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def report(self) -> WorkerReport:
        """The last report, with the counts of all that died before; no shards while it does not run."""
        return self._ended if self._report is None else merged((self._ended, self._report))

    @property
    def running(self) -> bool:
        return self._report is not None

    def start(self) -> None:
        self._task = self._loop.create_task(self._keep_running())

    def tell(self, message: Neighbours) -> None:
        if self._link is not None:
            self._link.tell(message)

    async def call(self, message: AnyMessage, *, timeout: float) -> AnyMessage:  # noqa: ASYNC109 -- as Link.call
        """Ask the worker; raises LinkClosedError while it does not run, or TimeoutError."""
        if self._link is None or self._report is None:
            raise LinkClosedError("the worker that holds this shard is being started")
        return await self._link.call(message, timeout=timeout)

    async def stop(self, *, drain_for: float) -> None:
        """End it in order, and kill it if it does not end."""
        self._stopping = True
        if self._link is not None:
            try:
                answer = await self._link.call(Stop(drain_for), timeout=drain_for + _END_TIMEOUT)
                if isinstance(answer, Stopped):
                    self._report = answer.report
            except (LinkClosedError, TimeoutError):
                logger.warning("a worker did not end in order", shards=_range(self.shard_ids))
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=_END_TIMEOUT)
            if not done:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            started_at = self._loop.time()
            how = await self._run_once()
            if self._stopping:
                return
            self.restarts += 1
            pause = _FIRST_PAUSE if self._loop.time() - started_at >= HEALTHY_AFTER else pause
            self.problem = f"a worker {how}; it is started again"
            logger.error(
                "a worker ended, it is started again", shards=_range(self.shard_ids), how=how, pause=round(pause, 1)
            )
            self._on_report()
            await asyncio.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _run_once(self) -> str:
        """From start to end of one process; returns how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shardpod.worker", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.pid = process.pid
        link = self._link = await Link.over(ours, self._handle)
        listening = self._loop.create_task(link.run())
        try:
            answer = await link.call(self._begin(), timeout=_BEGIN_TIMEOUT)
            if isinstance(answer, Report):
                self._took_report(answer.report)
                self.problem = None
                await self._watch(listening)
            elif isinstance(answer, Failed):
                self.problem = answer.problem
        except (LinkClosedError, TimeoutError) as error:
            logger.warning("a worker does not begin", shards=_range(self.shard_ids), problem=str(error))
        finally:
            await self._end(process, link, listening)
        return _how_it_ended(process.returncode)

    async def _watch(self, listening: asyncio.Task[None]) -> None:
        """Until the link ends, or the worker is silent for too long."""
        while not listening.done():
            await asyncio.wait([listening], timeout=SILENCE / 4)
            if self._loop.time() - self._heard_at > SILENCE and not self._stopping:
                logger.error("a worker is silent and will be killed", shards=_range(self.shard_ids), seconds=SILENCE)
                return

    async def _end(self, process: asyncio.subprocess.Process, link: Link, listening: asyncio.Task[None]) -> None:
        self._link = self.pid = None
        if self._report is not None:
            self._ended = merged((self._ended, counts_only(self._report)))
            self._report = None
        link.close()
        await asyncio.gather(listening, return_exceptions=True)
        try:
            async with asyncio.timeout(_END_TIMEOUT if self._stopping or not link.broken else 0.5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _handle(self, message: AnyMessage) -> AnyMessage | None:
        if isinstance(message, Report):
            self._took_report(message.report)
            return None
        return await self._handler(message)

    def _took_report(self, report: WorkerReport) -> None:
        self._report = report
        self._heard_at = self._loop.time()
        self._on_report()


def _range(shard_ids: tuple[int, ...]) -> str:
    return f"{shard_ids[0]}-{shard_ids[-1]}"


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        import signal  # noqa: PLC0415 -- for a worker that died

        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
