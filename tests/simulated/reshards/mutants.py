"""The design with one of its parts left out: each has to be found out by the checker, or the part is not tested."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import gateway_operator.core.reshard_handover as handover_module
import shardpod.handover.taker as taker_module
from gateway_operator.core.identify_ledger import IdentifyLedger
from gateway_operator.core.identify_queue import Place
from shardpod.handover import Custody, Verdict, Windows
from shardpod.handover.giver import Giver, GiverState
from shardpod.handover.taker import Taker, TakerState
from shardpod.pod.control_client import ControlClient
from shardpod.window_lengths import WindowLengths
from shardpod.worker.messages import Lease
from shardpod.worker.shard_runner import ShardRunner
from shardpod.worker.signs_of_life import SignsOfLife

from .workers import SimulatedWorker


def without_the_tail() -> None:
    """A giver tells only what came a moment ago, and nobody asks whether that reaches back far enough."""
    Windows.tail = property(lambda _: 0.1)
    Windows.fence_spread = Windows.comparison_reach = property(lambda _: math.inf)


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
            self.state, self.reason = TakerState.REHEARSED, None
            self._rehearsed_at = self._same_at = now

    Taker.rehearse = rehearse
    taker_module.rehearse = lambda *_: None


def without_the_lateness_of_replays() -> None:
    """What Discord replays counts as if it had come only now."""
    receive = Custody.received
    Custody.received = lambda self, event, _since=None: receive(self, event)


def without_signs_of_life() -> None:
    """Who is silent is taken for one that has nothing to tell."""
    SignsOfLife.heard_at = lambda _, _shards, now: now


def without_telling_how_far_back_is_told() -> None:
    """Whatever a session had missed before, it is compared with what the other set tells."""
    activate = Taker.activate

    def activated(self: Taker, *what: object, **more: object) -> None:
        activate(self, *what, **more)
        self._told_since = -math.inf

    Taker.activate = activated


def without_the_lease() -> None:
    """A taker that is live stays live."""
    Taker.expire_if_due = lambda *_: None
    Taker.lease_until = property(lambda _: None)


def with_slow_answers_believed() -> None:
    """A sign of life counts whenever it comes, as if nothing that came after it could be late."""
    ask = ShardRunner.ask_for_a_sign
    ShardRunner.ask_for_a_sign = lambda self, _prompt: ask(self, math.inf)


def without_the_term() -> None:
    """A pod believes whoever spoke last."""
    believes = ControlClient._received

    def received(self: ControlClient, text: str) -> bool:
        self._term = 0
        return believes(self, text)

    ControlClient._received = received


def with_longer_leases() -> None:
    """Everybody agrees on leases that last five times as long, so nothing but the clock can tell."""
    WindowLengths.lease = property(lambda windows: 10 * windows.fence_timeout)


def with_leases_from_their_answer() -> None:
    """A lease that was long on its way lasts as long as any."""
    tell = SimulatedWorker.tell

    def told(self: SimulatedWorker, message: object) -> None:
        if isinstance(message, Lease):
            now = asyncio.get_running_loop().time()
            message = Lease(message.number, now + self.around.leases.lasts)
        tell(self, message)

    SimulatedWorker.tell = told


def without_waiting_for_the_last_lease() -> None:
    """A range is given back as soon as no further lease is granted."""
    handover_module._over = lambda _lease, _now: True


def without_the_ledgers_patience() -> None:
    """Whoever asks for a permit gets one."""
    ask = IdentifyLedger.ask

    def granted(self: IdentifyLedger, epoch: int, shard_id: int, shard_count: int, *, ready: bool, now: float):
        if not ready or not self._budget.known:
            return ask(self, epoch, shard_id, shard_count, ready=ready, now=now)
        return self._grant(Place(epoch=epoch, shard_id=shard_id, shard_count=shard_count), now)

    IdentifyLedger.ask = granted


@dataclass(frozen=True)
class Mutant:
    """`where` it has to go wrong for it to be missed: fault and step; `said` of what is found then."""

    leave_out: Callable[[], None]
    where: list[tuple[str, str]]
    said: str = "I"


CALM = [("none", "none")]
LATE = [("new session is late", "Warming"), ("old session is late", "Warming")]
CUT_OFF = [("new pod is cut off from the operator", "live"), ("operator crashes", "live")]
NO_NETWORK = [("new pod has no network", "fencing"), ("new pod has no network", "fenced")]
DEAD = [("old session goes dead", "Warming"), ("new session goes dead", "Warming")]
STALLED = [("new session stalls", "rehearse"), ("new session stalls", "fencing")]
BUDGET = [("identify budget changes", "Starting")]

MUTANTS = {
    "tail": Mutant(without_the_tail, CALM),
    "history": Mutant(without_the_history, CALM),
    "ring": Mutant(without_the_ring, CALM),
    "hold": Mutant(without_the_hold, [("new worker crashes", "live"), ("new worker crashes", "fenced")]),
    "rehearsal": Mutant(without_the_rehearsal, LATE),
    "lease": Mutant(without_the_lease, [("new worker crashes, and its pod is cut off", "live")]),
    "end of a lease at the taker": Mutant(without_the_lease, CUT_OFF, "without a lease"),
    "length of a lease": Mutant(with_longer_leases, CUT_OFF, "without a lease"),
    "asking that a lease counts from": Mutant(
        with_leases_from_their_answer, [("control messages are late", "live")], "without a lease"
    ),
    "wait for the last lease": Mutant(
        without_waiting_for_the_last_lease, [("new worker crashes", "live")], "its last lease ended"
    ),
    "lateness of replays": Mutant(without_the_lateness_of_replays, NO_NETWORK, "doubled"),
    "signs of life": Mutant(without_signs_of_life, DEAD, "I3"),
    "doubt of slow answers": Mutant(with_slow_answers_believed, STALLED, "doubled"),
    "reach of what is told": Mutant(
        without_telling_how_far_back_is_told, [("new session goes dead", "rehearse")], "doubled"
    ),
    "term": Mutant(without_the_term, [("another leader", step) for step in ("settled", "live", "fenced")]),
    "ledger": Mutant(without_the_ledgers_patience, BUDGET, "I4"),
}
"""What is left out, and where that is found."""
