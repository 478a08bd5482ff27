"""One request to the API server, with a person's kubeconfig, and what its refusals mean in a person's words.

Unlike the operator's own `kube/api.py` it names the permission that is missing, and imports the Kubernetes client only
when a cluster is really asked: that takes a second, which commands about this machine need not pay.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Protocol

GROUP = "discordgateway.dev"
RESOURCE = "discordgateways"
MERGE_PATCH = "application/merge-patch+json"

_GROUPS = {RESOURCE: f".{GROUP}", "leases": ".coordination.k8s.io", "deployments": ".apps"}


class Trouble(Enum):
    """Why a cluster did not do what was asked, for those who go on another way."""

    UNUSABLE = auto()
    """No kubeconfig, or one that cannot be used; or credentials that are not accepted."""
    UNREACHABLE = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    NOT_INSTALLED = auto()
    """The cluster does not know the resource."""
    REFUSED = auto()


class ClusterError(Exception):
    """Its text is for people: what is wrong, and what to do."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Request:
    """`verb` on `resource` in `namespace` (None: in all of them) is the permission that it needs."""

    verb: str
    resource: str
    namespace: str | None
    path: str
    body: Mapping[str, Any] | None = None

    @property
    def permission(self) -> str:
        name, _, subresource = self.resource.partition("/")
        full = name + _GROUPS.get(name, "") + (f"/{subresource}" if subresource else "")
        return f"{self.verb} {full} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"

    @property
    def can_i(self) -> str:
        """The command that tells whether one may."""
        name, _, subresource = self.resource.partition("/")
        full = name + _GROUPS.get(name, "") + (f" --subresource={subresource}" if subresource else "")
        return f"kubectl auth can-i {self.verb} {full} {f'-n {self.namespace}' if self.namespace else '-A'}"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def refusal(self) -> dict[str, Any] | None:
        """The API server's own Status object; None where something else answered, such as a pod behind the proxy."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) and found.get("kind") == "Status" else None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").strip()


class Api(Protocol):
    """The API server. Raises ClusterError when nothing answers; every answer is returned, whatever its status."""

    async def ask(self, request: Request) -> Answer: ...


async def objects(api: Api, request: Request) -> dict[str, Any]:
    """The JSON that is answered; raises ClusterError for every refusal."""
    answer = await api.ask(request)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        found: dict[str, Any] = json.loads(answer.body)
        return found
    raise refusal(request, answer)


def refusal(request: Request, answer: Answer) -> ClusterError:
    """What an answer that is no success means."""
    said = answer.refusal or {}
    message = said.get("message") or answer.text[:300] or f"HTTP {answer.status}"
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            text = "the API server does not accept the credentials of the kubeconfig: log in to the cluster again"
            return ClusterError(Trouble.UNUSABLE, text)
        case HTTPStatus.FORBIDDEN:
            return ClusterError(Trouble.FORBIDDEN, _forbidden(request, message))
        case HTTPStatus.NOT_FOUND if request.resource.startswith(RESOURCE) and not _names_an_object(said):
            return ClusterError(Trouble.NOT_INSTALLED, _NOT_INSTALLED)
        case HTTPStatus.NOT_FOUND:
            return ClusterError(Trouble.NOT_FOUND, message)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.CONFLICT | HTTPStatus.UNPROCESSABLE_ENTITY:
            return ClusterError(Trouble.REFUSED, f"the API server refuses it: {message}")
    return ClusterError(Trouble.UNREACHABLE, f"the API server answered {answer.status}: {message}")


_NOT_INSTALLED = (
    "the cluster does not know the resource DiscordGateway: install the chart first, "
    "`helm install discord-gateway-operator charts/discord-gateway-operator -n discord-gateway --create-namespace`; "
    "or is this the wrong cluster? `kubectl config current-context` tells which it is"
)


def _names_an_object(said: Mapping[str, Any]) -> bool:
    """An API server that does not know the resource at all answers with a text, or a Status without a name."""
    return bool((said.get("details") or {}).get("name"))


def _forbidden(request: Request, message: str) -> str:
    user = re.search(r'\bUser ("[^"]*") cannot ', message)
    if user is None:
        # An admission webhook or policy: its own words say more than a missing role.
        return f"you may not {request.permission}: {message}"
    # The user as the server knows him: that is what a role has to be bound to.
    return f"you ({user[1]}) may not {request.permission}: ask for a role that allows it (`{request.can_i}` checks)"
