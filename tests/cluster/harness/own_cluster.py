"""The cluster that the harness makes: real Kubernetes on network namespaces of this machine."""

import dataclasses
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import binaries, debian, images, network, node, places, record
from .control_plane import NAMES, ControlPlane, write_credentials
from .kubectl import Client
from .node import Node
from .pki import Pki
from .processes import Daemons
from .waiting import wait_until
from .work import SetUpError, Work

NODES_READY_WITHIN_S = 120.0


class OwnCluster(Client):
    """`up` makes one, `attach` finds the one that runs. Its faults are in `faults.py`."""

    def __init__(self, programs: binaries.Binaries, numbers: Iterable[int]) -> None:
        run = places.RUN
        super().__init__(kubectl=programs["kubectl"], helm=programs["helm"], kubeconfig=run / "admin.kubeconfig")
        self.programs = programs
        self.daemons = Daemons(run / "processes", run / "log")
        self.control_plane = ControlPlane(run, programs, self.daemons, self)
        self.machines = {f"n{number}": Node(number, run, programs, self.daemons) for number in numbers}

    @classmethod
    def up(cls, work: Work, nodes: int = 3, *, keep: bool = False) -> "OwnCluster":
        """A cluster with all nodes Ready; `keep` leaves it to `down` from another process.

        Raises SetUpError: also if one runs already, unless whoever was to take that one down is gone.
        """
        with record.one_at_a_time(work):
            debian.install_missing(work)
            _clear_the_way(work)
            programs = binaries.provide(work)
            pause, python = images.pause_image(work, Path(programs["pause"])), images.python_image(work)
            with work.step(f"starting a cluster of {nodes} nodes"):
                cluster = cls(programs, range(1, nodes + 1))
                try:
                    cluster._start([pause, python], keep=keep)
                except BaseException as failed:
                    failed.add_note(f"the logs are in {_save_logs()}")
                    take_down()
                    raise
        return cluster

    @staticmethod
    def prepare(work: Work) -> None:
        """All that takes long, without a cluster: `up` then finds it in the cache, and waits if this is still at it."""
        with record.one_at_a_time(work):
            debian.install_missing(work)
            programs = binaries.provide(work)
            images.pause_image(work, Path(programs["pause"]))
            images.python_image(work)
        images.project_image(work)

    @classmethod
    def attach(cls, work: Work) -> "OwnCluster | None":
        """The cluster that `make cluster` left running, if there is one."""
        found = record.read()
        if found is None or not found.ready or found.owner is not None or not _runs():
            return None
        return cls(binaries.provide(work), found.nodes)

    def load_image(self, tar: Path) -> None:
        """Every node takes the image."""
        self._at_all_nodes(lambda each: each.load_image(tar))

    def down(self, work: Work) -> None:
        with record.one_at_a_time(work), work.step("taking the cluster down"):
            take_down()

    def _start(self, tars: list[Path], *, keep: bool) -> None:
        forwarded = network.FORWARDING.read_text().strip() == "1"
        numbers = [each.number for each in self.machines.values()]
        # While it is being set up it belongs to this process, whoever takes it down later.
        starting = record.Record(numbers, forwarded, record.me())
        places.RUN.mkdir(parents=True, mode=0o711)
        record.write(starting)
        (places.RUN / "bin").mkdir()
        for name, path in self.programs.items():
            (places.RUN / "bin" / name).symlink_to(path)
        network.make_bridge()
        pki = Pki(places.RUN / "pki")
        write_credentials(places.RUN, pki)
        for each in self.machines.values():
            each.prepare(pki)

        def start_runtime(each: Node) -> None:
            each.start_runtime()
            for tar in tars:
                each.load_image(tar)

        with ThreadPoolExecutor(len(self.machines)) as pool:
            # Containerd takes its images while the API server starts.
            runtimes = [pool.submit(start_runtime, each) for each in self.machines.values()]
            self.control_plane.start(pki)
            for runtime in runtimes:
                runtime.result()
        self._at_all_nodes(Node.start_kubelet)
        names = set(self.machines)
        wait_until(lambda: self.nodes() == dict.fromkeys(names, True), "all nodes to be Ready", NODES_READY_WITHIN_S)
        record.write(dataclasses.replace(starting, ready=True, owner=None if keep else starting.owner))

    def _at_all_nodes(self, do: Callable[[Node], None]) -> None:
        with ThreadPoolExecutor(len(self.machines)) as pool:
            list(pool.map(do, self.machines.values()))


def take_down() -> None:
    """Everything of the recorded cluster, whatever state it is in; nothing if there is none."""
    found = record.read()
    if found is None:
        _throw_away(places.RUN)
        return
    daemons = Daemons(places.RUN / "processes", places.RUN / "log")
    for name in NAMES:
        daemons.kill(name)
    with ThreadPoolExecutor(max(1, len(found.nodes))) as pool:
        nodes = [Node(number, places.RUN, binaries.Binaries(()), daemons) for number in found.nodes]
        list(pool.map(Node.crash, nodes))
    for name in daemons.names():
        daemons.kill(name)
    network.remove_bridge(forwarded=found.forwarded)
    node.remove_shared_folders()
    _throw_away(places.RUN)


def _throw_away(folder: Path) -> None:
    """Unpacked images are tens of thousands of files: moved aside at once, deleted while nobody waits.

    Also what earlier deletions, cut off, have left.
    """
    aside = folder.with_suffix(".deleted")
    if folder.exists():
        folder.rename(f"{aside}-{time.time_ns()}")
    rest = [str(path) for path in aside.parent.glob(f"{aside.name}-*")]
    if rest:
        subprocess.run(["sh", "-c", 'setsid nice rm -rf "$@" </dev/null >/dev/null 2>&1 &', "sh", *rest], check=True)


def _save_logs() -> Path:
    kept = places.CACHE / "last-failed-logs"
    shutil.rmtree(kept, ignore_errors=True)
    if (places.RUN / "log").exists():
        shutil.copytree(places.RUN / "log", kept)
    return kept


def _clear_the_way(work: Work) -> None:
    found = record.read()
    if found is not None:
        if found.orphaned or not _runs():
            with work.step("taking down what an aborted run left"):
                take_down()
        else:
            whose = f"process {found.owner[0]}" if found.owner else "`make cluster`; `make cluster-down` takes it down"
            raise SetUpError(f"a test cluster runs already, started by {whose}. There can be one on a machine")
    network.refuse_what_is_taken()
    node.refuse_a_machine_that_is_a_node()


def _runs() -> bool:
    """Its store tells: API server and nodes may be away on purpose."""
    return Daemons(places.RUN / "processes", places.RUN / "log").alive("etcd")
