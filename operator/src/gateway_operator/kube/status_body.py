"""The status as the resource holds it: what is true, of which generation, and since when; written, and read again."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway_operator.core.status_model import Condition, ConditionStatus, GatewayStatus, Phase

from .names import Body

_NOT_IN_THE_RESOURCE = {"name", "shard_rows", "pods"}

_NOT_REPORTED = "the operator has not reported on it yet"

MAX_TEXT = 1024
MAX_MESSAGE = 32768
"""Characters, as the resource definition bounds them: one that is longer would lose us the whole status."""


def status_body(
    status: GatewayStatus, *, generation: int, previous: Mapping[str, Any] | None, now: str, selector: str
) -> Body:
    """The whole status subresource, for a write in one piece.

    `previous`: the one that is there, if any; `now`: an RFC 3339 time for the conditions that are not as they were
    there. The same status gives the same body, so that who compares writes only what is new.
    """
    told = status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_NOT_IN_THE_RESOURCE)
    since = _since(previous or {})
    conditions = [
        {
            **condition,
            "message": _cut(condition["message"], MAX_MESSAGE),
            "lastTransitionTime": since.get((condition["type"], condition["status"]), now),
            "observedGeneration": generation,
        }
        for condition in told.pop("conditions")
    ]
    return {"observedGeneration": generation, **_bounded(told), "conditions": conditions, "selector": selector}


def read_status(name: str, written: Mapping[str, Any]) -> GatewayStatus:
    """What a status subresource tells; it leaves out what is empty, and what only the leader tells: the rows.

    Raises pydantic.ValidationError, if it is another version's.
    """
    absent = {"phase": Phase.PENDING, "conditions": (), "shards": 0, "readyShards": 0, "guilds": 0, "active": None}
    absent |= {"recommendedShards": None, "sessionStartLimit": None, "shardRows": ()}
    whole = absent | dict(written) | {"name": name}
    if (limit := written.get("sessionStartLimit")) is not None:
        whole["sessionStartLimit"] = {"resetAt": None, **limit}
    status = GatewayStatus.model_validate(whole)
    there = {condition.type for condition in status.conditions}
    missing = tuple(
        Condition(type=kind, status=ConditionStatus.UNKNOWN, reason="NotReported", message=_NOT_REPORTED)
        for kind in ("Ready", "Degraded")
        if kind not in there
    )
    return status.model_copy(update={"conditions": (*status.conditions, *missing)})


def _since(previous: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """By type and status; what somebody else wrote in another shape counts for nothing."""
    return {
        (one["type"], one["status"]): one["lastTransitionTime"]
        for one in previous.get("conditions") or ()
        if isinstance(one, Mapping) and {"type", "status", "lastTransitionTime"} <= one.keys()
    }


def _bounded(part: Any) -> Any:
    match part:
        case str():
            return _cut(part, MAX_TEXT)
        case Mapping():
            return {name: _bounded(value) for name, value in part.items()}
        case Sequence():
            return [_bounded(item) for item in part]
    return part


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
