"""`make cluster` and `make cluster-down`: python -m harness up|down|image|prepare, in tests/cluster."""
# ruff: noqa: T201 - a command for people

import argparse
import sys

from . import choice, images, places, versions
from .debian import why_not_here
from .own_cluster import OwnCluster, take_down
from .record import one_at_a_time
from .work import SetUpError, Work


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m harness", description="A Kubernetes cluster on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a cluster and leave it up")
    up.add_argument("--nodes", type=int, default=3)
    commands.add_parser("down", help="take it down, or what is left of one")
    commands.add_parser("prepare", help="build what a cluster needs, where one can be made; nothing elsewhere")
    image = commands.add_parser("image", help="build the project's image and load it into the cluster")
    image.add_argument("--tag", default=versions.PROJECT_IMAGE)
    asked = parser.parse_args()
    if asked.command == "prepare" and (choice.users_kubeconfig() or why_not_here()):
        return 0
    if reason := why_not_here():
        print(f"cluster: not on this machine: {reason}", file=sys.stderr)
        return 2
    work = Work(places.CACHE / "setup.log")
    try:
        return {"up": _up, "down": _down, "image": _image, "prepare": _prepare}[asked.command](work, asked)
    except SetUpError as failed:
        print("\n".join([f"cluster: {failed}", *getattr(failed, "__notes__", [])]), file=sys.stderr)
        return 1


def _up(work: Work, asked: argparse.Namespace) -> int:
    cluster = OwnCluster.up(work, asked.nodes, keep=True)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    print(f"export PATH={places.RUN / 'bin'}:$PATH")
    return 0


def _down(work: Work, asked: argparse.Namespace) -> int:
    with one_at_a_time(work), work.step("taking the cluster down"):
        take_down()
    return 0


def _prepare(work: Work, asked: argparse.Namespace) -> int:
    OwnCluster.prepare(work)
    return 0


def _image(work: Work, asked: argparse.Namespace) -> int:
    tar = images.project_image(work, asked.tag)
    cluster = OwnCluster.attach(work)
    if cluster is None:
        print(f"cluster: no cluster runs to take {tar}; `make cluster` starts one", file=sys.stderr)
        return 1
    with work.step(f"loading {asked.tag}"):
        cluster.load_image(tar)
    return 0


if __name__ == "__main__":
    sys.exit(main())
