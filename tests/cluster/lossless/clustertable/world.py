"""A gateway in a cluster, as kubectl shows it; and waiting for what it is to become."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.faults import Faults
from harness.kubectl import CommandFailedError, is_true
from harness.own_cluster import OwnCluster
from harness.waiting import GaveUpWaitingError

from . import installation, manifests
from .manifests import GATEWAY, RELEASE, SHARDS_PER_POD
from .services import Bot, Discord

PATIENCE_S = 180.0
"""For a gateway to be at rest: the machine may be busy with more than this."""

_OF_GATEWAY = f"discordgateway.dev/gateway={GATEWAY}"
T = TypeVar("T")
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """`restarts` of its container; `leaving`: it was told to end."""

    name: str
    uid: str
    node: str
    image: str
    restarts: int
    ready: bool
    leaving: bool

    @classmethod
    def read(cls, body: Body) -> "Pod":
        statuses = body["status"].get("containerStatuses", [])
        return cls(
            name=body["metadata"]["name"],
            uid=body["metadata"]["uid"],
            node=body["spec"].get("nodeName", ""),
            image=body["spec"]["containers"][0]["image"],
            restarts=sum(one["restartCount"] for one in statuses),
            ready=is_true(body, "Ready"),
            leaving="deletionTimestamp" in body["metadata"],
        )


class World:
    """Namespace, operator, Discord and bot; `create` makes the gateway, last at rest with so many `shards`."""

    def __init__(self, cluster: OwnCluster, faults: Faults, namespace: str, image: str) -> None:
        self.cluster = cluster
        self.faults = faults
        self.namespace = namespace
        self.image = image
        self.second_image = installation.second_name(image, namespace)
        self.shards = 0
        installation.install(cluster, namespace, image)
        installation.name_again(cluster, image, self.second_image)
        discord, bot = self._pod_of("app.kubernetes.io/name=discord-gateway-simulator"), self._pod_of("app=bot")
        self.node_of_discord = discord["spec"]["nodeName"]
        address = discord["status"]["podIP"]
        self.discord = Discord(cluster, namespace, discord["metadata"]["name"], address)
        self.bot = Bot(bot["status"]["podIP"])

    def _pod_of(self, selector: str) -> Body:
        return self.cluster.wait_for_ready_pods(selector, self.namespace, 1)[0]

    def create(self, shards: int) -> None:
        self.cluster.apply(manifests.gateway(self.namespace, shards), namespace=self.namespace)
        self.shards = shards

    def change(self, spec: Body) -> None:
        """A merge patch of the gateway's spec."""
        patch = ("patch", "discordgateway", GATEWAY, "--type=merge", "-p", json.dumps({"spec": spec}))
        self.kubectl(*patch)

    def kubectl(self, *words: str, timeout_s: float = 60) -> str:
        return self.cluster.kubectl(*words, namespace=self.namespace, timeout_s=timeout_s)

    # What is seen

    def gateway(self) -> Body:
        return self.cluster.get("discordgateway", GATEWAY, namespace=self.namespace)

    def pods(self) -> list[Pod]:
        """Its shard pods, in the order of their names."""
        found = self.cluster.items("pods", "-l", _OF_GATEWAY, namespace=self.namespace)
        return sorted(map(Pod.read, found), key=lambda pod: pod.name)

    def operators(self) -> list[Pod]:
        of_operator = f"app.kubernetes.io/name=discord-gateway-operator,app.kubernetes.io/instance={RELEASE}"
        found = self.cluster.items("pods", "-l", of_operator, namespace=self.namespace)
        return sorted(map(Pod.read, found), key=lambda pod: pod.name)

    def leader(self) -> Pod:
        """The operator's replica that leads."""

        def leads() -> Pod | None:
            holder = self.cluster.get("lease", RELEASE, namespace=self.namespace)["spec"].get("holderIdentity")
            return next((pod for pod in self.operators() if pod.name == holder and not pod.leaving), None)

        return self.until(leads, "a replica of the operator to lead")

    def state(self) -> Body:
        """What the operator has stored, before it acted on it."""
        found = self.cluster.get("configmap", f"{GATEWAY}-state", namespace=self.namespace)
        return dict(json.loads(found["data"]["state.json"])) if found else {}

    def term(self) -> int:
        """Counts up with every operator that takes the gateway up."""
        return int(self.state().get("term", 0))

    def phase(self) -> str | None:
        reshard = self.gateway().get("status", {}).get("reshard")
        return None if reshard is None else str(reshard["phase"])

    # Waiting

    def until(self, condition: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
        try:
            return self.cluster.wait_until(condition, what, within_s)
        except GaveUpWaitingError as gave_up:
            raise AssertionError(f"{gave_up}\n{self._told()}") from None

    def at_rest(self, shards: int, within_s: float = PATIENCE_S) -> None:
        """Wait until so many shards deliver everything, and every pod is what it should be."""
        why: list[str] = ["nothing was seen"]

        def rests() -> bool:
            why[:] = _unrest(self.gateway(), self.pods(), shards) or _unconnected(self.discord.connected(), shards)
            return not why

        try:
            self.until(rests, f"{shards} shards at rest", within_s)
        except AssertionError as gave_up:
            raise AssertionError(f"{'; '.join(why)}: {gave_up}") from None
        self.shards = shards

    def _told(self) -> str:
        """For a person: the gateway and its pods, and the last words of the operator."""
        try:
            status = self.gateway().get("status", {})
            pods = "\n".join(map(str, (*self.pods(), *self.operators())))
        except CommandFailedError as failed:
            return str(failed)
        # Of one whose node is gone there is no log, and kubectl takes that for a failure.
        of_operator = ("logs", f"deployment/{RELEASE}", "--tail=15", "--all-pods=true", "--prefix")
        said = self.cluster.kubectl(*of_operator, namespace=self.namespace, check=False)
        return f"{json.dumps(status)}\n{pods}\n{said}"


def _unrest(gateway: Body, pods: list[Pod], shards: int) -> list[str]:
    """What the gateway still has to do; nothing when it is at rest."""
    status = gateway.get("status", {})
    if status.get("observedGeneration") != gateway["metadata"]["generation"]:
        return ["the operator has not seen the present spec"]
    rollout, expected = status.get("rollout", {}), -(-shards // SHARDS_PER_POD)
    ready = [pod for pod in pods if pod.ready and not pod.leaving]
    checks = {
        f"{status.get('readyShards')} of {status.get('shards')} shards are ready": status.get("readyShards")
        == status.get("shards")
        == shards,
        "it reshards": "reshard" not in status,
        "not Ready": is_true(gateway, "Ready"),
        "Progressing": not is_true(gateway, "Progressing"),
        f"rollout {rollout}": rollout.get("replaced") == rollout.get("pods") and not rollout.get("leaving"),
        f"{len(ready)} of {len(pods)} pods are ready, and should be {expected}": len(ready) == len(pods) == expected,
    }
    return [what for what, holds in checks.items() if not holds]


def _unconnected(connected: list[tuple[int, int]], shards: int) -> list[str]:
    wanted = [(shard, shards) for shard in range(shards)]
    return [] if connected == wanted else [f"Discord is connected to {connected}"]
