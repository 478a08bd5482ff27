"""`kubectl dgw reshard`: an order becomes a change of the resource, so that RBAC decides who may give it."""

import asyncio
from collections.abc import Callable
from typing import Any

import click
from click.exceptions import Exit

from gateway_operator.command.errors import EXIT_UNUSABLE, UserError
from gateway_operator.command.following import Step, followed
from gateway_operator.command.reshard_words import preview_lines
from gateway_operator.core.reshard_order import ReshardOrder
from gateway_operator.core.status_model import GatewayStatus, ReshardStatus
from gateway_operator.core.world import ReshardPhase
from gateway_operator.kube.client.gateways import Resource
from gateway_operator.kube.client.leader import LeaderError
from gateway_operator.kube.names import RESHARD_ORDER
from gateway_operator.kube.wording import for_cluster

from .asking import Cluster, on_cluster
from .choice import Chosen

ABORT, PAUSE, BEGIN = "abort", "pause", "begin"
"""Values of the annotation; the first and the last are something to be done once."""

HEEDED = 12.0
"""Seconds after which the operator has read a change of the resource: at once, but if a watch failed every 10 s."""


def plan_on_cluster(chosen: Chosen, file_or_name: str | None, to: int | None) -> None:
    """Print what a reshard would do and cost; raises UserError."""

    async def work(cluster: Cluster) -> None:
        resource = await cluster.gateways.get(await cluster.one())
        try:
            shown = await cluster.leader.preview(resource.namespace, resource.name, to)
        except LeaderError as problem:
            raise UserError(f"only the operator knows what it would cost: {problem}") from None
        click.echo("\n".join(map(for_cluster, preview_lines(shown))))
        if shown.refused:
            raise Exit(EXIT_UNUSABLE)

    on_cluster(chosen, file_or_name, work)


def reshard_on_cluster(
    chosen: Chosen,
    file_or_name: str | None,
    order: ReshardOrder,
    step: Callable[[GatewayStatus], Step] | None,
    within: float,
) -> None:
    """Change the resource, and follow its status by `step` if there is one; raises UserError."""

    async def work(cluster: Cluster) -> None:
        name = await cluster.one()
        resource = await cluster.gateways.get(name)
        if order.abort:
            message = await _abort(cluster, resource)
        elif order.pause is not None:
            message = await _pause(cluster, resource, pause=order.pause)
        else:
            message = await _begin(cluster, resource, order)
        click.echo(message)
        if step is None:
            return
        if resource.held is not None and not order.abort:
            click.echo(f"{resource.held} is true: it goes on after `kubectl dgw resume {name}`")
            return
        await followed(lambda: cluster.look(name), step, within=within, afterwards="no event is lost meanwhile")
        if (await cluster.gateways.get(name)).annotations.get(RESHARD_ORDER) in (ABORT, BEGIN):
            # Heeded by now. Left there, it would be no change when it is given the next time.
            await cluster.gateways.change(name, reshard=None)

    on_cluster(chosen, file_or_name, work)


async def _begin(cluster: Cluster, resource: Resource, order: ReshardOrder) -> str:
    assert order.to is not None, "neither of the others was asked for"
    running = await _check(cluster, resource, order)
    if resource.shards == order.to and running != order.to:
        return await _begin_again(cluster, resource, running)
    if resource.annotations.get(RESHARD_ORDER) == ABORT:
        # In one change: without the order to give up, the number of before would be begun again.
        await cluster.gateways.change(resource.name, spec={"shards": order.to}, reshard=None)
    else:
        await cluster.gateways.scale(resource.name, order.to)
    paused = resource.annotations.get(RESHARD_ORDER) == PAUSE
    words = f"resharding from {running} to {order.to} shards"
    return f"{words}; paused: --resume lets it go on" if paused else words


async def _begin_again(cluster: Cluster, resource: Resource, running: int | str) -> str:
    """What spec.shards asks for already: it was given up, and the same number is no new word."""
    if resource.annotations.get(RESHARD_ORDER) == PAUSE:
        raise UserError("it is paused: --resume first")
    await _give(cluster, resource, BEGIN)
    return f"resharding from {running} to {resource.shards} shards"


async def _give(cluster: Cluster, resource: Resource, order: str, spec: dict[str, Any] | None = None) -> None:
    """Set the annotation. An order of another time, heeded then, is taken away first: only a change is one again."""
    if resource.annotations.get(RESHARD_ORDER) == order:
        await cluster.gateways.change(resource.name, reshard=None)
        await asyncio.sleep(HEEDED)
    await cluster.gateways.change(resource.name, spec=spec, reshard=order)


async def _check(cluster: Cluster, resource: Resource, order: ReshardOrder) -> int | str:
    """How many shards run; raises UserError for a number that the operator would refuse."""
    try:
        shown = await cluster.leader.preview(resource.namespace, resource.name, order.to)
    except LeaderError as problem:
        click.echo(f"the number is not checked beforehand: {problem}", err=True)
        return resource.status.shards if resource.status is not None else "so far unknown"
    if shown.to is None:
        raise UserError(for_cluster(shown.message))
    if shown.why_not_now is not None:
        if shown.never or (shown.refused and not order.wait):
            raise UserError(for_cluster(shown.why_not_now))
        click.echo(f"not now: {for_cluster(shown.why_not_now)}")
    return shown.shards


async def _abort(cluster: Cluster, resource: Resource) -> str:
    reshard = _running(resource)
    if reshard is None:
        raise UserError("no reshard is under way")
    if reshard.phase == ReshardPhase.DRAINING:
        raise UserError(
            f"all is handed over to the {reshard.to} new shards, so nothing can be given up any more: "
            "to go back, reshard --to the former number when it is done"
        )
    words = f"the reshard to {reshard.to} shards is being given up"
    spec: dict[str, Any] | None = None
    if resource.shards == reshard.to:
        # The number would ask for the same again.
        spec = {"shards": reshard.from_}
        words += f"; spec.shards is {reshard.from_} again"
    if reshard.phase == ReshardPhase.ABORTING:
        await cluster.gateways.change(resource.name, spec=spec, reshard=ABORT)
    else:
        await _give(cluster, resource, ABORT, spec)
    return words


async def _pause(cluster: Cluster, resource: Resource, *, pause: bool) -> str:
    reshard = _running(resource)
    if pause and reshard is not None and reshard.phase == ReshardPhase.ABORTING:
        raise UserError("the reshard is being given up: wait until that is done")
    await cluster.gateways.change(resource.name, reshard=PAUSE if pause else None)
    if not pause:
        return "resumed"
    if reshard is None:
        return "paused: no reshard is begun until --resume"
    return "paused: what is being handed over is finished, and nothing more is begun until --resume"


def _running(resource: Resource) -> ReshardStatus | None:
    return resource.status.reshard if resource.status is not None else None
