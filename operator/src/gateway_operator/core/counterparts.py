"""Who of the other shard set receives events of the same guilds: whom an instance asks what it received."""

import math
from collections.abc import Iterable, Mapping

from shardpod.contract import Peer

from .range_index import RangeIndex
from .world import InstanceSeen, PodSpec, Reshard, ShardSet


def counterparts(
    active: ShardSet, reshard: Reshard | None, there: Iterable[InstanceSeen]
) -> Mapping[str, tuple[Peer, ...]]:
    """By the name of an instance; nobody has any without a reshard, and nobody is one without an address.

    Guilds of shard s may be in shard p of the other set iff both leave the same rest by the greatest common divisor.
    """
    if reshard is None:
        return {}
    modulus = math.gcd(active.shard_count, reshard.pending.shard_count)
    other = {active.epoch: reshard.pending.epoch, reshard.pending.epoch: active.epoch}
    instances = [one for one in there if one.spec.pod.epoch in other]
    peers: dict[int, list[tuple[int, int, tuple[int, Peer]]]] = {epoch: [] for epoch in other}
    for one in instances:
        if (peer := _peer(one)) is not None:
            numbered = (one.spec.number, peer)
            peers[one.spec.pod.epoch] += [(first, last, numbered) for first, last in _rests(one.spec.pod, modulus)]
    indices = {epoch: RangeIndex(found) for epoch, found in peers.items()}
    made: dict[tuple[int, tuple[tuple[int, int], ...]], tuple[Peer, ...]] = {}
    result = {}
    for one in instances:
        key = other[one.spec.pod.epoch], _rests(one.spec.pod, modulus)
        if key not in made:
            # Many instances have the same: with few common divisors each has all of the other set.
            found = {number: peer for rests in key[1] for number, peer in indices[key[0]].overlapping(*rests)}
            made[key] = tuple(peer for _number, peer in sorted(found.items()))
        result[one.spec.name] = made[key]
    return result


def _rests(pod: PodSpec, modulus: int) -> tuple[tuple[int, int], ...]:
    """The rests by the modulus that its shards leave, as ranges: they go round once at most."""
    if len(pod.shards) >= modulus:
        return ((0, modulus - 1),)
    first, last = pod.range.first_shard_id % modulus, pod.range.last_shard_id % modulus
    return ((first, last),) if first <= last else ((0, last), (first, modulus - 1))


def _peer(seen: InstanceSeen) -> Peer | None:
    if not seen.running or not seen.connected or seen.observed is None or seen.observed.http_address is None:
        return None
    return Peer(
        pod=seen.spec.pod.name,
        instance=seen.spec.name,
        address=seen.observed.http_address,
        range=seen.spec.pod.range,
    )
