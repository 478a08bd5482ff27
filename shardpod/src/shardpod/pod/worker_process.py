"""One worker as its supervisor sees it: a process that is started, listened to, and started again when it dies.

A worker that dies takes nothing with it that is not on disk or at Discord: the next one resumes its sessions.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from shardpod.worker import WorkerReport
from shardpod.worker.link import Link, LinkClosedError
from shardpod.worker.messages import AnyMessage, Begin, Failed, Lease, Neighbours, Report, Stop, Stopped
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
_END_TIMEOUT = 4.0
"""Seconds beyond its draining that a worker gets to end when it is told to."""
_CRASH_TIMEOUT = 0.5
"""Seconds to end for a worker that broke its link or lost it: there is nothing to wait for."""

COMMAND = (sys.executable, "-m", "shardpod.worker")
"""What is run, with the file descriptor of the worker's end of its line."""

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
        self._stopping = asyncio.Event()
        self._in_order = False
        self._task: asyncio.Task[None] | None = None

    @property
    def report(self) -> WorkerReport:
        """The last report, with the counts of all that died before; no shards while it does not run."""
        return self._ended if self._report is None else merged((self._ended, self._report))

    @property
    def running(self) -> bool:
        return self._link is not None and self._report is not None

    def start(self) -> None:
        self._task = self._loop.create_task(self._keep_running())

    def tell(self, message: Neighbours | Lease) -> None:
        if self._link is not None:
            self._link.tell(message)

    async def call(self, message: AnyMessage, *, timeout: float) -> AnyMessage:  # noqa: ASYNC109 -- as Link.call
        """Ask the worker; raises LinkClosedError while it does not run, or TimeoutError."""
        if self._link is None or self._report is None:
            raise LinkClosedError("the worker that holds this shard is being started")
        return await self._link.call(message, timeout=timeout)

    async def stop(self, *, drain_for: float) -> None:
        """End it in order, and kill it if it does not end."""
        self._stopping.set()
        link = self._link
        if link is not None:
            if self._report is not None:
                await self._end_in_order(link, drain_for)
            link.close()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=2 * _END_TIMEOUT)
            if not done:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    async def _end_in_order(self, link: Link, drain_for: float) -> None:
        try:
            answer = await link.call(Stop(drain_for), timeout=drain_for + _END_TIMEOUT)
        except (LinkClosedError, TimeoutError):
            answer = None
        if isinstance(answer, Stopped):
            self._report, self._in_order = answer.report, True
        else:
            logger.warning("a worker did not end in order", shards=_range(self.shard_ids))

    async def _keep_running(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            started_at = self._loop.time()
            how = await self._run_once_whatever_happens()
            if self._stopping.is_set():
                return
            self.restarts += 1
            pause = _FIRST_PAUSE if self._loop.time() - started_at >= HEALTHY_AFTER else pause
            self.problem = f"a worker {how}; it is started again"
            logger.error(
                "a worker ended, it is started again", shards=_range(self.shard_ids), how=how, pause=round(pause, 1)
            )
            self._on_report()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * self._random.uniform(0.5, 1.0)):
                    await self._stopping.wait()
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _run_once_whatever_happens(self) -> str:
        """As `_run_once`. No fault of this process's own, such as too many open files, may leave shards alone."""
        try:
            return await self._run_once()
        except Exception as error:
            logger.exception("a worker cannot be run", shards=_range(self.shard_ids))
            return f"cannot be run ({type(error).__name__})"

    async def _run_once(self) -> str:
        """From start to end of one process; returns how it ended."""
        ours, process = await _spawn()
        self.pid = process.pid
        link = self._link = await Link.over(ours, self._handle)
        listening = self._loop.create_task(link.run())
        try:
            why = None if self._stopping.is_set() else await self._hold_shards(link, listening)
        finally:
            await self._end(process, link, listening)
        return why or _how_it_ended(process.returncode)

    async def _hold_shards(self, link: Link, listening: asyncio.Task[None]) -> str | None:
        """Until the link ends, or has to; returns why, unless the process itself tells by its end."""
        begin = self._begin()
        try:
            answer = await link.call(begin, timeout=_BEGIN_TIMEOUT)
        except LinkClosedError:
            return None
        except TimeoutError:
            return f"did not begin within {_BEGIN_TIMEOUT:.0f} s"
        if not isinstance(answer, Report):
            return f"could not begin ({answer.problem if isinstance(answer, Failed) else type(answer).__name__})"
        self.problem = None
        self._took_report(answer.report)
        if (neighbours := self._begin().neighbours) != begin.neighbours:
            link.tell(neighbours)  # what it was told of them while it began, it was not able to take
        return await self._watch(listening)

    async def _watch(self, listening: asyncio.Task[None]) -> str | None:
        """Until the link ends, or the worker is silent for too long."""
        while not listening.done():
            await asyncio.wait([listening], timeout=SILENCE / 4)
            if self._loop.time() - self._heard_at > SILENCE and not self._stopping.is_set():
                return f"was silent for {SILENCE:.0f} s and is killed"
        return None

    async def _end(self, process: asyncio.subprocess.Process, link: Link, listening: asyncio.Task[None]) -> None:
        self._link = self.pid = None
        if self._report is not None and not self._stopping.is_set():
            # When the pod stops the last report stays: its checkpoints are what the successor resumes from.
            self._ended = merged((self._ended, counts_only(self._report)))
            self._report = None
        link.close()
        # A link to a worker that hangs does not end by being closed: it waits until all that was said is read.
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        try:
            async with asyncio.timeout(_END_TIMEOUT if self._in_order else _CRASH_TIMEOUT):
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


async def _spawn() -> tuple[socket.socket, asyncio.subprocess.Process]:
    """Start a worker; the socket is this end of its line."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, str(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        except BaseException:
            ours.close()
            raise
    return ours, process


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
        return f"was ended by {name}"
    return f"ended with exit code {code}"
