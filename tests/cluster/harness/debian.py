"""The programs that come as Debian packages, installed where they are missing."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .work import SetUpError, Work

PACKAGE_OF = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Package by program. Asked by program: Docker's own containerd serves as well as Debian's."""

POLICY = Path("/usr/sbin/policy-rc.d")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def why_not_here() -> str | None:
    """Why this machine cannot run the cluster, in one line; None if it can."""
    if sys.platform != "linux":
        return "nodes are network namespaces, which only Linux has"
    if os.geteuid() != 0:
        return "nodes are network namespaces and control groups, which only root can make"
    if missing_packages() and not shutil.which("apt-get"):
        return f"there is no apt-get to install {', '.join(missing_packages())}"
    return None


def missing_packages() -> list[str]:
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return sorted({package for program, package in PACKAGE_OF.items() if not shutil.which(program, path=path)})


def install_missing(work: Work) -> None:
    missing = missing_packages()
    if not missing:
        return
    with work.step(f"installing {' '.join(missing)}"), _no_service_starts():
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        work.run(["apt-get", "update", "-qq"], env=quiet)
        # --no-remove: never at the cost of something that is installed, such as Docker's containerd.
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "--no-remove"]
        work.run([*install, *missing], env=quiet)
    if still := missing_packages():
        raise SetUpError(f"apt-get installed {', '.join(still)}, and yet the programs are not there")


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian starts the services of what it installs unless this says no; the cluster starts its own containerds."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
