"""Kubernetes, etcd, Helm, CoreDNS and the pause process, compiled from their Go modules.

Each part is locked by its `go.mod` and `go.sum` below `go/`, and cached under a hash of them: a build that was cut off
goes on with the part it was in, and what the Go tool had compiled of that is in Go's own cache.

`k8s.io/kubernetes` requires its staging modules at v0.0.0 and replaces them by relative paths, which others ignore; so
our `go.mod` maps each of them to its published tag. Each part has a `go.mod` of its own, because the versions of their
dependencies must not mix; but Helm and CoreDNS are held to this version of Kubernetes' client, compiled once for all.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import golang, places, versions
from .work import Work, whole_or_nothing

SOURCES = places.HERE / "go"
FLAGS = ["-trimpath", "-buildvcs=false", "-mod=readonly"]
STRIPPED = "-s -w"


@dataclass(frozen=True)
class Part:
    name: str
    """Its folder below `go/`."""
    version: str
    programs: dict[str, str]
    """Package by program."""
    stamps: tuple[str, ...] = ()
    """What the linker puts in. Without it Kubernetes reports v0.0.0-master, which charts' `kubeVersion` refuses."""

    @property
    def target(self) -> Path:
        digest = hashlib.sha256("\n".join([*self.programs.values(), *self.stamps]).encode())
        for file in sorted((SOURCES / self.name).iterdir()):
            digest.update(file.read_bytes())
        return places.CACHE / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    def build(self, go: str, work: Work) -> None:
        flags = " ".join([STRIPPED, *(f"-X {stamp}" for stamp in self.stamps)])
        what = f"compiling {self.name} {self.version}: {' '.join(self.programs)}"
        with work.step(what), whole_or_nothing(self.target) as scratch:
            shutil.copytree(SOURCES / self.name, scratch / "source")
            # One command for all, so that one program is compiled while another is linked. Into a folder they go under
            # the names of their packages, which is wrong for etcd.
            output = scratch if len(self.programs) > 1 else scratch / next(iter(self.programs))
            build: list[str | Path] = [go, "build", *FLAGS, "-ldflags", flags, "-o", output, *self.programs.values()]
            work.run(build, cwd=scratch / "source", env={"CGO_ENABLED": "0", "GOFLAGS": ""})


def _kubernetes_stamps() -> tuple[str, ...]:
    major, minor, _ = versions.KUBERNETES.removeprefix("v").split(".")
    values = {"gitVersion": versions.KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"{package}.{name}={value}" for package in packages for name, value in values.items())


KUBERNETES_PROGRAMS = (
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
KUBERNETES = Part(
    "kubernetes",
    versions.KUBERNETES,
    {program: f"k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS},
    _kubernetes_stamps(),
)
KUBECTL = Part("kubernetes", versions.KUBERNETES, {"kubectl": "k8s.io/kubernetes/cmd/kubectl"}, _kubernetes_stamps())
"""kubectl alone: for a cluster of the user's on a machine without it."""
HELM = Part(
    "helm",
    versions.HELM,
    {"helm": "helm.sh/helm/v3/cmd/helm"},
    (f"helm.sh/helm/v3/internal/version.version={versions.HELM}",),
)
ETCD = Part("etcd", versions.ETCD, {"etcd": "go.etcd.io/etcd/server/v3"})
COREDNS = Part("coredns", versions.COREDNS, {"coredns": "."})
PAUSE = Part("pause", "1", {"pause": "."})


class Binaries:
    """Paths of programs in the cache, by name."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self._paths = {program: part.target / program for part in parts for program in part.programs}

    def __getitem__(self, program: str) -> str:
        return str(self._paths[program])

    def items(self) -> list[tuple[str, Path]]:
        return sorted(self._paths.items())

    def folders(self) -> list[str]:
        return sorted({str(path.parent) for path in self._paths.values()})


ALL = (PAUSE, KUBERNETES, ETCD, COREDNS, HELM)


def provide(work: Work, parts: tuple[Part, ...] = ALL) -> Binaries:
    """The programs of `parts`; compiles what the cache does not have (cold: some fifteen minutes on two cores)."""
    missing = [part for part in parts if not part.target.exists()]
    if missing:
        go = golang.find_go(work)
        for part in missing:
            part.build(go, work)
    return Binaries(parts)
