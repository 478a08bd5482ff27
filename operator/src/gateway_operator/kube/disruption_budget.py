"""The PodDisruptionBudget of a gateway: one pod at a time, as each takes over from the one before."""

from gateway_operator.core.world import ShardSet

from .names import EPOCH, GATEWAY, Body, Owner, policy_name


def disruption_budget(owner: Owner, active: ShardSet) -> Body | None:
    """Of the active set alone: the pending one delivers nothing that could be missed, and the one before it ends.

    None for a single pod, which nobody could ever drain: its successor starts when it is told to end, not before.
    """
    if len(active.ranges) < 2:  # noqa: PLR2004 -- "single" is what it says
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(policy_name(owner.name)),
        "spec": {
            "maxUnavailable": 1,
            # One that is not Ready holds nothing that waiting would save, and would block a node's drain for ever.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {GATEWAY: owner.name, EPOCH: str(active.epoch)}},
        },
    }
