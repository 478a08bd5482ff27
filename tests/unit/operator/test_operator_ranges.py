"""How a shard set is cut into ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.core.ranges import cut_into_ranges


def cut(first: int, last: int, shards_per_pod: int) -> list[tuple[int, int]]:
    ranges = cut_into_ranges(first_shard_id=first, last_shard_id=last, shards_per_pod=shards_per_pod)
    return [(held.first_shard_id, held.last_shard_id) for held in ranges]


@pytest.mark.parametrize(
    ("first", "last", "shards_per_pod", "expected"),
    [
        (0, 0, 16, [(0, 0)]),
        (0, 15, 16, [(0, 15)]),
        (0, 31, 16, [(0, 15), (16, 31)]),
        (0, 16, 16, [(0, 8), (9, 16)]),
        (8, 23, 10, [(8, 15), (16, 23)]),
        (5, 7, 1, [(5, 5), (6, 6), (7, 7)]),
    ],
)
def test_sizes_are_even_and_both_ends_belong_to_a_range(first, last, shards_per_pod, expected):
    assert cut(first, last, shards_per_pod) == expected


@given(first=st.integers(0, 5000), more=st.integers(0, 3000), shards_per_pod=st.integers(1, 100))
def test_ranges_are_disjoint_complete_in_order_and_within_the_bound(first, more, shards_per_pod):
    ranges = cut(first, first + more, shards_per_pod)

    assert [shard for start, end in ranges for shard in range(start, end + 1)] == list(range(first, first + more + 1))
    sizes = [end - start + 1 for start, end in ranges]
    assert max(sizes) <= shards_per_pod
    assert max(sizes) - min(sizes) <= 1
    assert len(ranges) == -(-(more + 1) // shards_per_pod)


@pytest.mark.parametrize(("first", "last", "shards_per_pod"), [(1, 0, 16), (-1, 3, 16), (0, 3, 0)])
def test_nothing_to_cut_is_an_error(first, last, shards_per_pod):
    with pytest.raises(ValueError, match="no shards to cut"):
        cut(first, last, shards_per_pod)
