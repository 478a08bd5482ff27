"""What a person has brought to a halt by spec.paused, spec.suspend or the command, and what waits because of it."""

from dataclasses import dataclass

from gateway_operator.model import Spec

from .layout import wanted_ranges
from .reshard_step import PAUSED
from .reshard_target import wanted
from .suspension import RESUMABLE
from .world import Plan, World

PAUSED_BY_SPEC_REASON, RESHARD_PAUSED_REASON = "PausedBySpec", "ReshardPaused"
SUSPENDED_REASON, SUSPENDING_REASON = "Suspended", "Suspending"


@dataclass(frozen=True, slots=True)
class Standstill:
    """`paused`, `suspended`: what to say of it, None where it is not. `reason`: of the pause, for programs.

    `suspending`: it is asked for, and waits for a range on its way. `still_running`: pods of a suspended gateway.
    `holds_pods`: pods are to be replaced, and are not.
    """

    reason: str = "NotPaused"
    paused: str | None = None
    suspended: str | None = None
    suspending: str | None = None
    still_running: int = 0
    holds_pods: bool = False


def standstill(spec: Spec, world: World, plan: Plan) -> Standstill:
    """How things stand after this pass."""
    pods = _outdated(spec, world, plan) if spec.paused else 0
    running = sum(one.running for one in world.instances.values()) if plan.suspended else 0
    reason, paused = _paused(spec, world, plan, pods)
    return Standstill(
        reason=reason,
        paused=paused,
        suspended=_suspended(running) if plan.suspended else None,
        suspending=_suspending(plan) if spec.suspend and not plan.suspended else None,
        still_running=running,
        holds_pods=pods > 0,
    )


def _paused(spec: Spec, world: World, plan: Plan, pods: int) -> tuple[str, str | None]:
    if spec.paused:
        waits = [*([_pods(pods)] if pods else []), *_reshard(spec, world, plan)]
        what = " and ".join(waits) if waits else "nothing waits for its end"
        return PAUSED_BY_SPEC_REASON, f"spec.paused is true: {what}; pods that crash are started again all the same"
    if plan.request.paused:
        return RESHARD_PAUSED_REASON, f"resharding: {PAUSED}"
    return "NotPaused", None


def _outdated(spec: Spec, world: World, plan: Plan) -> int:
    """Pods of the active set with other settings, or another range, than they would have without the pause."""
    if plan.active is None:
        return 0
    layout = wanted_ranges(spec, plan.active.shard_count) if not spec.is_a_part else plan.active.ranges
    kept = {(cut.first_shard_id, cut.last_shard_id) for cut in layout}
    mine = [one for one in plan.instances if one.chosen and one.spec.pod.epoch == plan.active.epoch]
    ranges = [(one, one.spec.pod.range) for one in mine if one.spec.name in world.instances]
    return sum(not one.up_to_date or (cut.first_shard_id, cut.last_shard_id) not in kept for one, cut in ranges)


def _pods(count: int) -> str:
    return "1 pod waits to be replaced" if count == 1 else f"{count:,} pods wait to be replaced"


def _reshard(spec: Spec, world: World, plan: Plan) -> list[str]:
    if plan.reshard is not None:
        return [f"the reshard to {plan.reshard.pending.shard_count:,} shards is held"]
    target = wanted(spec, world)
    return [] if target is None else [f"a reshard to {target.shard_count:,} shards waits"]


def _suspending(plan: Plan) -> str:
    why = f": {plan.waiting_for}" if plan.waiting_for else ""
    return f"spec.suspend is true, and the range that changes hands has to arrive or to come back first{why}"


def _suspended(running: int) -> str:
    if running:
        which = "1 pod is" if running == 1 else f"{running:,} pods are"
        return f"spec.suspend is true: {which} still ending"
    return f"spec.suspend is true, and no event is received: {RESUMABLE}"
