"""`kubectl dgw status`: the same view as on one machine, its rows told by the operator that leads."""

import json
from datetime import UTC, datetime

import click
from rich.console import RenderableType

from gateway_operator.command.console import print_view
from gateway_operator.command.errors import GatewayNotRunningError
from gateway_operator.command.status_table import status_view
from gateway_operator.core.status_model import GatewayStatus
from gateway_operator.kube.client.gateways import Resource
from gateway_operator.kube.client.leader import LeaderError

from .asking import Cluster, on_cluster
from .choice import Chosen

DEAD_LETTERS = "`kubectl dgw dead-letters list`"

_NO_STATUS = (
    "no operator has reported on it yet: does one run, and does it watch this namespace? "
    "`kubectl get pods -A -l app.kubernetes.io/name=discord-gateway-operator`"
)


def show_on_cluster(chosen: Chosen, file_or_name: str | None, *, output: str | None) -> None:
    """One gateway, or a summary of each if none is named; raises UserError."""
    if file_or_name is None:
        everywhere = chosen.all_namespaces
        _show_all(on_cluster(chosen, None, lambda it: it.gateways.listed(everywhere=everywhere)), chosen, output)
        return
    resource, status, text, problem = on_cluster(chosen, file_or_name, _one)
    if status is None:
        raise GatewayNotRunningError(f"{resource.name}: {_NO_STATUS}", *([problem] if problem else []))
    if output == "json":
        click.echo(text)
    else:
        print_view(_view(status, wide=output == "wide"))
        if not resource.up_to_date:
            click.echo("the last change of the resource is not seen by the operator yet", err=True)
    if problem is not None:
        click.echo(f"as last written to the resource, without the rows of the shards: {problem}", err=True)


async def _one(cluster: Cluster) -> tuple[Resource, GatewayStatus | None, str, str | None]:
    """The resource, the best status there is, that as JSON, and why it is not the leader's."""
    resource = await cluster.gateways.get(await cluster.one())
    try:
        status, text = await cluster.leader.status(resource.namespace, resource.name)
    except LeaderError as problem:
        written = resource.status
        return resource, written, "" if written is None else written.model_dump_json(by_alias=True), str(problem)
    return resource, status, text, None


def _show_all(found: list[Resource], chosen: Chosen, output: str | None) -> None:
    if output == "json":
        click.echo(json.dumps({"gateways": [_as_json(one) for one in found]}))
        return
    if not found:
        where = "in the cluster" if chosen.all_namespaces else "in this namespace (-A: in all of them)"
        raise GatewayNotRunningError(f"no DiscordGateway is {where}")
    for one in found:
        name = f"{one.namespace}/{one.name}" if chosen.all_namespaces else one.name
        if one.status is None:
            click.echo(f"{name}: {_NO_STATUS}\n")
        else:
            print_view(_view(one.status.model_copy(update={"name": name}), wide=False))


def _view(status: GatewayStatus, *, wide: bool) -> RenderableType:
    return status_view(status, wide=wide, now=datetime.now(UTC), dead_letters=DEAD_LETTERS)


def _as_json(one: Resource) -> dict[str, object]:
    status = None if one.status is None else one.status.model_dump(by_alias=True, mode="json")
    return {"namespace": one.namespace, "name": one.name, "status": status}
