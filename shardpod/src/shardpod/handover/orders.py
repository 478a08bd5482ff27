"""What the operator says about ownership while two shard sets live, as plain values for the worker."""

from math import gcd

import msgspec

from .windows import Windows


class HandoverOrder(msgspec.Struct, frozen=True):
    """The range, in shards of the pending set, that is between two epochs. `go`: no longer only compared.

    `blind`: a giver's shard does not receive what it should, so that nothing can be compared.
    """

    number: int
    first: int
    last: int
    from_epoch: int
    to_epoch: int
    go: bool
    blind: bool = False

    def covers(self, pending_shard: int) -> bool:
        return self.first <= pending_shard <= self.last


class Orders(msgspec.Struct, frozen=True):
    """Both shard sets, and what of the pending one is handed over: ranges of its shards, both ends inclusive.

    `epoch` is the one that this worker belongs to.
    """

    epoch: int
    active_epoch: int
    active_count: int
    pending_epoch: int
    pending_count: int
    handed: tuple[tuple[int, int], ...] = ()
    windows: Windows = Windows()
    handover: HandoverOrder | None = None

    @property
    def is_pending(self) -> bool:
        return self.epoch == self.pending_epoch

    @property
    def shard_count(self) -> int:
        return self.pending_count if self.is_pending else self.active_count

    def is_ours(self, pending_shard: int) -> bool:
        """Whether this worker's epoch delivers what belongs there, when no handover is under way."""
        handed = any(first <= pending_shard <= last for first, last in self.handed)
        return handed is self.is_pending

    def concerns(self, shard_id: int, handover: HandoverOrder) -> bool:
        """Whether a session of this epoch may receive events of the range that is handed over."""
        if self.is_pending:
            return handover.covers(shard_id)
        common = gcd(self.active_count, self.pending_count)
        return any((shard - shard_id) % common == 0 for shard in range(handover.first, handover.last + 1))
