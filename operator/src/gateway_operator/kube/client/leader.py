"""The operator's own HTTP, through the API server's proxy: the only way to a pod that needs no port of its own.

Which pod leads stands in the Lease. It is looked for by the operator's label, as its namespace and name are the
installation's own.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from gateway_operator.core.reshard_order import ReshardPreview
from gateway_operator.core.status_model import GatewayStatus

from .api import Api, ClusterError, Request, Trouble, objects, refusal

OPERATOR = "discord-gateway-operator"
PORT = 8080

_SELECTOR = f"labelSelector=app.kubernetes.io%2Fname%3D{OPERATOR}"


class LeaderError(Exception):
    """Why the leader cannot be asked, in a line for people."""


class Leader:
    """All methods raise LeaderError. `operator_namespace` is where operators are looked for; None: everywhere."""

    def __init__(self, api: Api, *, operator_namespace: str | None) -> None:
        self._api = api
        self._operator_namespace = operator_namespace

    async def status(self, namespace: str, name: str) -> tuple[GatewayStatus, str]:
        """As it knows it now, and as the JSON that it told."""
        text = await self._told(namespace, name, "status")
        try:
            return GatewayStatus.model_validate_json(text), text
        except ValidationError:
            raise LeaderError("the operator is of another version than this command: update one of the two") from None

    async def preview(self, namespace: str, name: str, to: int | None) -> ReshardPreview:
        """What a reshard would do and cost."""
        text = await self._told(namespace, name, "reshard" if to is None else f"reshard?to={to}")
        try:
            return ReshardPreview.model_validate_json(text)
        except ValidationError:
            raise LeaderError("the operator is of another version than this command: update one of the two") from None

    async def _told(self, namespace: str, name: str, what: str) -> str:
        """By the first operator that knows the gateway: several may each watch some of the namespaces."""
        try:
            leases = await self._leases(namespace)
            last = "no operator was found: is its chart installed, and does it run?"
            for lease in leases:
                told, last = await self._ask(lease, f"v1/gateways/{namespace}/{name}/{what}")
                if told is not None:
                    return told
        except ClusterError as error:
            raise LeaderError(str(error)) from None
        raise LeaderError(last)

    async def _ask(self, lease: Mapping[str, Any], path: str) -> tuple[str | None, str]:
        """What it tells; or None, and why it tells nothing."""
        where = lease["metadata"]["namespace"]
        # What follows an underscore tells one run from another; the name of a pod has none.
        pod = str((lease.get("spec") or {}).get("holderIdentity") or "").split("_")[0]
        if not pod:
            return None, f"no operator leads in namespace {where}: see `kubectl get pods -n {where}`"
        request = Request("get", "pods/proxy", where, f"/api/v1/namespaces/{where}/pods/http:{pod}:{PORT}/proxy/{path}")
        answer = await self._api.ask(request)
        if answer.status == HTTPStatus.OK:
            return answer.text, ""
        if answer.refusal is None:
            return None, f"the operator {pod} says: {answer.text[:300] or answer.status}"
        refused = refusal(request, answer)
        if refused.trouble is Trouble.FORBIDDEN:
            raise refused
        return None, f"the operator {pod} in namespace {where} does not answer ({answer.refusal.get('message')})"

    async def _leases(self, gateway_namespace: str) -> list[dict[str, Any]]:
        """The Leases of all operators that may be seen; raises ClusterError if none may."""
        if self._operator_namespace is not None:
            return await self._leases_in(self._operator_namespace)
        try:
            return await self._leases_in(None)
        except ClusterError as everywhere:
            if everywhere.trouble is not Trouble.FORBIDDEN:
                raise
            try:
                if found := await self._leases_in(gateway_namespace):
                    return found
            except ClusterError:
                pass
            text = f"{everywhere}; or name the operator's namespace with --operator-namespace"
            raise ClusterError(Trouble.FORBIDDEN, text) from None

    async def _leases_in(self, namespace: str | None) -> list[dict[str, Any]]:
        path = f"/apis/coordination.k8s.io/v1{_within(namespace)}/leases?{_SELECTOR}"
        listed = (await objects(self._api, Request("list", "leases", namespace, path))).get("items") or []
        return listed or await self._leases_of_deployments(namespace)

    async def _leases_of_deployments(self, namespace: str | None) -> list[dict[str, Any]]:
        """A Lease without the label is called as the Deployment of the operator is."""
        path = f"/apis/apps/v1{_within(namespace)}/deployments?{_SELECTOR}"
        found = []
        for one in (await objects(self._api, Request("list", "deployments", namespace, path))).get("items") or []:
            where, name = one["metadata"]["namespace"], one["metadata"]["name"]
            path = f"/apis/coordination.k8s.io/v1/namespaces/{where}/leases/{name}"
            answer = await self._api.ask(Request("get", "leases", where, path))
            if answer.status == HTTPStatus.OK:
                found.append(json.loads(answer.body))
        return found


def _within(namespace: str | None) -> str:
    return f"/namespaces/{namespace}" if namespace else ""
