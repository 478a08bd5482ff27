"""The DiscordGateway resources of a cluster: read, scaled and annotated for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.kube.names import PREFIX
from gateway_operator.kube.status_body import read_status
from gateway_operator.model import API_VERSION

from .api import RESOURCE, Api, ClusterError, Request, Trouble, objects


@dataclass(frozen=True, slots=True)
class Resource:
    """One DiscordGateway. `status` is None until an operator has written one.

    `up_to_date`: whether that operator knew the spec as it is now. `held`: the field by which a person holds it.
    """

    namespace: str
    name: str
    shards: int | None
    annotations: Mapping[str, str]
    status: GatewayStatus | None
    up_to_date: bool
    held: str | None


class Gateways:
    """Those of one namespace. All methods raise ClusterError."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.namespace = namespace
        self._api = api

    async def listed(self, *, everywhere: bool = False) -> list[Resource]:
        """Those of the namespace, or of all namespaces, sorted."""
        namespace = None if everywhere else self.namespace
        found = await objects(self._api, Request("list", RESOURCE, namespace, _path(namespace)))
        return sorted(map(_resource, found.get("items") or ()), key=lambda one: (one.namespace, one.name))

    async def get(self, name: str) -> Resource:
        try:
            return _resource(await objects(self._api, self._request("get", name)))
        except ClusterError as error:
            if error.trouble is not Trouble.NOT_FOUND:
                raise
            raise ClusterError(Trouble.NOT_FOUND, await self._none_such(name)) from None

    async def only(self) -> str:
        """The name of the only one that there is."""
        names = [one.name for one in await self.listed()]
        if not names:
            text = f"no DiscordGateway is in namespace {self.namespace}: name another with -n, or `kubectl apply` one"
            raise ClusterError(Trouble.NOT_FOUND, text)
        if len(names) > 1:
            text = f"several gateways are in namespace {self.namespace}, name one of them: {', '.join(names)}"
            raise ClusterError(Trouble.REFUSED, text)
        return names[0]

    async def change(self, name: str, *, spec: Mapping[str, Any] | None = None, **annotations: str | None) -> None:
        """Merge into the spec, and set or (None) remove the annotations `reshard` and `restart`."""
        noted = {f"{PREFIX}{key}": value for key, value in annotations.items()}
        body = ({"metadata": {"annotations": noted}} if noted else {}) | ({"spec": spec} if spec else {})
        await objects(self._api, self._request("patch", name, body=body))

    async def scale(self, name: str, shards: int) -> None:
        """By the scale subresource, as `kubectl scale`; by the resource itself for those who may only that."""
        body = {"spec": {"replicas": shards}}
        try:
            await objects(self._api, self._request("patch", name, subresource="scale", body=body))
        except ClusterError as error:
            if error.trouble is not Trouble.FORBIDDEN:
                raise
            await self.change(name, spec={"shards": shards})

    async def _none_such(self, name: str) -> str:
        text = f"there is no DiscordGateway {name} in namespace {self.namespace}"
        try:
            names = [one.name for one in await self.listed()]
        except ClusterError:
            return text
        return f"{text}: there is {', '.join(names) or 'none at all; is it in another, to be named with -n?'}"

    def _request(
        self, verb: str, name: str, *, subresource: str | None = None, body: Mapping[str, Any] | None = None
    ) -> Request:
        # Strictly: a field that an older definition does not know would vanish in silence.
        strictly = "?fieldValidation=Strict" if verb == "patch" else ""
        more = f"/{subresource}" if subresource else ""
        path = f"{_path(self.namespace)}/{name}{more}{strictly}"
        return Request(verb, RESOURCE + more, self.namespace, path, body)


def _path(namespace: str | None) -> str:
    within = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{within}/{RESOURCE}"


def _resource(found: Mapping[str, Any]) -> Resource:
    metadata, spec, status = found["metadata"], found.get("spec") or {}, found.get("status")
    return Resource(
        namespace=metadata["namespace"],
        name=metadata["name"],
        shards=spec.get("shards"),
        annotations=metadata.get("annotations") or {},
        status=_status(metadata["name"], status) if status else None,
        up_to_date=(status or {}).get("observedGeneration", 0) >= metadata.get("generation", 0),
        held=next((f"spec.{switch}" for switch in ("suspend", "paused") if spec.get(switch)), None),
    )


def _status(name: str, written: Mapping[str, Any]) -> GatewayStatus:
    try:
        return read_status(name, written)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        text = f"the status of {name} is not of this version of the command (status.{where}): update one of the two"
        raise ClusterError(Trouble.REFUSED, text) from None
