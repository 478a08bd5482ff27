"""What the core says, in words that are right on a cluster."""

import re

from gateway_operator.core.status_model import GatewayStatus


def for_cluster(words: str) -> str:
    """The core names the commands as they are called on one machine."""
    words = words.replace("stop it and run `discord-gateway up --fresh`", "delete it and apply it again")
    return re.sub(r"`discord-gateway (status|reshard|restart|dead-letters)\b", r"`kubectl dgw \1", words)


def worded_for_cluster(status: GatewayStatus) -> GatewayStatus:
    """The same status: its conditions, and what its reshard waits for, are read by persons."""
    conditions = tuple(
        condition.model_copy(update={"message": for_cluster(condition.message)}) for condition in status.conditions
    )
    reshard = status.reshard
    if reshard is not None:
        words = {"message": for_cluster(reshard.message)}
        if reshard.waiting_for is not None:
            words["waiting_for"] = for_cluster(reshard.waiting_for)
        reshard = reshard.model_copy(update=words)
    return status.model_copy(update={"conditions": conditions, "reshard": reshard})
