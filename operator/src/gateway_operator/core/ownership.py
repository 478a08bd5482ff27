"""The table of who delivers which guilds, as an instance of each epoch is told it."""

from shardpod.contract import Ownership, ShardRange

from .world import Reshard, ShardSet


def ownership(epoch: int, shard_count: int, active: ShardSet, reshard: Reshard | None) -> Ownership:
    """Without a reshard the active set delivers everything, and an instance of any other set nothing.

    That is said by the table of the reshard that has ended: all of a set that was drained is handed over, and of a
    pending set that was given up, nothing.
    """
    if reshard is not None and epoch in (active.epoch, reshard.pending.epoch):
        return _table(
            active.epoch, active.shard_count, reshard.pending.epoch, reshard.pending.shard_count, reshard.handed
        )
    if epoch < active.epoch:
        everything = ShardRange(first_shard_id=0, last_shard_id=active.shard_count - 1)
        return _table(epoch, shard_count, active.epoch, active.shard_count, (everything,))
    if epoch > active.epoch:
        return _table(active.epoch, active.shard_count, epoch, shard_count, ())
    return Ownership(active_epoch=active.epoch, active_shard_count=active.shard_count)


def _table(
    active_epoch: int, active_count: int, pending_epoch: int, pending_count: int, handed: tuple[ShardRange, ...]
) -> Ownership:
    return Ownership(
        active_epoch=active_epoch,
        active_shard_count=active_count,
        pending_epoch=pending_epoch,
        pending_shard_count=pending_count,
        handed=handed,
    )
