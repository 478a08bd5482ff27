"""One node: a network namespace with its own containerd, kubelet and kube-proxy, and a control group around them."""

import contextlib
import shutil
import subprocess
from pathlib import Path

from . import network, node_files
from .binaries import Binaries
from .cgroups import NodeGroup
from .control_plane import SERVER
from .debian import SYSTEM_PATH
from .pki import Pki
from .processes import Daemons, nsenter
from .waiting import GaveUpWaitingError, wait_until
from .work import SetUpError

CONTAINER_LINKS = Path("/var/log/containers")
"""Every kubelet puts links to its containers' logs here, whatever its other directories are."""

DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
"""And its end of these sockets here; the nodes take them from each other, which matters only to devices."""


def refuse_a_machine_that_is_a_node() -> None:
    if any(path != DEVICE_PLUGINS for path in DEVICE_PLUGINS.parent.glob("*")):
        raise SetUpError(f"this machine is a Kubernetes node itself: there is something in {DEVICE_PLUGINS.parent}")


def remove_shared_folders() -> None:
    shutil.rmtree(DEVICE_PLUGINS, ignore_errors=True)
    for folder in (DEVICE_PLUGINS.parent, CONTAINER_LINKS):
        with contextlib.suppress(OSError):  # not there, or another's files are in it
            folder.rmdir()


class Node:
    def __init__(self, number: int, run: Path, binaries: Binaries, daemons: Daemons) -> None:
        self.number = number
        self.name = f"n{number}"
        self._directory = run / self.name
        self._binaries = binaries
        self._daemons = daemons
        self._group = NodeGroup(network.namespace(number))
        self._socket = self._directory / "containerd.sock"

    def prepare(self, pki: Pki) -> None:
        """Its directory, with all that its programs are told."""
        directory = self._directory
        (directory / "cni").mkdir(parents=True)
        (directory / "resolv.conf").touch()  # pods that want the host's DNS get none
        pki.issue(self.name, f"system:node:{self.name}", "system:nodes", (self.name, network.node_ip(self.number)))
        pki.issue(f"{self.name}-proxy", "system:kube-proxy", "system")
        files = {
            "kubeconfig": pki.kubeconfig(self.name, SERVER),
            "proxy.kubeconfig": pki.kubeconfig(f"{self.name}-proxy", SERVER),
            "cni/10.conflist": node_files.cni(self.number, directory),
            "containerd.toml": node_files.containerd(directory),
            "proxy.yaml": node_files.kube_proxy(self.name, directory),
            "kubelet.yaml": node_files.kubelet(
                self._group.name,
                directory,
                authority=pki.certificate("ca"),
                certificate=pki.certificate(self.name),
                key=pki.key(self.name),
            ),
        }
        for name, text in files.items():
            (directory / name).write_text(text)

    def start_runtime(self) -> None:
        """Network and containerd: from here on it takes images."""
        network.add_node(self.number)
        self._group.make()
        self._start("containerd", "containerd", "--config", str(self._directory / "containerd.toml"))
        try:
            wait_until(self._runtime_answers, f"containerd of {self.name}", within_s=30)
        except GaveUpWaitingError as gave_up:
            tail = self._daemons.log_tail(f"{self.name}-containerd")
            raise SetUpError(f"{gave_up}; the end of its log:\n{tail}") from None

    def start_kubelet(self) -> None:
        """And kube-proxy; needs an API server that is ready."""
        directory = self._directory
        self._start(
            "kubelet",
            self._binaries["kubelet"],
            f"--config={directory / 'kubelet.yaml'}",
            f"--kubeconfig={directory / 'kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--root-dir={directory / 'kubelet'}",
            f"--cert-dir={directory / 'kubelet' / 'pki'}",
            f"--node-ip={network.node_ip(self.number)}",
        )
        self._start("proxy", self._binaries["kube-proxy"], f"--config={directory / 'proxy.yaml'}")

    def load_image(self, tar: Path) -> None:
        done = subprocess.run(
            self._ctr("images", "import", str(tar)), capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise SetUpError(f"{self.name} does not take image {tar}: {done.stderr.strip()}")
        self._forget_replaced_images()

    def _forget_replaced_images(self) -> None:
        """When a name goes to a newer image, the older is still held by its digest, for nobody; what runs, runs on."""
        listed = subprocess.run(
            self._ctr("images", "list"), capture_output=True, text=True, check=True, timeout=60
        ).stdout
        if replaced := replaced_images(listed):
            subprocess.run(self._ctr("images", "rm", *replaced), capture_output=True, check=False, timeout=60)

    def container_process(self, container_id: str) -> int:
        """Process id, as the host sees it, of the first process of a container."""
        tasks = subprocess.run(
            self._ctr("tasks", "list"), capture_output=True, text=True, check=True, timeout=30
        ).stdout
        for line in tasks.splitlines()[1:]:
            task, pid, _ = line.split(maxsplit=2)
            if task == container_id:
                return int(pid)
        raise LookupError(f"no container {container_id} runs on {self.name}:\n{tasks}")

    def crash(self) -> None:
        """As by power failure: everything of it is gone at once, but for its disk."""
        self._group.kill()
        for mount in _mounts_below(self._directory):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        network.remove_node(self.number)
        self._group.remove()
        for address in self._directory.glob("containerd/state/*/k8s.io/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
        # What is in /run on a real machine does not survive a power failure.
        shutil.rmtree(self._directory / "containerd" / "state", ignore_errors=True)
        shutil.rmtree(self._directory / "ipam", ignore_errors=True)
        for link in CONTAINER_LINKS.glob("*.log"):
            if link.is_symlink() and self._directory in link.readlink().parents:
                link.unlink()

    def _start(self, name: str, *command: str) -> None:
        path = ":".join([*self._binaries.folders(), SYSTEM_PATH])
        inside = nsenter(network.namespace(self.number), command)
        self._daemons.start(f"{self.name}-{name}", inside, path=path, cgroup=self._group.system)

    def _ctr(self, *words: str) -> list[str]:
        return ["ctr", "--address", str(self._socket), "--namespace", "k8s.io", *words]

    def _runtime_answers(self) -> bool:
        asked = ["ctr", "--address", str(self._socket), "version"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def replaced_images(listed: str) -> list[str]:
    """Of `ctr images list`, the references by digest alone to what no name refers to any more."""
    rows = [line.split()[:3] for line in listed.splitlines()[1:]]
    named = {digest for name, _, digest in rows if not name.startswith("sha256:")}
    return [name for name, _, digest in rows if name.startswith("sha256:") and digest not in named]


def _mounts_below(directory: Path) -> list[str]:
    """Innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((mount for mount in mounts if mount.startswith(f"{directory}/")), reverse=True)
