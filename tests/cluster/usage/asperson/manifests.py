"""Gateways on the simulated Discord, and Secrets for them."""

from typing import Any

from .readme import QUICK_RESHARD

Manifest = dict[str, Any]


def secret(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def gateway(name: str, operator_namespace: str = "elsewhere", *, token: str | None = None, **spec: Any) -> Manifest:
    """`token`: the name of the Secret, which is otherwise the gateway's; `spec` goes over the usual one."""
    usual = {
        "tokenSecretRef": {"name": token or name, "key": "token"},
        "intents": ["Guilds", "GuildMessages"],
        "discord": {"baseURL": f"http://discord-gateway-operator-simulator.{operator_namespace}:8080/api/v10"},
        "reshard": QUICK_RESHARD,
        "delivery": {"sink": {"http": {"url": "http://bot:8080/"}}},
    }
    return {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "metadata": {"name": name},
        "spec": usual | spec,
    }
