"""A pod's workers, each in a process of its own that can be killed: what runs in them is the real `Worker`."""

import asyncio
from random import Random

from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import AskPeer, AskPermit, Lease, Neighbours, PermitUsed, decode, encode
from shardpod.worker.permits import Granted, Wait
from shardpod.worker.report import WorkerReport, counts_only, merged
from shardpod.worker.worker import Worker

from .bot import Bot, Sink
from .discord import Discord
from .leases import Leases
from .network import Network
from .virtual_loop import Process, this_process

LINE = 0.0005
"""Seconds that a message between a pod and its worker takes."""
REPORT_INTERVAL, HURRIED = 0.5, 0.05
START = 0.05
RESTART = 0.2


class Surroundings:
    """What pods are put into. `leases`: all that they were granted."""

    def __init__(self, random: Random, discord: Discord, bot: Bot, network: Network, leases: Leases) -> None:
        self.random = random
        self.discord = discord
        self.bot = bot
        self.network = network
        self.leases = leases


class SimulatedWorker:
    """In the place of `shardpod.pod.worker_process.WorkerProcess`: the line and the process are of this world."""

    around: Surroundings

    def __init__(self, shard_ids, *, begin, handler, on_report, random) -> None:
        self.shard_ids = shard_ids
        self.restarts = 0
        self.problem = None
        self.process: Process | None = None
        self.worker: Worker | None = None
        self._begin = begin
        self._handler = handler
        self._on_report = on_report
        self._pod = this_process()
        self._report: WorkerReport | None = None
        self._ended = WorkerReport()
        self._all_told: WorkerReport | None = None
        self._stopping = False
        self._hurry = asyncio.Event()
        workers_of(self._pod).append(self)

    @property
    def report(self) -> WorkerReport:
        """What it and those before it say; put together once, as it is looked at far more often than it changes."""
        if self._all_told is None:
            self._all_told = self._ended if self._report is None else merged((self._ended, self._report))
        return self._all_told

    def _said(self, report: WorkerReport | None) -> None:
        self._report, self._all_told = report, None

    @property
    def running(self) -> bool:
        return self.process is not None and self._report is not None

    def start(self) -> None:
        self.process = Process(f"{self._pod.name}/{self.shard_ids[0]}", self._pod)
        message = encode(self._begin())
        self.process.soon(START, lambda: self._create(self._run(decode(message), self.process)))

    def _create(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._task = task

    async def _run(self, begin, process: Process) -> None:
        settings = begin.settings
        self._hurry = asyncio.Event()
        worker = Worker(
            settings,
            connector=self.around.discord,
            permits=self,
            sink=Sink(self.around.bot, settings.sink.epoch),
            random=Random(self.around.random.random()),
            ask_peer=self._ask_peer,
            neighbours=begin.neighbours,
            on_change=self._hurry.set,
            wall=asyncio.get_running_loop().time,
        )
        await worker.start()
        self.worker = worker
        self._pod.soon(LINE, self._begun, begin, worker.report(), process)
        while True:
            self._hurry.clear()
            try:
                async with asyncio.timeout(REPORT_INTERVAL):
                    await self._hurry.wait()
                await asyncio.sleep(HURRIED)
            except TimeoutError:
                pass
            self._pod.soon(LINE, self._took, worker.report(), process)

    def _begun(self, begin, report: WorkerReport, process: Process) -> None:
        self._took(report, process)
        if (neighbours := self._begin().neighbours) != begin.neighbours:
            self.tell(neighbours)

    def _took(self, report: WorkerReport, process: Process) -> None:
        if process is self.process and not process.dead:
            self._said(report)
            self.problem = None
            self._on_report()

    def kill(self) -> None:
        """From outside: its supervisor notices at once, and starts it again."""
        assert self.process is not None
        self.process.kill()
        self._pod.soon(LINE, self._died, self.process)

    def _died(self, process: Process) -> None:
        if process is not self.process or self._stopping:
            return
        self.process = self.worker = None
        if self._report is not None:
            self._ended = merged((self._ended, counts_only(self._report)))
            self._said(None)
        self.restarts += 1
        self.problem = "a worker died; it is started again"
        self._on_report()
        self._pod.soon(RESTART * self.around.random.uniform(0.25, 1.5), self.start)

    # What the pod says.

    def tell(self, message: Neighbours | Lease) -> None:
        if self.process is not None and self.worker is not None:
            self.process.soon(LINE, self._hear, encode(message))

    def _hear(self, message: bytes) -> None:
        told = decode(message)
        assert self.worker is not None
        if isinstance(told, Neighbours):
            self.worker.set_neighbours(told)
        else:
            self.worker.lease(told)

    async def call(self, message, *, timeout: float):  # noqa: ASYNC109 -- as it is called
        if not self.running or self.worker is None:
            raise LinkClosedError("the worker is being started")
        process, body = self.process, encode(message)
        future = asyncio.get_running_loop().create_future()
        process.soon(LINE, lambda: self._create(self._answer(body, future)))
        async with asyncio.timeout(timeout):
            while not future.done():
                if process.dead:
                    raise LinkClosedError("the worker died")
                await asyncio.wait([future], timeout=0.05)
        return decode(future.result())

    async def _answer(self, body: bytes, future: asyncio.Future) -> None:
        answer = encode(await self.worker.transfer(decode(body)))
        self._pod.soon(LINE, lambda: future.done() or future.set_result(answer))

    async def stop(self, *, drain_for: float) -> None:
        self._stopping = True
        process, worker = self.process, self.worker
        if process is None or process.dead:
            return
        if worker is not None:
            done = asyncio.get_running_loop().create_future()
            process.soon(LINE, lambda: self._create(self._stop(drain_for, done)))
            async with asyncio.timeout(drain_for + 10.0):
                self._said(await done)
        process.kill()

    async def _stop(self, drain_for: float, done: asyncio.Future) -> None:
        await self.worker.stop(drain_for=drain_for)
        report = self.worker.report()
        self._pod.soon(LINE, lambda: done.set_result(report))

    # shardpod.worker.Permits, and peers: by way of the pod.

    async def ask(self, shard_id: int, *, ready: bool) -> Granted | Wait:
        answer = await self._by_the_pod(AskPermit(shard_id, ready))
        if answer is None or answer.permit is None:
            return Wait(1.0, "away") if answer is None else Wait(answer.retry_in, answer.reason)
        return Granted(answer.permit, answer.expires_in)

    def identify_sent(self, shard_id: int, permit: int) -> None:
        self._pod.soon(LINE, lambda: self._create(self._handler(PermitUsed(shard_id, permit))))

    async def _ask_peer(self, request: AskPeer):
        answer = await self._by_the_pod(request)
        assert answer is not None
        return answer

    async def _by_the_pod(self, message):
        mine = this_process()
        future = asyncio.get_running_loop().create_future()

        async def handle() -> None:
            answer = await self._handler(message)
            mine.soon(LINE, lambda: future.done() or future.set_result(answer))

        self._pod.soon(LINE, lambda: self._create(handle()))
        return await future


started: dict[Process, list[SimulatedWorker]] = {}


def workers_of(process: Process) -> list[SimulatedWorker]:
    return started.setdefault(process, [])
