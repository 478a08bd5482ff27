"""Which shards of one set may have the guilds of a shard of the other: held against guilds themselves."""

from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.counterparts import counterparts
from gateway_operator.core.range_index import RangeIndex
from gateway_operator.core.ranges import cut_into_ranges
from gateway_operator.core.reshard_concern import concern
from gateway_operator.core.world import InstanceSeen, InstanceSpec, PodSpec, Reshard, ReshardPhase, ShardSet
from shardpod.contract import Observed, ShardRange

counts = st.integers(1, 24)


def shard_set(epoch: int, shard_count: int, shards_per_pod: int) -> ShardSet:
    cut = cut_into_ranges(first_shard_id=0, last_shard_id=shard_count - 1, shards_per_pod=shards_per_pod)
    return ShardSet(epoch, shard_count, cut)


def pods(one: ShardSet) -> list[PodSpec]:
    return [PodSpec(f"e{one.epoch}-{cut.first_shard_id}", one.epoch, cut) for cut in one.ranges]


@given(counts, counts, st.data())
def test_a_shard_is_concerned_if_and_only_if_a_guild_may_be_in_it_and_in_the_range(active, pending, data):
    first = data.draw(st.integers(0, pending - 1))
    last = data.draw(st.integers(first, pending - 1))
    concerned = concern(
        ShardRange(first_shard_id=first, last_shard_id=last), shard_set(1, active, 3), shard_set(2, pending, 3)
    )

    keys = [key for key in range(active * pending) if first <= key % pending <= last]
    assert concerned.of(concerned.active) == {key % active for key in keys}
    assert concerned.of(concerned.pending) == set(range(first, last + 1))


@given(counts, counts, st.integers(1, 9), st.integers(1, 9))
def test_counterparts_are_those_with_whom_a_guild_may_be_shared(active, pending, per_pod, per_other_pod):
    sets = shard_set(1, active, per_pod), shard_set(2, pending, per_other_pod)
    there = [
        InstanceSeen(
            InstanceSpec(pod, number, ""),
            running=True,
            connected=True,
            observed=Observed(pod=pod.name, http_address=f"{number}:80"),
        )
        for number, pod in enumerate([*pods(sets[0]), *pods(sets[1])])
    ]
    reshard = Reshard(sets[1], ReshardPhase.WARMING, "", 0.0, 0.0)

    found = counterparts(sets[0], reshard, there)

    shared = {(key % active, key % pending) for key in range(active * pending)}
    for one in there:
        expected = [
            other.spec.name
            for other in there
            if any(
                (mine, theirs) in shared if one.spec.pod.epoch == 1 else (theirs, mine) in shared
                for mine in one.spec.pod.shards
                for theirs in other.spec.pod.shards
                if one.spec.pod.epoch != other.spec.pod.epoch
            )
        ]
        assert [peer.instance for peer in found[one.spec.name]] == expected


def test_without_a_reshard_and_without_an_address_nobody_is_a_counterpart():
    sets = shard_set(1, 2, 2), shard_set(2, 4, 4)
    there = [InstanceSeen(InstanceSpec(pod, pod.epoch, ""), running=True) for one in sets for pod in pods(one)]

    assert counterparts(sets[0], None, there) == {}
    found = counterparts(sets[0], Reshard(sets[1], ReshardPhase.WARMING, "", 0.0, 0.0), there)
    assert set(found.values()) == {()}


ranges = st.tuples(st.integers(0, 30), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(ranges), ranges)
def test_an_index_finds_what_overlaps(things, asked):
    index = RangeIndex([(first, last, number) for number, (first, last) in enumerate(things)])

    found = sorted(index.overlapping(*asked))

    assert found == [n for n, (first, last) in enumerate(things) if first <= asked[1] and last >= asked[0]]
