"""Pods on a machine that does not exist: the real `Pod`, `Workers` and `Worker`, in processes that can be killed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random

import shardpod.pod.pod as pod_module
import shardpod.pod.workers as workers_module
import shardpod.worker.handing as handing_module
import shardpod.worker.worker as worker_module
from gateway_operator.core.world import InstanceSpec
from gateway_operator.local.pods import PodProcess
from shardpod.pod.config import PodConfig
from shardpod.pod.control_client import ControlClient
from shardpod.pod.pod import Pod
from shardpod.worker.permits import Granted, Wait
from shardpod.worker.link import LinkClosedError
from shardpod.worker.messages import AskPeer, AskPermit, Lease, Neighbours, PermitUsed, decode, encode
from shardpod.worker.report import WorkerReport, counts_only, merged
from shardpod.worker.worker import Worker

from .bot import Bot, Sink
from .discord import Discord
from .disk import DiskSpooler, Store
from .network import Network, Wire, tear_all_of
from .virtual_loop import Process, this_process

LINE = 0.0005
"""Seconds that a message between a pod and its worker takes."""
REPORT_INTERVAL, HURRIED = 0.5, 0.05
START = 0.05
RESTART = 0.2


class Surroundings:
    """What pods are put into."""

    def __init__(self, random: Random, discord: Discord, bot: Bot, network: Network) -> None:
        self.random = random
        self.discord = discord
        self.bot = bot
        self.network = network


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
        self._stopping = False
        self._hurry = asyncio.Event()
        workers_of(self._pod).append(self)

    @property
    def report(self) -> WorkerReport:
        return self._ended if self._report is None else merged((self._ended, self._report))

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
            self._report = report
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
            self._report = None
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
                self._report = await done
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


_workers: dict[Process, list[SimulatedWorker]] = {}


def workers_of(process: Process) -> list[SimulatedWorker]:
    return _workers.setdefault(process, [])


class SimulatedControl(ControlClient):
    """Dials over the network of this world."""

    def _dial(self, address: str) -> Wire:
        return Wire(SimulatedWorker.around.network)


class SimulatedPeers:
    def __init__(self, secret: str) -> None:
        self._process = this_process()

    async def ask(self, address, request):
        return await SimulatedWorker.around.network.ask(self._process, address, request)

    async def close(self) -> None:
        pass


class NoHttp:
    """The pod's HTTP server; its address is the instance's name."""

    def __init__(self, *arguments, **named) -> None:
        self.address = this_process().name

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Instance:
    """One instance over all its processes. `disk` outlives them."""

    def __init__(self, spec: InstanceSpec, around: Surroundings) -> None:
        self.spec = spec
        self.disk: dict[int, Store] = {}
        self.process: Process | None = None
        self.pod: Pod | None = None
        self.started_at = 0.0
        self.not_before = 0.0
        self.keeps_running = True
        self.ends: asyncio.Task | None = None
        self._around = around

    @property
    def running(self) -> bool:
        return self.process is not None and not self.process.dead

    @property
    def workers(self) -> list[SimulatedWorker]:
        return [] if self.process is None else workers_of(self.process)

    def start(self) -> None:
        spec = self.spec
        self.process = Process(spec.name)
        self.started_at = asyncio.get_running_loop().time()
        self.process.run(self._start)

    def _start(self) -> None:
        scratch = f"/{self.spec.name}"
        DiskSpooler.disks[scratch] = self.disk
        config = PodConfig(
            pod=self.spec.pod.name, instance=self.spec.name, scratch=Path(scratch), termination_grace=30.0,
            control_addresses=("ws://operator",), control_secret="c", token="t", ca_file=None, sink_authorization=None,
            http_host="", http_port=0, log_format=None, log_level="error",
        )
        self.pod = Pod(config, Random(self._around.random.random()))
        self._around.network.pods[self.spec.name] = (self.process, self.pod)
        asyncio.get_running_loop().create_task(self._run(self.process, self.pod))

    async def _run(self, process: Process, pod: Pod) -> None:
        await pod.run()
        process.soon(0.0, self.kill)

    def stop(self) -> None:
        if self.running:
            self.process.soon(0.0, self.pod.stop)

    def kill(self) -> None:
        """The process and its workers are gone, their connections break."""
        process = self.process
        if process is None or process.dead:
            return
        lines = [line for line in self._around.discord._lines if line.open]
        mine = {process, *process.children}
        loop = asyncio.get_running_loop()
        for line in lines:
            if line.process in mine:
                line.hang_up()
        loop.call_soon(tear_all_of, self._around.network, process)
        process.kill()


class Pods:
    """The operator's adapter: instances are started, and started again, until they are removed."""

    def __init__(self, around: Surroundings) -> None:
        self.instances: dict[str, Instance] = {}
        self._around = around
        self.restart_after = 0.3

    async def observe(self) -> Mapping[str, PodProcess]:
        return {
            name: PodProcess(
                spec=one.spec, running=one.running, pid=1, problem=None, started_at=one.started_at,
                scratch=frozenset(shard_id for shard_id, store in one.disk.items()),
            )
            for name, one in self.instances.items()
        }

    async def apply(self, spec: InstanceSpec) -> None:
        one = self.instances.get(spec.name)
        if one is None:
            one = self.instances[spec.name] = Instance(spec, self._around)
        now = asyncio.get_running_loop().time()
        if not one.running and now >= one.not_before:
            one.spec = spec
            one.not_before = now + self.restart_after
            Process("starter").run(one.start)

    async def stop(self, name: str) -> None:
        if name in self.instances:
            self.instances[name].stop()

    async def remove(self, name: str) -> None:
        await self.stop(name)
        if name in self.instances and not self.instances[name].running:
            del self.instances[name]

    def living(self, epoch: int) -> list[Instance]:
        return [one for one in self.instances.values() if one.spec.pod.epoch == epoch and one.running]


class VirtualTime:
    """In the place of the module `time`, for those who do not trust the loop's clock."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


def put_in_place() -> None:
    """From here on this process's pods are of this world."""
    handing_module.time = VirtualTime
    pod_module.ControlClient = SimulatedControl
    pod_module.Peers = SimulatedPeers
    pod_module.HttpEndpoints = NoHttp
    workers_module.WorkerProcess = SimulatedWorker
    worker_module.Spooler = DiskSpooler
