"""Cuts a shard set into the ranges that shard pods hold: the layout."""

from shardpod.contract import ShardRange


def cut_into_ranges(*, first_shard_id: int, last_shard_id: int, shards_per_pod: int) -> tuple[ShardRange, ...]:
    """As few ranges as `shards_per_pod` allows, in order, from `first_shard_id` to `last_shard_id`, both inclusive.

    Their sizes differ by one at most, the larger ones first: 17 shards at 16 a pod are 9 and 8, not 16 and 1, so
    that pods with equal resources carry equal loads and losing any one costs the least. Filling pods up would keep
    ranges stable when a set grows, which never happens: another number of shards is another set.
    """
    if not 0 <= first_shard_id <= last_shard_id or shards_per_pod < 1:
        raise ValueError(f"no shards to cut: {first_shard_id}..{last_shard_id}, {shards_per_pod} a pod")
    shards = last_shard_id - first_shard_id + 1
    pods = -(-shards // shards_per_pod)
    smaller, larger_pods = divmod(shards, pods)
    ranges = []
    start = first_shard_id
    for pod in range(pods):
        size = smaller + (pod < larger_pods)
        ranges.append(ShardRange(first_shard_id=start, last_shard_id=start + size - 1))
        start += size
    return tuple(ranges)
