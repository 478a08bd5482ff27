"""The Lease that the operator's replicas elect their leader by, at the API server."""

from .api import LEASE, ApiError, KubeApi
from .elector import LeaseConflictError, LeaseObject


class KubeLeases:
    """The elector's `LeaseStore`."""

    def __init__(self, api: KubeApi, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name

    async def read(self) -> LeaseObject | None:
        return await self._api.get(LEASE, self._namespace, self._name)

    async def create(self, lease: LeaseObject) -> None:
        labels = {"app.kubernetes.io/name": "discord-gateway-operator"}
        metadata = {"namespace": self._namespace, "name": self._name, "labels": labels}
        with _conflicts():
            await self._api.create(LEASE, lease | {"metadata": metadata})

    async def replace(self, lease: LeaseObject) -> None:
        with _conflicts():
            await self._api.replace(LEASE, lease)


class _conflicts:  # noqa: N801 -- used as a statement
    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ApiError) and error.conflict:
            raise LeaseConflictError from error
