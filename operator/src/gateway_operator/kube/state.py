"""What the operator keeps of a gateway in its ConfigMap: one object, so that no part is newer than another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from gateway_operator.core.reshard_record import ReshardRecord
from gateway_operator.core.world import ShardSet
from shardpod.contract import ShardRange


@dataclass(frozen=True, slots=True)
class GatewayState:
    """`term`: of the operator that has the gateway. `last_number`: the highest number an instance ever had.

    `image`: that of the shard pods, kept until `restart`, the annotation of that name, has changed. `spec`: the last
    one that was right, which goes on while a person mends the one that is not. `order`: the annotation
    about reshards that was heeded last.
    """

    term: int = 0
    last_number: int = 0
    active: ShardSet | None = None
    record: ReshardRecord = field(default_factory=ReshardRecord)
    image: str = ""
    restart: str = ""
    order: str = ""
    spec: dict[str, Any] | None = None


state_format: TypeAdapter[GatewayState] = TypeAdapter(GatewayState)


def state_from_status(status: Mapping[str, Any]) -> GatewayState:
    """As much as the resource's own status tells, should the ConfigMap be lost."""
    active = status.get("active")
    if not active:
        return GatewayState()
    ranges = tuple(
        ShardRange(first_shard_id=one["firstShardId"], last_shard_id=one["lastShardId"]) for one in active["ranges"]
    )
    return GatewayState(active=ShardSet(active["epoch"], active["shardCount"], ranges))
