"""The objects beside a gateway's Deployments: its control secret, its disruption budget, its network policy."""

import base64
import secrets
from collections.abc import Callable

from gateway_operator.core.world import ShardSet

from .api import DISRUPTION_BUDGET, NETWORK_POLICY, SECRET, Kind, KubeApi, Object
from .disruption_budget import disruption_budget
from .names import CONTROL_SECRET_KEY, Owner, control_secret_name, is_of_another, policy_name
from .network_policy import network_policy

SECRET_BYTES = 32

APPLY_AGAIN = 60.0
"""Seconds after which all are applied again, though they should be there."""


async def control_secret(api: KubeApi, owner: Owner) -> str:
    """The secret by which pods and operator know each other: made once, so that pods can dial every next operator."""
    name = control_secret_name(owner.name)
    found = await api.get(SECRET, owner.namespace, name)
    value = None if found is None else _value(found)
    if found is not None and value is not None and not is_of_another(owner, found):
        return value
    value = value or secrets.token_urlsafe(SECRET_BYTES)
    wanted = _control_secret(owner, value)
    if found is None:
        await api.create(SECRET, wanted)
    else:
        # Somebody has emptied it; or it is an earlier resource's, and would be collected with that. Only as it was
        # found: another may have written a value meanwhile.
        unchanged = {"resourceVersion": found["metadata"]["resourceVersion"]}
        ours = unchanged | {"ownerReferences": wanted["metadata"]["ownerReferences"]}
        await api.patch(SECRET, owner.namespace, name, {"metadata": ours, "data": wanted["data"]})
    return value


def _control_secret(owner: Owner, value: str) -> Object:
    data = {CONTROL_SECRET_KEY: base64.b64encode(value.encode()).decode()}
    metadata = owner.metadata(control_secret_name(owner.name))
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def _value(secret: Object) -> str | None:
    try:
        return base64.b64decode((secret.get("data") or {})[CONTROL_SECRET_KEY]).decode() or None
    except (KeyError, ValueError):
        return None


class Companions:
    """Keeps them as the active shard set wants them. While that stays the same they are only applied now and then."""

    def __init__(
        self, api: KubeApi, owner: Owner, *, secret: str, operator_namespace: str, clock: Callable[[], float]
    ) -> None:
        self._api = api
        self._owner = owner
        self._secret = secret
        self._operator_namespace = operator_namespace
        self._clock = clock
        self._apply_again_at = clock() + APPLY_AGAIN
        self._applied: dict[str, Object | None] = {}

    async def follow(self, active: ShardSet | None) -> None:
        if (now := self._clock()) >= self._apply_again_at:
            # Somebody may have deleted one: without the secret no new pod starts.
            self._applied.clear()
            self._apply_again_at = now + APPLY_AGAIN
        await self._settle(SECRET, _control_secret(self._owner, self._secret))
        await self._settle(NETWORK_POLICY, network_policy(self._owner, operator_namespace=self._operator_namespace))
        await self._settle(DISRUPTION_BUDGET, None if active is None else disruption_budget(self._owner, active))

    async def _settle(self, kind: Kind, wanted: Object | None) -> None:
        if kind.name in self._applied and self._applied[kind.name] == wanted:
            return
        if wanted is None:
            await self._api.delete(kind, self._owner.namespace, policy_name(self._owner.name))
        else:
            await self._api.apply(kind, wanted)
        self._applied[kind.name] = wanted
