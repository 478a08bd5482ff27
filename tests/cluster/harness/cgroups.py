"""One control group for each node: all of a node's processes are in it, and that is how a crash finds them.

Version 1 has one tree for each controller, version 2 a single one, where a group hands on only the controllers that it
enables for its children, and where a group other than the root may not do that while it has processes of its own.
"""

import contextlib
import errno
import functools
import os
import signal
from pathlib import Path

from .waiting import wait_until

MOUNT = Path("/sys/fs/cgroup")
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified")
"""Also the trees without controllers: runc makes groups there as well."""
SYSTEM = "system"
"""The part of a node's group that holds containerd, kubelet and kube-proxy; pods are in `kubepods`, beside it."""


class NodeGroup:
    def __init__(self, name: str, mount: Path = MOUNT) -> None:
        self.name = name
        self._mount = mount
        self._unified = (mount / "cgroup.controllers").exists()

    @property
    def trees(self) -> list[Path]:
        if self._unified:
            return [self._mount / self.name]
        return [
            self._mount / controller / self.name for controller in V1_CONTROLLERS if (self._mount / controller).is_dir()
        ]

    @property
    def system(self) -> Path:
        """Where a node's daemons are put. In version 1 the tree of `pids` is enough to find them by."""
        return (self._mount / self.name if self._unified else self._mount / "pids" / self.name) / SYSTEM

    def make(self) -> None:
        if self._unified:
            hand_on_controllers(self._mount)
        for tree in self.trees:
            tree.mkdir(exist_ok=True)
            if (tree.parent / "cpuset.cpus").exists() and not self._unified:
                for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then it takes no process
                    (tree / file).write_text((tree.parent / file).read_text())
        self.system.mkdir(exist_ok=True)

    def pids(self) -> set[int]:
        tree = self.system.parent
        found: set[int] = set()
        for file in tree.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # groups go while they are looked at
                found.update(int(pid) for pid in file.read_text().split())
        return found

    def kill(self) -> None:
        """All at once, as by power failure; again, until none is left that the others started meanwhile."""
        wait_until(self._killed, f"the processes of {self.name} to be gone", within_s=20, every_s=0.05)

    def _killed(self) -> bool:
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    def remove(self) -> None:
        for tree in self.trees:
            for folder, _, _ in os.walk(tree, topdown=False):
                empty = functools.partial(_removed, Path(folder))
                with contextlib.suppress(FileNotFoundError):
                    wait_until(empty, f"{folder} to be empty", within_s=30, every_s=0.05)


def _removed(group: Path) -> bool:
    """A group can be removed only a moment after its last process has gone."""
    try:
        group.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def hand_on_controllers(root: Path) -> None:
    """Enable for children of `root` all controllers that it has, moving its own processes out of the way if need be.

    A machine's real root group may keep its processes. What a container sees as root is another group's child and may
    not; its processes go into `init` then, as in kind's nodes.
    """
    wanted = " ".join(f"+{controller}" for controller in (root / "cgroup.controllers").read_text().split())
    try:
        (root / "cgroup.subtree_control").write_text(wanted)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        refuge = root / "init"
        refuge.mkdir(exist_ok=True)
        for pid in (root / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (refuge / "cgroup.procs").write_text(pid)
        (root / "cgroup.subtree_control").write_text(wanted)
