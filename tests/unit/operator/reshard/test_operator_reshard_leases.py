"""Who may deliver a range that is on its way, and until when."""

import pytest

from gateway_operator.core.leases import Lease, LeaseBook, NoLease
from gateway_operator.core.world import LeaseView
from shardpod.contract import HandoverObserved

LASTS = 4.0
NUMBER = 7


def said(state: str, *, number: int = NUMBER, role: str = "giver") -> HandoverObserved:
    return HandoverObserved.model_validate({"number": number, "role": role, "state": state})


WAITS = said("waiting", role="taker")


class Asking:
    """A book with two givers and two takers."""

    def __init__(self) -> None:
        self.book = LeaseBook()
        self.says: dict[str, HandoverObserved] = dict.fromkeys("ab", said("fenced")) | dict.fromkeys("xy", WAITS)
        self.follow()

    def follow(self, *, number: int | None = NUMBER, closed: bool = False) -> None:
        self.book.follow(number, givers={"a", "b"}, takers={"x", "y"}, lasts=LASTS, closed=closed)

    def ask(self, who: str = "x", *, live: bool = False, now: float = 100.0, number: int = NUMBER) -> Lease | NoLease:
        return self.book.ask(who, number, live=live, said=self.says.get, now=now)


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_when_all_givers_have_fenced_a_taker_may_deliver_from_its_asking_on(asking):
    assert asking.book.view() == LeaseView()
    assert asking.ask() == Lease(LASTS)
    assert asking.book.view() == LeaseView(until=104.0, since=100.0, opened=True)


@pytest.mark.parametrize(
    "word",
    [
        None,
        said("fencing"),
        said("undone"),
        said("lost"),
        said("fenced", number=NUMBER - 1),
        said("fenced", role="taker"),
    ],
)
def test_one_giver_that_has_not_fenced_keeps_all_takers_waiting(asking, word):
    del asking.says["b"]
    asking.says |= {} if word is None else {"b": word}

    assert asking.ask() == NoLease("b has not fenced the range yet")
    assert asking.book.view().until is None


@pytest.mark.parametrize(
    "word",
    [
        None,
        said("rehearsed", role="taker"),
        said("lost", role="taker"),
        said("waiting", role="taker", number=NUMBER - 1),
        said("waiting"),
    ],
)
def test_one_taker_that_is_not_ready_keeps_the_others_from_delivering_what_it_cannot(asking, word):
    """Its part of the range would be given back, and with it what the others had delivered."""
    del asking.says["y"]
    asking.says |= {} if word is None else {"y": word}

    assert asking.ask() == NoLease("y is not ready to take the range")
    assert asking.book.view().until is None


def test_a_taker_may_begin_beside_one_that_delivers_since_an_operator_before(asking):
    asking.says["y"] = said("expired", role="taker")

    assert asking.ask() == Lease(LASTS)


def test_without_givers_nothing_is_known_and_nothing_granted(asking):
    asking.book.follow(NUMBER, givers=(), takers={"x"}, lasts=LASTS, closed=False)

    assert isinstance(asking.ask(), NoLease)


def test_each_lease_moves_the_end_on_and_never_back(asking):
    asking.ask()
    asking.ask("y", now=103.0)
    assert asking.book.view().until == 107.0

    asking.ask(now=102.0)
    assert asking.book.view() == LeaseView(until=107.0, since=100.0, opened=True)


def test_once_it_is_open_the_other_taker_may_begin_though_a_giver_was_started_again(asking):
    asking.ask()
    asking.says["a"] = said("lost")

    assert asking.ask("y") == Lease(LASTS)


@pytest.mark.parametrize(("who", "number"), [("a", NUMBER), ("z", NUMBER), ("x", NUMBER - 1), ("x", NUMBER + 1)])
def test_nobody_else_and_no_other_handover_is_granted_anything(asking, who, number):
    assert isinstance(asking.ask(who, number=number, live=True), NoLease)


def test_while_it_is_given_back_and_for_good_nothing_is_granted(asking):
    asking.ask()
    asking.follow(closed=True)
    asking.follow(closed=False)

    assert asking.ask(live=True) == NoLease("the handover is being given back")
    assert asking.book.view() == LeaseView(until=104.0, since=100.0, opened=True, closed=True)


def test_the_next_handover_knows_nothing_of_the_last(asking):
    asking.ask()
    asking.follow(closed=True)
    asking.follow(number=NUMBER + 1)

    assert asking.book.view() == LeaseView()


def test_when_none_is_open_a_taker_of_the_last_one_is_granted_nothing(asking):
    asking.ask()
    asking.follow(number=None)

    assert asking.ask(live=True) == NoLease("this handover is not open")


def test_what_another_operator_granted_may_last_and_its_takers_go_on(asking):
    asking.book = LeaseBook()
    asking.book.resume(NUMBER, lasts=LASTS, now=50.0)
    assert isinstance(asking.ask(live=True, now=50.1), NoLease), "before the first pass it is not known who takes part"

    asking.says = {}
    asking.follow()
    assert asking.book.view() == LeaseView(until=54.0, since=50.0)
    assert isinstance(asking.ask("y", now=60.0), NoLease)
    assert asking.ask(live=True, now=60.0) == Lease(LASTS)
    assert asking.book.view() == LeaseView(until=64.0, since=60.0, opened=True)
