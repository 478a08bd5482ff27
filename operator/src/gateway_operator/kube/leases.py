"""The Lease that the operator's replicas elect their leader by, at the API server."""

from collections.abc import Iterator
from contextlib import contextmanager

from .api import LEASE, ApiError, KubeApi
from .elector import LeaseConflictError, LeaseObject
from .network_policy import OPERATOR_LABELS


class KubeLeases:
    """The elector's `LeaseStore`."""

    def __init__(self, api: KubeApi, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name

    async def read(self) -> LeaseObject | None:
        return await self._api.get(LEASE, self._namespace, self._name)

    async def create(self, lease: LeaseObject) -> None:
        metadata = {"namespace": self._namespace, "name": self._name, "labels": dict(OPERATOR_LABELS)}
        with _conflicts():
            await self._api.create(LEASE, lease | {"metadata": metadata})

    async def replace(self, lease: LeaseObject) -> None:
        with _conflicts():
            await self._api.replace(LEASE, lease)


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.conflict:
            raise LeaseConflictError from error
        raise
