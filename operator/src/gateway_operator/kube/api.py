"""The Kubernetes API as the operator uses it: plain dicts by kind, namespace and name, over `kubernetes.aio`'s client.

Only connection, certificates and tokens are the client's; its generated models would drop what they do not know.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from gateway_operator.model import API_VERSION

from .names import FIELD_MANAGER

Object = dict[str, Any]
"""An object of the API, as JSON has it."""

REQUEST_TIMEOUT = 10.0
"""Seconds until an answer; whatever was asked for is asked again in a later pass."""

_LONGEST_TEXT = 200
"""Characters that are shown of an answer that is none of the API's."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where objects of a kind are found: `api_version` as in the object, `plural` as in the path."""

    api_version: str
    name: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root, *(("namespaces", namespace) if namespace else ()), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


GATEWAY = Kind(API_VERSION, "DiscordGateway", "discordgateways")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
POD = Kind("v1", "Pod", "pods")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
EVENT = Kind("v1", "Event", "events")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")


class ApiError(OSError):
    """The API server cannot be reached, or refuses; `status` is its HTTP status, 0 without an answer.

    `said`: what it answered in words, without what it was asked. `about`: the name of the object that it is about.
    """

    def __init__(self, message: str, status: int = 0, said: str = "", about: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.said = said or message
        self.about = about

    @property
    def conflict(self) -> bool:
        """Somebody else has written meanwhile, or has made it already."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def refused(self) -> bool:
        """The object itself is not accepted, and will not be when it is tried again."""
        return self.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)


class KubeApi:
    """All methods raise ApiError."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None if the API server says of this very object that there is none.

        A proxy in between, or an API server that does not serve the kind yet, answers 404 as well: a gateway would seem
        to be deleted, and its shards end.
        """
        try:
            return await self._request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND and error.about == name:
                return None
            raise

    async def find(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Object]:
        """All objects that the label selector selects, in one namespace or in all; each with apiVersion and kind."""
        query = {"labelSelector": selector} if selector else {}
        answer = await self._request("GET", kind.path(namespace), query=query)
        return [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer.get("items") or ()]

    async def apply(self, kind: Kind, wanted: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply: our fields become as wanted, those of others stay."""
        metadata = wanted["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._request("PATCH", path, body=wanted, query=query, content="application/apply-patch+yaml")

    async def create(self, kind: Kind, wanted: Object) -> Object:
        """Make it; a conflict if it is there already."""
        return await self._request("POST", kind.path(wanted["metadata"]["namespace"]), body=wanted)

    async def replace(self, kind: Kind, wanted: Object) -> Object:
        """Write it whole; a conflict unless its `resourceVersion` is the one that is there."""
        metadata = wanted["metadata"]
        return await self._request("PUT", kind.path(metadata["namespace"], metadata["name"]), body=wanted)

    async def patch(
        self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any], *, subresource: str | None = None
    ) -> Object:
        """A JSON merge patch (RFC 7396)."""
        path = kind.path(namespace, name, subresource)
        return await self._request("PATCH", path, body=change, content="application/merge-patch+json")

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """See that it goes, and all that it owns; only if it is the one of this `uid`. Nothing if it is gone."""
        body: Object = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            await self._request("DELETE", kind.path(namespace, name), body=body)
        except ApiError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            method, url, headers, payload, _ = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(method, url, headers, payload, _request_timeout=REQUEST_TIMEOUT)
            await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError, config.ConfigException) as error:
            raise ApiError(f"the Kubernetes API cannot be reached: {str(error) or type(error).__name__}") from error
        text = _text(response)
        answer = _object(text)
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            said = str((answer or {}).get("message") or text[:_LONGEST_TEXT] or response.reason)
            raise ApiError(f"{method} {path}: {said}", response.status, said, about=_about(answer))
        if answer is None and text:
            raise ApiError(f"{method} {path}: the answer is no object of the API: {text[:_LONGEST_TEXT]}")
        return answer or {}


def _text(response: Any) -> str:
    """The client says that there is never any content, until it has been read."""
    return bytes(response.data or b"").decode(errors="replace")


def _object(text: str) -> Object | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _about(status: Object | None) -> str:
    """The name in the details of a Status object (API conventions: Response Status Kind)."""
    details = (status or {}).get("details")
    return str(details.get("name", "")) if isinstance(details, dict) else ""


async def connect() -> KubeApi:
    """By the service account in a pod, else by the user's kubeconfig. Raises ApiError."""
    settings = client.Configuration()
    try:
        try:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise ApiError(f"no way to the Kubernetes API is configured: {error}") from error
    return KubeApi(client.ApiClient(configuration=settings))
