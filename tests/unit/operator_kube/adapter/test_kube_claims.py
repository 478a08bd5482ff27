"""One token, one gateway."""

import pytest

from gateway_operator.kube.claims import Claim, Claims

FIRST, SECOND = ("bots", "first"), ("bots", "second")


def claim(*, token="t", shards=None, first=0, last=None):
    return Claim(token, shards, first, last)


@pytest.fixture
def claims():
    return Claims()


def test_the_same_token_is_given_to_one_gateway_only(claims):
    assert claims.make(FIRST, claim()) is None
    assert claims.make(SECOND, claim()) == FIRST


def test_another_token_is_no_matter(claims):
    claims.make(FIRST, claim())

    assert claims.make(SECOND, claim(token="u")) is None


def test_a_claim_may_be_repeated_and_changed(claims):
    claims.make(FIRST, claim())

    assert claims.make(FIRST, claim()) is None
    assert claims.make(FIRST, claim(token="u")) is None
    assert claims.make(SECOND, claim()) is None


def test_the_one_that_runs_keeps_its_token_when_another_gets_the_same_one_later(claims):
    claims.make(FIRST, claim(token="u"))
    claims.make(SECOND, claim())

    assert claims.make(FIRST, claim()) == SECOND
    assert claims.make(SECOND, claim()) is None


def test_what_was_given_up_may_be_claimed_by_another(claims):
    claims.make(FIRST, claim())
    claims.give_up(FIRST)
    claims.give_up(("bots", "of nobody"))

    assert claims.make(SECOND, claim()) is None


def test_parts_of_one_set_that_do_not_overlap_run_side_by_side(claims):
    assert claims.make(FIRST, claim(shards=8, first=0, last=3)) is None
    assert claims.make(SECOND, claim(shards=8, first=4, last=7)) is None


@pytest.mark.parametrize(
    "other",
    [
        claim(shards=8, first=3, last=7),
        claim(shards=8, first=0, last=0),
        claim(shards=8),
        claim(shards=16, first=4, last=7),
        claim(first=4, last=7),
    ],
)
def test_parts_that_overlap_or_are_of_other_sets_exclude_each_other(claims, other):
    claims.make(FIRST, claim(shards=8, first=0, last=3))

    assert claims.make(SECOND, other) == FIRST


def test_a_claim_that_was_refused_holds_nothing(claims):
    claims.make(FIRST, claim())
    claims.make(SECOND, claim())
    claims.give_up(FIRST)

    assert claims.make(FIRST, claim()) is None
