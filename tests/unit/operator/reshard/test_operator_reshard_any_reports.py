"""Whatever pods report, ask and suffer while a range is on its way, and whenever the operator dies.

Two rules hold: a range changes its owner only when all its new owners have settled, and it goes back to the former
ones only when no lease may last.
"""

import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_operator.core.leases import Lease

STATES = ("fencing", "fenced", "undone", "lost", "waiting", "live", "expired", "settled", None)

events = st.one_of(
    st.tuples(st.just("say"), st.integers(0, 9), st.sampled_from(STATES)),
    st.tuples(
        st.just("all say"), st.sampled_from(["fenced", "fencing"]), st.sampled_from(["waiting", "settled", "lost"])
    ),
    st.tuples(st.just("connect"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("restart"), st.integers(0, 9), st.none()),
    st.tuples(st.just("ask"), st.integers(0, 9), st.none()),
    *[st.tuples(st.just("operate"), st.none(), st.none())] * 3,
    st.tuples(st.just("time"), st.sampled_from([0.05, 0.5, 2.0, 40.0]), st.none()),
    st.tuples(st.just("operator dies"), st.none(), st.none()),
    st.tuples(st.just("abort"), st.none(), st.none()),
)


@dataclass
class Way:
    """A handover between step go and its end, watched from outside."""

    fleet: Any
    leased_until: float = 0.0
    leased: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parties = sorted(self.fleet.planned.givers) + sorted(self.fleet.planned.takers)
        self.givers, self.takers = set(self.fleet.planned.givers), set(self.fleet.planned.takers)
        for name in self.parties:
            self.fleet.pods[name].obedient = False
            self.fleet.pods[name].state = None

    def happen(self, what: str, one: Any, other: Any) -> None:
        pod = self.fleet.pods[self.parties[one % len(self.parties)]] if isinstance(one, int) else None
        match what:
            case "say":
                pod.state = other
            case "all say":
                for name in self.parties:
                    self.fleet.pods[name].state = one if name in self.givers else other
            case "connect":
                pod.connected = other
            case "restart":
                pod.state = "lost"
                self.leased.discard(pod.spec.name)
            case "ask":
                self.ask(pod)
            case "operate":
                self.operate()
            case "time":
                self.fleet.now += one
                self.fleet.wall += one
            case "operator dies":
                self.fleet.crash()
            case "abort":
                self.fleet.request(abort=True)

    def ask(self, pod: Any) -> None:
        name = pod.spec.name
        if name not in self.takers or not pod.connected or pod.state == "lost":
            return
        answer = self.fleet.ask(pod, live=name in self.leased)
        if isinstance(answer, Lease):
            if not self.leased_until:
                fenced = [self.fleet.pods[giver] for giver in self.givers]
                assert all(giver.state == "fenced" and giver.connected for giver in fenced)
            self.leased.add(name)
            self.leased_until = max(self.leased_until, self.fleet.now + answer.lasts)

    def operate(self) -> None:
        """One pass of the operator, judged by what it could know."""
        before = self.fleet.record.reshard
        said = [(self.fleet.pods[name].state, self.fleet.pods[name].connected) for name in self.takers]
        planned = self.fleet.operate()
        after = planned.reshard
        if after.handed != before.handed:
            assert all(one == ("settled", True) for one in said), "committed before all had settled"
        elif after.fenced is None:
            assert self.fleet.now >= self.leased_until, "given back while a lease may last"


@cache
def on_its_way(fleet_class: Any, *, backwards: bool) -> Any:
    fleet = fleet_class(4)
    fleet.reshard_to(5)  # without a common divisor both instances of the old set are concerned
    if backwards:
        fleet.until(lambda fleet: len(fleet.committed) == 1)
        fleet.request(abort=True)
    while fleet.operate().reshard is None or fleet.reshard.fenced is None:
        fleet.pass_()
    return fleet


@settings(max_examples=400, deadline=None)
@example(  # the lease that the operator before had granted
    backwards=False,
    live=True,
    happened=[("operator dies", None, None), ("all say", "fenced", "lost"), *[("operate", None, None)] * 3],
)
@given(backwards=st.booleans(), live=st.booleans(), happened=st.lists(events, max_size=40))
def test_nothing_is_committed_unsettled_or_given_back_while_a_lease_may_last(fleet_of, backwards, live, happened):
    way = Way(copy.deepcopy(on_its_way(fleet_of, backwards=backwards)))
    leased = [("all say", "fenced", "waiting"), *(("ask", one, None) for one in range(len(way.parties)))]
    for event in (leased if live else []) + happened:
        way.happen(*event)
        if way.fleet.record.reshard.fenced is None:
            break


def test_the_watcher_sees_a_give_back_under_a_lease(fleet_of):
    way = Way(copy.deepcopy(on_its_way(fleet_of, backwards=False)))
    for event in (("all say", "fenced", "waiting"), ("ask", len(way.parties) - 1, None)):
        way.happen(*event)
    assert way.leased_until > way.fleet.now

    way.happen("say", len(way.parties) - 1, "lost")
    way.happen("operate", None, None)
    way.happen("operate", None, None)
    assert way.fleet.record.reshard.fenced is not None
    way.happen("time", 40.0, None)
    way.happen("operate", None, None)
    assert way.fleet.record.reshard.fenced is None
