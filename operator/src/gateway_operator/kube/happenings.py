"""What a person should see of a gateway by `kubectl describe`: told when it changes, never because time passes.

Two statuses in, notes out. Messages that count (how many events wait, how many shards are connected) change all the
time, so changes are looked for in reasons and phases, and a message is only what is said on the occasion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase, ReshardStatus
from gateway_operator.core.world import ReshardPhase

_STEPS = 10
"""So many notes at most tell how far a reshard is, however many ranges it has."""


@dataclass(frozen=True, slots=True)
class Happening:
    """`reason` in one word for programs, `message` in a sentence for people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def happenings(old: GatewayStatus | None, new: GatewayStatus) -> list[Happening]:
    """What to tell of the way from `old` to `new`, in that order. `old` is None at the operator's first look."""
    return [
        *_phase(old, new),
        *_troubles(old, new),
        *_budget(old, new),
        *_paused(old, new),
        *_replacements(old, new),
        *_resharding(old, new),
        *_dead_letters(old, new),
    ]


def _phase(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    """Degraded is not told: the trouble is, by its own name."""
    if (old is not None and old.phase == new.phase) or new.phase == Phase.DEGRADED:
        return
    kind: Literal["Normal", "Warning"] = "Warning" if new.phase == Phase.FAILED else "Normal"
    ready = _condition(new, "Ready")
    yield Happening(kind, str(new.phase), ready.message if ready is not None else f"the gateway is {new.phase}")


def _troubles(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    before, now = _holding(old, "Degraded"), _holding(new, "Degraded")
    if now is not None and (before is None or before.reason != now.reason):
        yield Happening("Warning", now.reason, now.message)
    elif before is not None and now is None:
        yield Happening("Normal", "TroubleOver", f"{before.reason} is over: nothing is wrong any more")


def _budget(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    before = _holding(old, "IdentifyBudgetOK", ConditionStatus.FALSE)
    now = _holding(new, "IdentifyBudgetOK", ConditionStatus.FALSE)
    left = _holding(new, "IdentifyBudgetOK")
    if now is not None and before is None:
        yield Happening("Warning", now.reason, now.message)
    elif before is not None and left is not None:
        yield Happening("Normal", "BudgetRefilled", left.message)


def _paused(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    before, now = _holding(old, "Paused"), _holding(new, "Paused")
    if now is not None and (before is None or before.reason != now.reason):
        yield Happening("Normal", now.reason, now.message)
    elif before is not None and now is None:
        yield Happening("Normal", "Continued", "nobody holds it back any more")


def _replacements(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    before, now = old is not None and _replacing(old), _replacing(new)
    if now and not before:
        yield Happening("Normal", "ReplacingPods", "pods are being replaced, one after the other")
    elif before and not now and new.rollout is not None and new.rollout.complete and _epoch(old) == _epoch(new):
        yield Happening("Normal", "PodsReplaced", "all pods are of the wanted revision")


def _replacing(status: GatewayStatus) -> bool:
    """Whether a pod of the active set is outdated, or still there beside its successor.

    By the condition alone it would seem to be over whenever a shard reconnects.
    """
    progressing = _condition(status, "Progressing")
    told = progressing is not None and progressing.reason == "ReplacingPods"
    return told or (status.rollout is not None and status.rollout.leaving > 0)


def _resharding(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    before, now = old.reshard if old is not None else None, new.reshard
    if now is not None:
        yield from _reshard_goes_on(before, now)
    elif old is not None and before is not None:
        yield _reshard_over(old, before, new)
    held, was_held = _held_back(new), old is not None and _held_back(old) is not None
    if held is not None and not was_held:
        yield Happening("Normal", held.reason, held.message)


def _reshard_goes_on(before: ReshardStatus | None, now: ReshardStatus) -> Iterator[Happening]:
    another = before is None or (before.from_, before.to, before.started_at) != (now.from_, now.to, now.started_at)
    if before is None or another or before.phase != now.phase:
        aborting = now.phase == ReshardPhase.ABORTING
        yield Happening("Warning" if aborting else "Normal", f"Reshard{now.phase}", now.message)
    elif now.phase == ReshardPhase.HANDING_OVER and _step(now) > _step(before):
        yield Happening("Normal", "RangesHandedOver", f"{len(now.handed_ranges)} of {now.ranges} ranges handed over")
    if now.paused and (before is None or not before.paused):
        yield Happening("Normal", "ReshardPaused", now.message)
    elif before is not None and before.paused and not now.paused:
        yield Happening("Normal", "ReshardContinued", now.message)


def _step(reshard: ReshardStatus) -> int:
    return len(reshard.handed_ranges) * min(_STEPS, reshard.ranges) // max(1, reshard.ranges)


def _reshard_over(old: GatewayStatus, before: ReshardStatus, new: GatewayStatus) -> Happening:
    if _epoch(new) != _epoch(old):
        return Happening("Normal", "ReshardDone", f"from {before.from_} to {new.shards} shards: done")
    if before.phase == ReshardPhase.PREPARING:
        return Happening("Normal", "ReshardWithdrawn", f"{before.to} shards are not wanted any more; nothing was begun")
    return Happening(
        "Warning", "ReshardAborted", f"given up: the {new.shards} shards from before deliver everything, as they did"
    )


def _held_back(status: GatewayStatus) -> Condition | None:
    condition = _holding(status, "Resharding", ConditionStatus.FALSE)
    return condition if condition is not None and condition.reason == "ReshardHeldBack" else None


def _dead_letters(old: GatewayStatus | None, new: GatewayStatus) -> Iterator[Happening]:
    if new.dead_letters and (old is None or not old.dead_letters):
        yield Happening(
            "Warning", "DeadLetters", "the bot keeps refusing some events: see `kubectl dgw dead-letters list`"
        )


def _holding(
    status: GatewayStatus | None, kind: str, wanted: ConditionStatus = ConditionStatus.TRUE
) -> Condition | None:
    """The condition of this type if it has this status."""
    condition = _condition(status, kind) if status is not None else None
    return condition if condition is not None and condition.status == wanted else None


def _condition(status: GatewayStatus, kind: str) -> Condition | None:
    return next((one for one in status.conditions if one.type == kind), None)


def _epoch(status: GatewayStatus | None) -> int | None:
    return status.active.epoch if status is not None and status.active is not None else None
