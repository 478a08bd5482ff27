"""What the world is made of: the chart's values, the bot, the gateway."""

from pathlib import Path
from typing import Any

Manifest = dict[str, Any]

GATEWAY = "lossless"
RELEASE = "op"
SIMULATOR = f"{RELEASE}-simulator"
MARK = "lossless"
"""Label, with the namespace as its value, of the pods that a drained node has to let go: Discord and the bot stay."""

SHARDS_PER_POD = 2
MAX_CONCURRENCY = 8
GUILDS = 160
"""20 guilds a shard of eight: Discord can replay the last 1,500 events of each, some 80 s of this load."""

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}


def chart_values(namespace: str, image: str) -> Manifest:
    repository, _, tag = image.rpartition(":")
    return {
        "fullnameOverride": RELEASE,
        "image": {"repository": repository, "tag": tag},
        "watchNamespaces": [namespace],
        # Nothing that is not in the namespace: so it all goes with it, and others' installations are in nobody's way.
        "crds": {"enabled": False},
        "rbac": {"aggregateRoles": False},
        "podLabels": {MARK: namespace},
        "simulator": {
            "enabled": True,
            "guilds": GUILDS,
            "rate": 0,
            "maxConcurrency": MAX_CONCURRENCY,
            # Without numbers in them some events are the same, content for content, as Discord's may be.
            "extraArgs": ["--no-event-numbers", "--heartbeat-interval=10000"],
        },
    }


def bot(image: str) -> list[Manifest]:
    """On the node where Discord is: neither of them is what the faults are about."""
    labels = {"app": "bot"}
    script = (Path(__file__).parent / "recording_bot.py").read_text()
    container = {
        "name": "bot",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["python", "/bot/bot.py"],
        "readinessProbe": {"httpGet": {"path": "/summary", "port": 8080}, "periodSeconds": 2, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": _SECURITY,
        "volumeMounts": [{"name": "script", "mountPath": "/bot"}],
    }
    beside = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "discord-gateway-simulator"}},
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": _POD_SECURITY,
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside]}},
        "containers": [container],
        "volumes": [{"name": "script", "configMap": {"name": "bot"}}],
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bot"}, "data": {"bot.py": script}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "bot"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # there is one, which remembers all
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "bot"},
            "spec": {"selector": labels, "ports": [{"port": 8080, "targetPort": 8080}]},
        },
    ]


def gateway(namespace: str, shards: int) -> list[Manifest]:
    spec = {
        "tokenSecretRef": {"name": GATEWAY, "key": "token"},
        "intents": [53608447],
        "discord": {"baseURL": f"http://{SIMULATOR}.{namespace}:8080/api/v10"},
        "shards": shards,
        "sharding": {"shardsPerPod": SHARDS_PER_POD, "shardsPerWorker": SHARDS_PER_POD},
        "reshard": {
            "maxSkew": "500ms",
            "fenceTimeout": "1s",
            "settle": "1s",
            "drainDelay": "2s",
            "abortAfter": "10m",
        },
        "delivery": {
            "timeout": "10s",
            "sink": {"http": {"url": f"http://bot.{namespace}:8080/"}},
            "queue": {"maxEvents": 20000, "maxBytes": "64Mi", "spool": {"maxBytes": "128Mi"}},
        },
        "template": {"metadata": {"labels": {MARK: namespace}}},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": GATEWAY},
            "stringData": {"token": "simulator-token"},
        },
        {
            "apiVersion": "discordgateway.dev/v1alpha1",
            "kind": "DiscordGateway",
            "metadata": {"name": GATEWAY},
            "spec": spec,
        },
    ]
