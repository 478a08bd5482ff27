"""Numbers of instances, whatever pods there are: each has one of its own, for good, and none is given twice."""

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_operator.kube.instances import gather
from gateway_operator.kube.names import NUMBER, REVISION, WANTED_NUMBER, gateway_labels, range_labels

RANGES = ((0, 15), (0, 7), (8, 15), (16, 31))
REVISIONS = ("old", "new")

pods = st.lists(
    st.tuples(
        st.sampled_from(range(len(RANGES))),
        st.sampled_from(REVISIONS),
        st.integers(0, 3),  # when it was made
        st.booleans(),  # whether it has a number already
    ),
    max_size=8,
)
deployments = st.dictionaries(st.sampled_from(range(len(RANGES))), st.sampled_from(REVISIONS))


def built(range_of, pod_of, wanted, found):
    """Deployments and pods as this operator leaves them: whatever has a number has one of its own."""
    specs = [range_of(*one) for one in RANGES]
    count = iter(range(1, 100))
    listed = []
    for index, (place, revision, made, numbered) in enumerate(found):
        number = next(count) if numbered else None
        listed.append(pod_of(f"pod-{index}", number, spec=specs[place], revision=revision, made=str(made)))
    return [
        {
            "metadata": {
                "name": specs[place].name,
                "labels": gateway_labels("mybot") | range_labels(specs[place]) | {REVISION: revision},
                "annotations": {WANTED_NUMBER: str(next(count))},
            }
        }
        for place, revision in wanted.items()
    ], listed


def numbers(gathered):
    return {one.spec.name: one.spec.number for found in gathered.ranges.values() for one in found.instances}


def with_annotations(listed, numbered):
    listed = deepcopy(listed)
    for pod in listed:
        if pod["metadata"]["name"] in numbered:
            pod["metadata"]["annotations"] = {NUMBER: str(numbered[pod["metadata"]["name"]])}
    return listed


@settings(deadline=None)
@given(deployments, pods, st.integers(0, 20))
def test_numbers_are_unique_and_none_is_above_the_highest(range_of, pod_of, wanted, found, highest):
    gathered = gather(*built(range_of, pod_of, wanted, found), highest=highest)
    given_out = numbers(gathered)

    assert len(set(given_out.values())) == len(given_out)
    assert gathered.highest >= max([highest, *given_out.values(), *(one.wanted for one in gathered.ranges.values())])


@settings(deadline=None)
@given(deployments, pods, st.integers(0, 20))
def test_once_the_numbers_are_written_the_same_is_seen_and_nothing_is_to_be_written(
    range_of, pod_of, wanted, found, highest
):
    there, listed = built(range_of, pod_of, wanted, found)
    first = gather(there, listed, highest=highest)
    again = gather(there, with_annotations(listed, first.to_number), highest=first.highest)

    assert numbers(again) == numbers(first)
    assert again.to_number == {}
    assert again.highest == first.highest


@settings(deadline=None)
@given(deployments, pods, st.integers(0, 20), st.integers(0, 8))
def test_it_is_the_same_when_only_some_of_the_numbers_could_be_written(
    range_of, pod_of, wanted, found, highest, written
):
    there, listed = built(range_of, pod_of, wanted, found)
    first = gather(there, listed, highest=highest)
    some = dict(list(first.to_number.items())[:written])
    # The pass has failed, so nothing of it is known any more.
    again = gather(there, with_annotations(listed, some), highest=highest)

    assert numbers(again) == numbers(first)


@settings(deadline=None)
@given(deployments, pods, pods, st.integers(0, 20))
def test_whoever_comes_later_is_younger_than_all_of_its_range_and_settings(
    range_of, pod_of, wanted, found, later, highest
):
    there, listed = built(range_of, pod_of, wanted, found)
    first = gather(there, listed, highest=highest)
    listed = with_annotations(listed, first.to_number)
    specs = [range_of(*one) for one in RANGES]
    new = [
        pod_of(f"later-{index}", spec=specs[place], revision=revision, made="9")
        for index, (place, revision, _, _) in enumerate(later)
    ]
    second = gather(there, listed + new, highest=first.highest)

    for name, here in second.ranges.items():
        before = (
            {one.spec.name: one.spec.number for one in first.ranges[name].instances} if name in first.ranges else {}
        )
        assert before.items() <= {one.spec.name: one.spec.number for one in here.instances}.items()
        added = [one.spec.number for one in here.instances if one.spec.name.startswith("later")]
        assert all(number > max(before.values(), default=0) for number in added)
