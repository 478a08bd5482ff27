"""What a person wants to see of a namespace when a test failed."""

from .kubectl import Client

LOG_LINES = 60


def of_namespace(cluster: Client, namespace: str) -> str:
    """All resources and events, and the end of each container's log, also of the one before a restart."""
    parts = [_shown(cluster, namespace, "get", "all,events,pvc,configmaps", "-o", "wide")]
    pods = _shown(cluster, namespace, "get", "pods", "-o", "name").split()
    for pod in pods:
        tail = ("logs", pod, "--all-containers", "--prefix", f"--tail={LOG_LINES}")
        parts += [f"--- {pod}", _shown(cluster, namespace, *tail)]
        before = _shown(cluster, namespace, *tail, "--previous")
        if before:
            parts += [f"--- {pod}, before it was started again", before]
    return "\n".join(parts)


def _shown(cluster: Client, namespace: str, *words: str) -> str:
    return cluster.kubectl(*words, namespace=namespace, check=False, timeout_s=15)
