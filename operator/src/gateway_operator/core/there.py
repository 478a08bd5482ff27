"""The instances that are there, found by the shards of their ranges."""

from collections.abc import Iterable
from dataclasses import dataclass

from .range_index import RangeIndex
from .world import InstanceSeen, PodSpec


@dataclass(frozen=True, slots=True)
class There:
    """Instances by epoch. Ask for it by `there_are`."""

    by_epoch: dict[int, RangeIndex[InstanceSeen]]

    def overlapping(self, pod: PodSpec) -> list[InstanceSeen]:
        """Those whose range overlaps the pod's, the youngest last."""
        index = self.by_epoch.get(pod.epoch)
        found = index.overlapping(pod.range.first_shard_id, pod.range.last_shard_id) if index is not None else []
        return sorted(found, key=lambda one: one.spec.number)


def there_are(instances: Iterable[InstanceSeen]) -> There:
    """An index of them."""
    epochs: dict[int, list[tuple[int, int, InstanceSeen]]] = {}
    for one in instances:
        held = one.spec.pod.range
        epochs.setdefault(one.spec.pod.epoch, []).append((held.first_shard_id, held.last_shard_id, one))
    return There({epoch: RangeIndex(things) for epoch, things in epochs.items()})
