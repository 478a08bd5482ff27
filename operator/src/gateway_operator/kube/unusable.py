"""How a gateway is shown whose resource cannot be followed: Ready is False, and what runs goes on as before."""

from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase

from .settings import NotUsableError

_TYPES = ("Ready", "Progressing", "Resharding", "Degraded", "Paused", "IdentifyBudgetOK")


def shown(status: GatewayStatus | None, name: str, problem: NotUsableError) -> GatewayStatus:
    """The status with the problem in it; of a gateway that has never run, if there is none."""
    message = str(problem)
    if status is not None:
        message = f"{message}; the shards run on with the settings before"
    said = {
        "Ready": _condition("Ready", ConditionStatus.FALSE, problem.reason, message),
        "Degraded": _condition("Degraded", ConditionStatus.TRUE, problem.reason, message),
    }
    if status is not None:
        conditions = tuple(said.get(one.type, one) for one in status.conditions)
        return status.model_copy(update={"conditions": conditions})
    unknown = "nothing runs yet: see the condition Ready"
    return GatewayStatus(
        name=name,
        phase=Phase.PENDING,
        conditions=tuple(
            said.get(kind) or _condition(kind, ConditionStatus.UNKNOWN, problem.reason, unknown) for kind in _TYPES
        ),
        shards=0,
        ready_shards=0,
        guilds=0,
        active=None,
        session_start_limit=None,
        recommended_shards=None,
    )


def _condition(kind: str, status: ConditionStatus, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)
