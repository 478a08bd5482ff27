"""The NetworkPolicy of a gateway's pods: who may reach them.

There is no rule for what they may reach: the bot, a REST proxy or a broker can be anywhere, by a name that no policy
can tell, and a rule would cut users off whose set-up we do not know.
"""

from collections.abc import Mapping, Sequence

from gateway_operator.model.pod_overlay import HTTP_PORT

from .names import GATEWAY, Body, Owner, policy_name

OPERATOR_LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "discord-gateway-operator"}
ANY_POD_OF_THE_CLUSTER: tuple[Mapping[str, object], ...] = ({"namespaceSelector": {}},)


def network_policy(
    owner: Owner,
    *,
    operator_namespace: str,
    operator_labels: Mapping[str, str] = OPERATOR_LABELS,
    metrics_from: Sequence[Mapping[str, object]] = ANY_POD_OF_THE_CLUSTER,
) -> Body:
    """One port serves all: health and metrics, which are no secret, and what pods and operator ask with their secret.

    Policies know no paths, so whoever collects metrics may knock at the rest as well, and is refused there. By default
    that is every pod of the cluster, as nobody tells us where Prometheus is; `metrics_from` (NetworkPolicyPeers, may
    be empty) narrows it, and never cuts off peers and operator, which have rules of their own. The kubelet's probes
    pass in any case (Kubernetes docs, Network Policies). For a further port, such as a sidecar's, users add a policy:
    policies only ever allow more.
    """
    peers: list[Mapping[str, object]] = [{"podSelector": {"matchLabels": {GATEWAY: owner.name}}}]
    operator: list[Mapping[str, object]] = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}},
            "podSelector": {"matchLabels": dict(operator_labels)},
        }
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(policy_name(owner.name)),
        "spec": {
            "podSelector": {"matchLabels": {GATEWAY: owner.name}},
            "policyTypes": ["Ingress"],
            # A rule without sources would let everybody in.
            "ingress": [_rule(sources) for sources in (peers, operator, list(metrics_from)) if sources],
        },
    }


def _rule(sources: Sequence[Mapping[str, object]]) -> Body:
    return {"from": [dict(one) for one in sources], "ports": [{"port": HTTP_PORT, "protocol": "TCP"}]}
