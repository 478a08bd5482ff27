"""The design with one of its parts left out: each has to be found out by the checker, or the part is not tested."""

import math
from collections.abc import Callable

import shardpod.handover.taker as taker_module
from shardpod.handover import Verdict, Windows
from shardpod.handover.giver import Giver, GiverState
from shardpod.handover.taker import Taker, TakerState
from shardpod.pod.control_client import ControlClient


def without_the_tail() -> None:
    """A giver tells only what came a moment ago, and nobody asks whether that reaches back to the first fence."""
    Windows.tail = property(lambda _: 0.1)
    Windows.fence_spread = property(lambda _: math.inf)


def without_the_history() -> None:
    """A taker forgets at once."""
    Windows.history = property(lambda _: 0.1)


def without_the_ring() -> None:
    """A taker keeps no payloads to speak of."""
    Windows.ring = property(lambda _: 0.02)


def without_the_hold() -> None:
    """What a giver receives after its fence is gone if it is given back."""

    def received(self: Giver, _event: object) -> Verdict:
        return Verdict.OURS if self.state in (GiverState.OPEN, GiverState.UNDONE) else Verdict.NOT_OURS

    Giver.received = received


def without_the_rehearsal() -> None:
    """Nobody compares before it is too late, nor then."""

    def rehearse(self: Taker, _theirs: object, _asked_at: float, now: float) -> None:
        if self.state in (TakerState.REHEARSING, TakerState.REHEARSED):
            self.state, self.reason, self._rehearsed_at = TakerState.REHEARSED, None, now

    Taker.rehearse = rehearse
    taker_module.rehearse = lambda *_: None


def without_the_lease() -> None:
    """A taker that is live stays live."""
    Taker._expire_if_due = lambda *_: None
    Taker.lease_until = property(lambda _: None)


def without_the_term() -> None:
    """A pod believes whoever spoke last."""
    believes = ControlClient._received

    def received(self: ControlClient, text: str) -> bool:
        self._term = 0
        return believes(self, text)

    ControlClient._received = received


MUTANTS: dict[str, tuple[Callable[[], None], list[tuple[str, str]]]] = {
    "tail": (without_the_tail, [("none", "none")]),
    "history": (without_the_history, [("none", "none")]),
    "ring": (without_the_ring, [("none", "none")]),
    "hold": (without_the_hold, [("new worker crashes", "live"), ("new worker crashes", "fenced")]),
    "rehearsal": (without_the_rehearsal, [("new session is late", "Warming"), ("old session is late", "Warming")]),
    "lease": (without_the_lease, [("new worker crashes, and its pod is cut off", "live")]),
    "term": (
        without_the_term,
        [("another leader", "settled"), ("another leader", "live"), ("another leader", "fenced")],
    ),
}
"""What is left out, and what has to go wrong for it to be missed."""
