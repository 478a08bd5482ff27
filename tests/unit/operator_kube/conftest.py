"""A gateway as a cluster has it, and what an API server's own schema says of a status."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway_operator.core.status_model import (
    Condition,
    ConditionStatus,
    GatewayStatus,
    Phase,
    RangeStatus,
    ReshardStatus,
    ShardSetStatus,
)
from gateway_operator.core.world import PodSpec
from gateway_operator.kube.deployment import deployment
from gateway_operator.kube.names import Owner
from gateway_operator.kube.pod_template import PodSettings
from gateway_operator.model import Spec, parse_manifest
from shardpod.contract import ShardRange

DEFINITION = Path(__file__).parents[3] / "crds" / "discordgateways.yaml"

OWNER = Owner(namespace="bots", name="mybot", uid="5b7f6f0e-7f0c-4d3a-9f2f-0b8e6c0f9d11")
SETTINGS = PodSettings(image="discord-gateway:1", control_host="dgw-control.system.svc")
POD = PodSpec("mybot-e1-0-15", 1, ShardRange(first_shard_id=0, last_shard_id=15))

SpecOf = Callable[..., Spec]
Built = Callable[..., dict[str, Any]]
StatusOf = Callable[..., GatewayStatus]


@pytest.fixture(scope="session")
def owner() -> Owner:
    return OWNER


@pytest.fixture(scope="session")
def settings() -> PodSettings:
    return SETTINGS


@pytest.fixture(scope="session")
def pod() -> PodSpec:
    return POD


def _spec(**fields: Any) -> Spec:
    delivery = {"sink": {"http": {"url": "http://bot:8080/"}}} | fields.pop("delivery", {})
    spec = {"tokenSecretRef": {"name": "mybot-token", "key": "token"}, "intents": ["Guilds"], "delivery": delivery}
    manifest = {
        "apiVersion": "discordgateway.dev/v1alpha1",
        "kind": "DiscordGateway",
        "metadata": {"name": "mybot"},
        "spec": spec | fields,
    }
    return parse_manifest(manifest).spec


@pytest.fixture(scope="session")
def spec_of() -> SpecOf:
    """The spec of a small manifest with these fields changed. Raises ManifestError."""
    return _spec


@pytest.fixture(scope="session")
def built() -> Built:
    """The Deployment of `POD`, by these fields of the spec."""

    def build(*, settings: PodSettings = SETTINGS, pod: PodSpec = POD, **fields: Any) -> dict[str, Any]:
        return deployment(
            pod, owner=OWNER, spec=_spec(**fields), revision="0123456789abcdef", wanted_number=8, settings=settings
        )

    return build


@pytest.fixture(scope="session")
def status_schema() -> dict[str, Any]:
    definition = yaml.safe_load(DEFINITION.read_text())
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


CALM = {
    "Ready": (True, "AllShardsConnected", "all 16 shards are connected"),
    "Progressing": (False, "Complete", "nothing is left to do"),
    "Resharding": (False, "NotResharding", "the number of shards is as it should be"),
    "Degraded": (False, "NothingWrong", "nothing is wrong"),
    "IdentifyBudgetOK": (True, "BudgetLeft", "900 of 1000 identifies are left"),
}


@pytest.fixture(scope="session")
def status_of() -> StatusOf:
    """All is well, but for the fields given, and the conditions given as `Degraded=(True, reason, message)`."""

    def status(**fields: Any) -> GatewayStatus:
        conditions = CALM | {name: fields.pop(name) for name in list(fields) if name[0].isupper()}
        active = ShardSetStatus(
            epoch=1, shard_count=16, ranges=(RangeStatus(first_shard_id=0, last_shard_id=15),), ready=16
        )
        calm: dict[str, Any] = {
            "name": "mybot",
            "phase": Phase.RUNNING,
            "conditions": tuple(
                Condition(
                    type=kind,
                    status=ConditionStatus.TRUE if holds else ConditionStatus.FALSE,
                    reason=reason,
                    message=message,
                )
                for kind, (holds, reason, message) in conditions.items()
            ),
            "shards": 16,
            "ready_shards": 16,
            "guilds": 1000,
            "active": active,
            "session_start_limit": None,
            "recommended_shards": 16,
            "shard_rows": (),
        }
        return GatewayStatus(**calm | fields)

    return status


@pytest.fixture(scope="session")
def reshard_of() -> Callable[..., ReshardStatus]:
    """A reshard from 16 to 32 shards, of which `handed` ranges are handed over."""

    def reshard(phase: str, *, handed: int = 0, ranges: int = 2, **fields: Any) -> ReshardStatus:
        known: dict[str, Any] = {
            "phase": phase,
            "reason": "recommended by Discord",
            "from_": 16,
            "to": 32,
            "ranges": ranges,
            "handed_ranges": tuple(RangeStatus(first_shard_id=i, last_shard_id=i) for i in range(handed)),
            "started_at": datetime(2026, 1, 2, tzinfo=UTC),
            "progress": phase,
            "message": f"from 16 to 32 shards: {phase}",
        }
        return ReshardStatus(**known | fields)

    return reshard
