"""The instances that are there, found by the shards of their ranges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .range_index import RangeIndex
from .world import InstanceSeen, PodSpec


@dataclass(frozen=True, slots=True)
class There:
    """Instances by epoch. Ask for it by `there_are`. `found`: what was asked for already, by the pod's name."""

    by_epoch: dict[int, RangeIndex[InstanceSeen]]
    found: dict[str, Sequence[InstanceSeen]] = field(default_factory=dict)

    def overlapping(self, pod: PodSpec) -> Sequence[InstanceSeen]:
        """Those whose range overlaps the pod's, the youngest last."""
        if pod.name not in self.found:
            index = self.by_epoch.get(pod.epoch)
            found = index.overlapping(pod.range.first_shard_id, pod.range.last_shard_id) if index is not None else ()
            self.found[pod.name] = found if len(found) <= 1 else sorted(found, key=lambda one: one.spec.number)
        return self.found[pod.name]


def there_are(instances: Iterable[InstanceSeen]) -> There:
    """An index of them."""
    epochs: dict[int, list[tuple[int, int, InstanceSeen]]] = {}
    for one in instances:
        held = one.spec.pod.range
        epochs.setdefault(one.spec.pod.epoch, []).append((held.first_shard_id, held.last_shard_id, one))
    return There({epoch: RangeIndex(things) for epoch, things in epochs.items()})
