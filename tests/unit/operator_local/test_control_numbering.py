from hypothesis import given
from hypothesis import strategies as st

from gateway_operator.control.numbering import AssignmentNumbering


def test_an_assignment_is_numbered_by_term_and_from_one(assignment):
    numbering = AssignmentNumbering(term=7)

    assert numbering.replace({"a": assignment("a")}) == {"a"}
    assert numbering.current("a") == assignment("a").model_copy(update={"term": 7, "n": 1})


def test_the_same_content_keeps_its_number(assignment):
    numbering = AssignmentNumbering(term=7)
    numbering.replace({"a": assignment("a")})

    assert numbering.replace({"a": assignment("a")}) == set()
    assert numbering.current("a").n == 1


def test_only_the_pod_whose_content_changed_counts_up(assignment):
    numbering = AssignmentNumbering(term=7)
    numbering.replace({"a": assignment("a"), "b": assignment("b")})

    assert numbering.replace({"a": assignment("a"), "b": assignment("b", role="draining")}) == {"b"}
    assert (numbering.current("a").n, numbering.current("b").n) == (1, 2)


def test_a_pod_that_the_plan_dropped_has_no_assignment_and_goes_on_counting_when_it_is_back(assignment):
    numbering = AssignmentNumbering(term=7)
    numbering.replace({"a": assignment("a")})

    assert numbering.replace({}) == set()
    assert numbering.current("a") is None
    assert numbering.replace({"a": assignment("a")}) == {"a"}
    assert numbering.current("a").n == 2


@given(st.lists(st.sampled_from(["active", "standby", "draining", None]), max_size=20))
def test_within_a_term_a_number_never_stands_for_two_contents(assignment, roles):
    numbering = AssignmentNumbering(term=1)
    content_by_number = {}
    for role in roles:
        numbering.replace({} if role is None else {"a": assignment("a", role=role)})
        if role is not None:
            current = numbering.current("a")
            assert current.role == role
            assert content_by_number.setdefault(current.n, role) == role
    assert list(content_by_number) == sorted(content_by_number)
