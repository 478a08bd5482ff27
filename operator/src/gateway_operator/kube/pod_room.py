"""How much memory, CPU and disk a shard pod asks its node for, in bytes and cores, by what its manifest allows it."""

import math

from gateway_operator.core.world import PodSpec
from gateway_operator.model import Spec

MIB = 2**20

_BASE_MEMORY = 60 * MIB
_WORKER_MEMORY = 40 * MIB
"""docs/benchmarks.md, Memory: a pod stays below its queue + 60 + 40 a worker; 75 of 100 when it is idle."""

_WORKER_CPU = 0.05
"""Cores: some 300 events a second at the 150 µs of CPU that are the goal for one (docs/benchmarks.md)."""

_SMALLEST_STORE = MIB
"""A shard's file may grow so far whatever the manifest allows (shardpod.spool.space.MIN_BYTES)."""

_MARGIN = 1.2
"""A write-ahead log may outgrow its share while a large transaction is written, and files take whole blocks."""

TMP = 16 * MIB
_LOGS = 64 * MIB
"""What the kubelet keeps of a container's output counts as well: 5 files of 10Mi (KubeletConfiguration defaults)."""


def workers(spec: Spec, pod: PodSpec) -> int:
    """How many worker processes the pod runs (shardpod.pod.assembly)."""
    wanted = math.ceil(len(pod.shards) / spec.sharding.shards_per_worker)
    return min(wanted, spec.sharding.max_workers or wanted)


def scratch_bytes(spec: Spec, pod: PodSpec) -> int:
    """The scratch directory's bound: one file a shard, with the spool, the dead letters and the checkpoint.

    All three share `spool.maxBytes` (shardpod.spool.space.PageLimits), so that nothing is to be added for the two.
    """
    return _whole_mib(_MARGIN * max(spec.delivery.queue.spool.max_bytes, len(pod.shards) * _SMALLEST_STORE))


def requests(spec: Spec, pod: PodSpec) -> dict[str, str]:
    """What the scheduler finds room for."""
    memory = spec.delivery.queue.max_bytes + _BASE_MEMORY + workers(spec, pod) * _WORKER_MEMORY
    return {
        "cpu": f"{math.ceil(workers(spec, pod) * _WORKER_CPU * 1000)}m",
        "memory": quantity(_whole_mib(memory)),
        "ephemeral-storage": _disk(spec, pod),
    }


def limits(spec: Spec, pod: PodSpec) -> dict[str, str]:
    """The disk's alone: a full one would be felt by every pod of the node.

    Memory has none. The queue, which is what grows, is bounded by `queue.maxBytes` already, while the burst of guilds
    after an identify depends on the bot: a limit that is a little too low would kill the pod in just that moment,
    again and again, and each time spend identifies. CPU has none, as throttling shows as missed heartbeats. Who wants
    limits sets them in spec.template.
    """
    return {"ephemeral-storage": _disk(spec, pod)}


def quantity(size: int) -> str:
    """Whole MiB as Kubernetes writes them."""
    return f"{size // MIB}Mi"


def _disk(spec: Spec, pod: PodSpec) -> str:
    return quantity(scratch_bytes(spec, pod) + TMP + _LOGS)


def _whole_mib(size: float) -> int:
    return math.ceil(size / MIB) * MIB
