"""A namespace with all that a run needs, installed as its users do; and its end."""

import json
import subprocess

from harness.own_cluster import OwnCluster
from harness.places import ROOT

from . import manifests
from .manifests import GATEWAY, RELEASE

CHART = ROOT / "charts" / "discord-gateway-operator"
DEFINITION = ROOT / "crds" / "discordgateways.yaml"
READY_WITHIN_S = 180.0


def install(cluster: OwnCluster, namespace: str, image: str) -> None:
    """Operator, Discord and bot, all of them ready; no gateway yet."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    upgrade(cluster, namespace, image)
    cluster.apply(manifests.bot(image), namespace=namespace)
    for name in (RELEASE, manifests.SIMULATOR, "bot"):
        wait_for_deployment(cluster, namespace, name)


def upgrade(cluster: OwnCluster, namespace: str, image: str, **others: object) -> None:
    """The chart with that image; `others` are values besides the usual ones."""
    values = {**manifests.chart_values(namespace, image), **others}
    words = [word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
    cluster.helm("upgrade", "--install", RELEASE, str(CHART), *words, namespace=namespace)


def wait_for_deployment(cluster: OwnCluster, namespace: str, name: str) -> None:
    within = f"--timeout={READY_WITHIN_S:.0f}s"
    words = ("rollout", "status", f"deployment/{name}", within)
    cluster.kubectl(*words, namespace=namespace, timeout_s=READY_WITHIN_S + 10)


def remove(cluster: OwnCluster, namespace: str, image: str) -> None:
    """The gateway first, while there is an operator."""
    gone = ("delete", "discordgateway", GATEWAY, "--ignore-not-found", "--timeout=30s")
    cluster.kubectl(*gone, namespace=namespace, check=False)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found", check=False)
    _on_all_nodes(cluster, "rm", second_name(image, namespace))


def second_name(image: str, namespace: str) -> str:
    """By which the image of a run is another one for Kubernetes."""
    return f"{image.rpartition(':')[0]}:{namespace}"


def name_again(cluster: OwnCluster, image: str, second: str) -> None:
    """Give an image that every node has a second name there."""
    _on_all_nodes(cluster, "tag", "--force", image, second)


def _on_all_nodes(cluster: OwnCluster, *about_images: str) -> None:
    for machine in cluster.machines.values():
        words = machine._ctr("images", *about_images)
        subprocess.run(words, check=True, capture_output=True, timeout=60)
