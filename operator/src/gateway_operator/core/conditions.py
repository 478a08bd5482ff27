"""The conditions of a gateway, one function each: a reason for programs, a sentence for people."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from .identify_ledger import BUCKET_INTERVAL, LedgerView
from .spoken import spoken_duration
from .standstill import SUSPENDED_REASON, SUSPENDING_REASON, Standstill
from .status_model import Condition, ConditionStatus, ReshardStatus, RolloutStatus
from .troubles import Trouble
from .world import Plan


@dataclass(frozen=True, slots=True)
class Standing:
    """What the conditions are made of. `resets` dates the budget's refill.

    `wanted` and `ready` count shards of the active set. `held_back`: why a reshard that is wanted does not begin;
    `ending`: how many pods of former sets are still there.
    """

    wanted: int
    ready: int
    plan: Plan
    rollout: RolloutStatus
    ledger: LedgerView
    now: float
    resets: datetime | None
    troubles: tuple[Trouble, ...]
    reshard: ReshardStatus | None = None
    held_back: str | None = None
    given_up: str | None = None
    ending: int = 0
    standstill: Standstill = field(default_factory=Standstill)

    @property
    def complete(self) -> bool:
        return 0 < self.wanted == self.ready

    @property
    def replacing(self) -> bool:
        """Whether a pod is being replaced, or waits for its turn."""
        active = self.plan.active
        outdated = any(
            one.chosen and not one.up_to_date and active is not None and one.spec.pod.epoch == active.epoch
            for one in self.plan.instances
        )
        begins = outdated and not self.standstill.holds_pods
        return self.wanted > 0 and (begins or self.rollout.leaving > 0)

    @property
    def refused(self) -> bool:
        return any(trouble.refused for trouble in self.troubles)


def conditions(standing: Standing) -> tuple[Condition, ...]:
    """All of them, always in the same order."""
    return (
        _ready(standing),
        _progressing(standing),
        _resharding(standing),
        _degraded(standing),
        _paused(standing.standstill),
        _identify_budget_ok(standing),
    )


def _ready(standing: Standing) -> Condition:
    if standing.standstill.suspended is not None:
        return _condition("Ready", SUSPENDED_REASON, standing.standstill.suspended, holds=False)
    if standing.complete:
        return _condition("Ready", "AllShardsConnected", f"all {standing.wanted:,} shards are connected", holds=True)
    if standing.troubles:
        worst = standing.troubles[0]
        return _condition("Ready", worst.reason, f"{_count(standing)}: {worst.message}", holds=False)
    if not standing.wanted:
        return _condition("Ready", "WaitingForDiscord", "waiting for the answer of GET /gateway/bot", holds=False)
    return _condition("Ready", "ShardsConnecting", _count(standing), holds=False)


def _progressing(standing: Standing) -> Condition:
    still = standing.standstill
    if still.suspending is not None:
        return _condition("Progressing", SUSPENDING_REASON, still.suspending, holds=True)
    if still.suspended is not None:
        return _condition("Progressing", SUSPENDED_REASON, still.suspended, holds=still.still_running > 0)
    if standing.complete:
        return _progressing_while_connected(standing)
    if standing.refused:
        return _condition("Progressing", "Refused", "waiting for a person: see the condition Degraded", holds=False)
    if not standing.wanted:
        return _condition("Progressing", "WaitingForDiscord", "asking Discord how many shards there are", holds=True)
    return _condition("Progressing", "ShardsConnecting", _forecast(standing), holds=True)


def _progressing_while_connected(standing: Standing) -> Condition:
    if standing.replacing:
        return _condition("Progressing", "ReplacingPods", _replacement(standing.rollout), holds=True)
    if standing.reshard is not None:
        return _condition("Progressing", "Resharding", standing.reshard.message, holds=True)
    return _progressing_otherwise(standing)


def _progressing_otherwise(standing: Standing) -> Condition:
    if standing.held_back is not None:
        return _condition("Progressing", "ReshardHeldBack", standing.held_back, holds=False)
    if standing.ending:
        return _condition("Progressing", "FormerShardsEnding", _former(standing.ending), holds=True)
    if standing.standstill.holds_pods:
        return _condition("Progressing", "Paused", standing.standstill.paused or "", holds=False)
    return _condition("Progressing", "Complete", "nothing is left to do", holds=False)


def _resharding(standing: Standing) -> Condition:
    """Its reason is the phase, so that `kubectl wait` can wait for one."""
    if standing.reshard is not None:
        return _condition("Resharding", standing.reshard.phase, standing.reshard.message, holds=True)
    if standing.held_back is not None:
        return _condition("Resharding", "ReshardHeldBack", standing.held_back, holds=False)
    message = standing.given_up or "the number of shards is as it should be"
    return _condition("Resharding", "NotResharding", message, holds=False)


def _degraded(standing: Standing) -> Condition:
    if standing.troubles:
        message = "; ".join(trouble.message for trouble in standing.troubles)
        return _condition("Degraded", standing.troubles[0].reason, message, holds=True)
    return _condition("Degraded", "NothingWrong", "nothing is wrong", holds=False)


def _paused(still: Standstill) -> Condition:
    if still.paused is None:
        return _condition("Paused", still.reason, "nothing is held", holds=False)
    return _condition("Paused", still.reason, still.paused, holds=True)


def _identify_budget_ok(standing: Standing) -> Condition:
    ledger = standing.ledger
    if not ledger.known:
        return Condition(
            type="IdentifyBudgetOK",
            status=ConditionStatus.UNKNOWN,
            reason="WaitingForDiscord",
            message="Discord has not said yet how many identifies are left",
        )
    left = f"{ledger.remaining:,} of {ledger.total:,} identifies are left"
    if ledger.budget_left:
        return _condition("IdentifyBudgetOK", "BudgetLeft", left, holds=True)
    return _condition(
        "IdentifyBudgetOK",
        "BudgetUsedUp",
        f"{left} and {ledger.reserve:,} are kept back (spec.reshard.identifyReserve): connected shards are not "
        f"affected, new sessions wait{_until(standing)}",
        holds=False,
    )


def _until(standing: Standing) -> str:
    if standing.resets is None:
        return " until Discord says when the budget is refilled"
    return (
        f" until {standing.resets:%Y-%m-%d %H:%M} UTC, for {spoken_duration(standing.ledger.reset_at - standing.now)}"
    )


def _count(standing: Standing) -> str:
    return f"{standing.ready:,} of {standing.wanted:,} shards are connected"


def _replacement(rollout: RolloutStatus) -> str:
    leaving = f", {rollout.leaving:,} old still hold something" if rollout.leaving else ""
    return f"pods are being replaced, one after the other: {rollout.replaced:,} of {rollout.pods:,} done{leaving}"


def _former(pods: int) -> str:
    which = "1 pod of it is" if pods == 1 else f"{pods:,} pods of it are"
    return f"the shard set before this one is being closed: {which} still there"


def _forecast(standing: Standing) -> str:
    """How long it takes if every missing shard has to identify; resuming is faster."""
    rounds = math.ceil((standing.wanted - standing.ready) / standing.ledger.max_concurrency)
    return f"{_count(standing)}; the others take up to about {spoken_duration(rounds * BUCKET_INTERVAL)}"


def _condition(kind: str, reason: str, message: str, *, holds: bool) -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    return Condition(type=kind, status=status, reason=reason, message=message)
