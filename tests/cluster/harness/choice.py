"""Which cluster the tests run on."""

import os
from pathlib import Path

from . import places
from .debian import why_not_here
from .own_cluster import OwnCluster
from .user_cluster import LOAD_COMMAND, UserCluster
from .work import SetUpError, Work

HOW_TO_RUN = (
    "run them as root on a Debian or Ubuntu machine, where they start a cluster of their own, or set KUBECONFIG to a "
    f"cluster of yours and {LOAD_COMMAND} to the command that gives it an image"
)


def users_kubeconfig() -> Path | None:
    """The user's own, if there is one: not what `make cluster` printed."""
    named = os.environ.get("KUBECONFIG")
    ours = places.RUN / "admin.kubeconfig"
    return Path(named) if named and Path(named).resolve() != ours.resolve() else None


def why_none() -> str | None:
    """In one line why there is none, and how the tests are run; None if they can run."""
    if users_kubeconfig():
        return None
    reason = why_not_here()
    return reason and f"no Kubernetes cluster: {reason}; {HOW_TO_RUN}"


def provide(work: Work) -> tuple[OwnCluster | UserCluster, bool]:
    """The user's, or the one that `make cluster` left up, or a new one; and whether the caller has to take it down.

    To be asked only if nothing is said by `why_none`.
    """
    if kubeconfig := users_kubeconfig():
        if not kubeconfig.exists():
            raise SetUpError(f"KUBECONFIG names {kubeconfig}, which does not exist")
        return UserCluster(kubeconfig, work), False
    if running := OwnCluster.attach(work):
        work.say("using the cluster that `make cluster` left up")
        return running, False
    return OwnCluster.up(work), True
