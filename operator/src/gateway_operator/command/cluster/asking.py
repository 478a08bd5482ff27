"""Connects to the cluster that was chosen, and words what goes wrong there."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway_operator.command.errors import EXIT_NOT_DONE, GatewayNotRunningError, UserError
from gateway_operator.command.places import asked_gateway
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.kube.client.api import RESOURCE, ClusterError, Trouble
from gateway_operator.kube.client.connection import connected
from gateway_operator.kube.client.execution import Runner
from gateway_operator.kube.client.gateways import Gateways
from gateway_operator.kube.client.leader import Leader

from .choice import Chosen

_Result = TypeVar("_Result")

_PREFIXES = ("dgw/", "discordgateway/", f"{RESOURCE}/", f"{RESOURCE}.discordgateway.dev/")
"""As kubectl prints and takes names."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """`name` is the gateway that was asked for; None if none was named."""

    gateways: Gateways
    leader: Leader
    runner: Runner
    name: str | None

    async def one(self) -> str:
        """The name that was given, else that of the only gateway; raises ClusterError."""
        return self.name or await self.gateways.only()

    async def look(self, name: str) -> GatewayStatus | None:
        """Its status; None while there is none that knows the resource as it is, or nothing answers."""
        try:
            resource = await self.gateways.get(name)
        except ClusterError as error:
            if error.trouble is Trouble.UNREACHABLE:
                return None
            raise
        return resource.status if resource.up_to_date else None


class ClusterAwayError(UserError):
    exit_code = EXIT_NOT_DONE


def on_cluster(chosen: Chosen, file_or_name: str | None, work: Callable[[Cluster], Awaitable[_Result]]) -> _Result:
    """What `work` returns; raises UserError."""
    try:
        return asyncio.run(_connected(chosen, file_or_name, work))
    except ClusterError as error:
        match error.trouble:
            case Trouble.UNREACHABLE:
                raise ClusterAwayError(str(error)) from None
            case Trouble.NOT_FOUND | Trouble.NOT_INSTALLED:
                raise GatewayNotRunningError(str(error)) from None
        raise UserError(str(error)) from None


async def _connected(
    chosen: Chosen, file_or_name: str | None, work: Callable[[Cluster], Awaitable[_Result]]
) -> _Result:
    name, namespace = _asked(file_or_name)
    async with connected(chosen.kubeconfig, chosen.context, os.environ) as connection:
        gateways = Gateways(connection, chosen.namespace or namespace or connection.namespace)
        leader = Leader(connection, operator_namespace=chosen.operator_namespace)
        return await work(Cluster(gateways, leader, connection, name))


def _asked(file_or_name: str | None) -> tuple[str | None, str | None]:
    if file_or_name is None:
        return None, None
    for prefix in _PREFIXES:
        if file_or_name.startswith(prefix):
            return file_or_name.removeprefix(prefix), None
    return asked_gateway(file_or_name)
