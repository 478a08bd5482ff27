"""Pods on a machine that does not exist: the real `Pod` and `Workers`, in processes that can be killed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random

import shardpod.handover.part as part_module
import shardpod.handover.taker as taker_module
import shardpod.pod.pod as pod_module
import shardpod.pod.workers as workers_module
import shardpod.worker.signs_of_life as signs_module
import shardpod.worker.worker as worker_module
from gateway_operator.core.world import InstanceSpec
from gateway_operator.local.pods import PodProcess
from shardpod.pod.config import PodConfig
from shardpod.pod.control_addresses import Replica
from shardpod.pod.control_client import ControlClient
from shardpod.pod.pod import Pod

from .disk import DiskSpooler, Store
from .network import Wire, tear_all_of
from .virtual_loop import Process, this_process
from .workers import SimulatedWorker, Surroundings, workers_of

SIGN_EVERY = 0.1


class SimulatedControl(ControlClient):
    """Dials over the network of this world, in which the operator's name is one replica."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named, resolve=_as_it_is)

    def _dial(self, replica: Replica) -> Wire:
        return Wire(SimulatedWorker.around.network)

    async def ask_lease(self, number: int, *, live: bool) -> float | None:
        """Noted for the checker as well."""
        asked_at, instance = asyncio.get_running_loop().time(), this_process().name
        lasts = await super().ask_lease(number, live=live)
        if lasts is not None:
            SimulatedWorker.around.leases.granted(number, instance, asked_at)
        return lasts


async def _as_it_is(address: str) -> list[Replica]:
    return [Replica(address)]


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
            pod=self.spec.pod.name,
            instance=self.spec.name,
            scratch=Path(scratch),
            termination_grace=30.0,
            control_addresses=("unix:/operator",),
            control_secret="c",
            token="t",
            ca_file=None,
            sink_authorization=None,
            http_host="",
            http_port=0,
            log_format=None,
            log_level="error",
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
                spec=one.spec,
                running=one.running,
                pid=1,
                problem=None,
                started_at=one.started_at,
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


def put_in_place() -> None:
    """From here on this process's pods are of this world."""
    pod_module.ControlClient = SimulatedControl
    pod_module.Peers = SimulatedPeers
    pod_module.HttpEndpoints = NoHttp
    workers_module.WorkerProcess = SimulatedWorker
    worker_module.Spooler = DiskSpooler
    # The windows of these worlds are a tenth of the manifest's defaults, and this follows from none of them.
    part_module.SIGN_EVERY = taker_module.SIGN_EVERY = SIGN_EVERY
    signs_module.PAUSE, signs_module.PATIENCE = 0.06, 0.2
